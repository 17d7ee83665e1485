"""COPY's grammar and the secrets in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loader.errors import UsageError
from loader.local.redshift.config import load_config
from loader.local.redshift.copy_grammar import parse_copy
from loader.local.redshift.copy_statement import CopyStatement
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
        ("IAM_ROLE default FORMAT PARQUET LZOP", "0A000"),
        ("IAM_ROLE default FORMAT PARQUET ENCODING UTF8", "0A000"),
        ("IAM_ROLE default FORMAT ORC", "0A000"),
        ("IAM_ROLE default LZOP", "0A000"),
        ("IAM_ROLE default ENCRYPTED", "0A000"),
        ("IAM_ROLE default CSV ESCAPE", "0A000"),
        ("IAM_ROLE default CSV REMOVEQUOTES", "0A000"),
        ("IAM_ROLE default CSV FIXEDWIDTH 'a:1'", "42601"),
        ("IAM_ROLE default JSON 'auto' FILLRECORD", "0A000"),
        ("IAM_ROLE default JSON 'auto' NULL AS 'x'", "0A000"),
        ("IAM_ROLE default JSON 'auto' DELIMITER ','", "0A000"),
        ("IAM_ROLE default FIXEDWIDTH 'a:0'", "22023"),
        ("IAM_ROLE default DELIMITER ''", "22023"),
        ("IAM_ROLE default QUOTE '%'", "0A000"),
        ("IAM_ROLE default CSV QUOTE 'ab'", "22023"),
        ("IAM_ROLE default MAXERROR 100001", "22023"),
        ("IAM_ROLE default MAXERROR many", "42601"),
        ("IAM_ROLE default ENCODING KOI8", "22023"),
        ("IAM_ROLE default SERIALIZETOJSON", "0A000"),
        ("IAM_ROLE default ACCEPTINVCHARS 'ab'", "22023"),
        ("IAM_ROLE 'load' FORMAT PARQUET", "XX000"),
        ("IAM_ROLE default IAM_ROLE default", "42601"),
        ("IAM_ROLE default CREDENTIALS 'aws_iam_role=arn:aws:iam::123456789012:role/r'", "42601"),
        (
            "CREDENTIALS 'aws_access_key_id=a;aws_secret_access_key=b;master_symmetric_key=c'",
            "0A000",
        ),
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


@pytest.mark.parametrize(
    "rest",
    [
        "IAM_ROLE 'arn:aws:iam::123456789012:role/a,arn:aws:iam::210987654321:role/b' FORMAT PARQUET",
        "IAM_ROLE 'SESSION' FORMAT PARQUET",
        "CREDENTIALS 'aws_iam_role=arn:aws:iam::123456789012:role/r' CSV REGION AS 'us-east-1'",
        "IAM_ROLE default COMPUPDATE PRESET STATUPDATE ON COMPROWS 1000 MAXERROR AS 5 IGNOREHEADER AS 1",
        "IAM_ROLE default FORMAT AS JSON AS 'auto' EMPTYASNULL TIMEFORMAT AS 'auto' GZIP MAXERROR 1",
        "IAM_ROLE default CSV QUOTE AS '%' DELIMITER AS ';' NULL AS 'x' ENCODING AS UTF8 FILLRECORD",
        "IAM_ROLE default DELIMITER '|' ESCAPE REMOVEQUOTES IGNOREBLANKLINES TRIMBLANKS ROUNDEC NOLOAD",
    ],
)
def test_accepted(rest: str) -> None:
    parse(f"COPY t FROM 's3://b/k' {rest}")


def test_escapes_in_delimiter_and_null() -> None:
    rules = parse(r"COPY t FROM 's3://b/k' IAM_ROLE default DELIMITER '\011' NULL AS '\\N'").rules
    assert (rules.delimiter, rules.null_as) == ("\t", "\\N")
    rules = parse(r"COPY t FROM 's3://b/k' IAM_ROLE default DELIMITER '\t' NULL AS '\N'").rules
    assert (rules.delimiter, rules.null_as) == ("\t", "\\N")
    assert parse("COPY t FROM 's3://b/k' IAM_ROLE default CSV").rules.delimiter == ","


def test_no_message_shows_a_literal() -> None:
    with pytest.raises(SqlError) as raised:
        parse("COPY t FROM 's3://b/k' IAM_ROLE default 'hidden'")
    assert "hidden" not in str(raised.value)


def test_configuration_errors_name_the_key_and_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    with pytest.raises(UsageError, match="cannot read"):
        load_config(file)
    document = {"backend": {"port": 1}, "login": {"user": "u", "password": "hush", "pasword": 1}}
    file.write_text(json.dumps(document))
    with pytest.raises(UsageError, match=r"login\.pasword") as raised:
        load_config(file)
    assert "hush" not in str(raised.value)
