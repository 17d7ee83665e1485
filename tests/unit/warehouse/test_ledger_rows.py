from __future__ import annotations

import orjson
import pytest
from pydantic import SecretStr

from loader.config import CopyCredentials, Lake, Settings, Warehouse
from loader.errors import UsageError
from loader.warehouse import ledger
from loader.warehouse.credentials import CopyAuthorization, copy_authorization
from loader.warehouse.ledger import decode_cut, encode_cut


def test_equal_cuts_are_equal_texts() -> None:
    one = encode_cut({"b": {10: 1, 2: 3}, "a": {}})
    assert one == encode_cut({"a": {}, "b": {2: 3, 10: 1}})
    assert decode_cut(one) == {"a": {}, "b": {2: 3, 10: 1}}


def settings(copy: CopyCredentials, lake: Lake | None = None) -> Settings:
    return Settings(warehouse=Warehouse(copy_credentials=copy), lake=lake or Lake())


def test_a_role_or_keys_or_the_lakes_own() -> None:
    role = "arn:aws:iam::123456789012:role/a"
    assert copy_authorization(settings(CopyCredentials(iam_role=role))).iam_role == role
    keys = CopyCredentials(access_key_id="A", secret_access_key=SecretStr("s"))
    assert copy_authorization(settings(keys)) == CopyAuthorization(None, "A", "s")
    lake = Lake(access_key_id="L", secret_access_key=SecretStr("t"))
    found = copy_authorization(settings(CopyCredentials(), lake))
    assert found == CopyAuthorization(None, "L", "t")


@pytest.mark.parametrize(
    "copy",
    [
        CopyCredentials(),
        CopyCredentials(iam_role="role' --"),
        CopyCredentials(iam_role="default", access_key_id="A"),
        CopyCredentials(access_key_id="A"),
        CopyCredentials(access_key_id="A", secret_access_key=SecretStr("it's")),
    ],
)
def test_what_cannot_authorize_is_refused_without_showing_it(copy: CopyCredentials) -> None:
    with pytest.raises(UsageError) as caught:
        copy_authorization(settings(copy))
    assert "it's" not in str(caught.value)


def test_too_many_manifests_become_their_folder() -> None:
    keys = tuple(f"sync/s/pageviews/manifest-{n:03d}.json" for n in range(3000))
    assert ledger._encode_manifests(keys) == '["sync/s/pageviews/"]'
    assert ledger._encode_manifests(keys[:1]) == f'["{keys[0]}"]'


def test_names_left_out_fit_their_column() -> None:
    few = ("a", "b")
    assert ledger._encode_names(few) == '["a","b"]'
    many = tuple(f"{n:0100}" for n in range(1500))
    text = ledger._encode_names(many)
    assert len(text) <= ledger.LEFT_OUT_BYTES
    # Names and nothing else: what is read back is taken for names of properties.
    shown = orjson.loads(text)
    assert shown == list(many[: len(shown)])
    assert len(shown) > 300
