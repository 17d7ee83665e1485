"""The shipped schemas fit the columns, and are found in a checkout and in a wheel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loader.codec import schemas
from loader.codec.fields import CONTRACTS, ContractName
from loader.codec.schemas import ShippedSchemas, frame, unframe
from loader.errors import UsageError


@pytest.mark.parametrize(("contract", "schema_id"), [("events", 1), ("user_updates", 2)])
def test_a_schema_has_exactly_the_contracts_fields(contract: ContractName, schema_id: int) -> None:
    schema = json.loads(ShippedSchemas().writer_schema(schema_id) or "")
    assert [field["name"] for field in schema["fields"]] == list(CONTRACTS[contract].known)


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=lambda contract: contract.name)
def test_a_contract_accounts_for_every_column(contract: object) -> None:
    for made in CONTRACTS.values():
        derived = {"extra", "cleared"} if made.clearable else {"extra"}
        assert {*made.known, *derived} == set(made.columns.names)


def test_an_unknown_id_has_no_schema() -> None:
    assert ShippedSchemas().writer_schema(5) is None


def test_a_wheels_schemas_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "loader"
    monkeypatch.setattr(schemas, "_PACKAGE", package)
    with pytest.raises(UsageError, match=r"event\.avsc"):
        schemas.schema_directory()
    for folder in (tmp_path / "schemas", package / "_schemas"):
        folder.mkdir(parents=True)
        (folder / "event.avsc").write_text("{}")
        assert schemas.schema_directory() == folder


def test_a_frame_is_a_zero_and_the_id_big_endian() -> None:
    assert frame(258, b"body") == b"\x00\x00\x00\x01\x02body"
    assert unframe(b"\x00\x00\x00\x01\x02") == 258
    assert unframe(b"\x00\x00\x00\x01") is None
    assert unframe(b"\x01\x00\x00\x01\x02") is None
