"""COPY's grammar and the secrets in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loader.errors import UsageError
from loader.local.redshift.config import load_config
from loader.local.redshift.copy_grammar import CopyStatement, parse_copy
from loader.local.redshift.errors import SqlError
from loader.local.redshift.tokens import tokenize


def parse(sql: str) -> CopyStatement:
    return parse_copy(tokenize(sql))


def test_everything_at_once() -> None:
    statement = parse(
        "COPY s.t (a, \"b\") FROM 's3://b/k' SERIALIZETOJSON MANIFEST SECRET_ACCESS_KEY 'hidden' "
        "FORMAT PARQUET STATUPDATE OFF ACCESS_KEY_ID 'id' SESSION_TOKEN 'token' FILLRECORD"
    )
    assert (statement.table, statement.parts) == ("s.t", ("s", "t"))
    assert statement.columns == ("a", "b")
    assert statement.flags == {"serializetojson", "manifest", "fillrecord"}
    assert statement.statupdate is False
    assert statement.credentials is not None
    assert statement.credentials.secret_access_key == "hidden"
    assert "hidden" not in repr(statement)


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        ("IAM_ROLE default FORMAT PARQUET REGION 'x'", "0A000"),
        ("IAM_ROLE default FORMAT PARQUET NULL AS '\\N'", "0A000"),
        ("IAM_ROLE default FORMAT PARQUET GZIP", "0A000"),
        ("IAM_ROLE default FORMAT JSON 'auto'", "0A000"),
        ("IAM_ROLE default", "0A000"),
        ("FORMAT PARQUET", "42601"),
        ("IAM_ROLE default ACCESS_KEY_ID 'a' SECRET_ACCESS_KEY 'b' FORMAT PARQUET", "42601"),
        ("ACCESS_KEY_ID 'a' FORMAT PARQUET", "42601"),
        ("IAM_ROLE default FORMAT PARQUET NONSENSE", "42601"),
        ("CREDENTIALS 'whatever' FORMAT PARQUET", "XX000"),
    ],
)
def test_refused(rest: str, code: str) -> None:
    with pytest.raises(SqlError) as raised:
        parse(f"COPY t FROM 's3://b/k' {rest}")
    assert raised.value.code == code


def test_configuration_errors_name_the_key_and_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    with pytest.raises(UsageError, match="cannot read"):
        load_config(file)
    document = {"backend": {"port": 1}, "login": {"user": "u", "password": "hush", "pasword": 1}}
    file.write_text(json.dumps(document))
    with pytest.raises(UsageError, match=r"login\.pasword") as raised:
        load_config(file)
    assert "hush" not in str(raised.value)
