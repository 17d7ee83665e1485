"""COPY of CSV, delimited text, fixed width and JSON, and what its errors leave in the system tables."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import uuid
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tests.support.redshift_standin import BUCKET, KEY, SECRET, Connect, Sql

KEYS = f"ACCESS_KEY_ID '{KEY}' SECRET_ACCESS_KEY '{SECRET}'"
FAILED = "Load into table 't' failed.  Check 'stl_load_errors' system table for details."


class Files:
    """Puts text into the bucket and loads it."""

    def __init__(self, s3: Any, sql: Sql) -> None:
        self.s3 = s3
        self.sql = sql

    def put(self, body: str | bytes) -> str:
        key = f"text/{uuid.uuid4().hex}"
        raw = body.encode() if isinstance(body, str) else body
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=raw)
        return f"s3://{BUCKET}/{key}"

    def statement(self, columns: str, body: str | bytes, options: str) -> str:
        """COPY of ``body`` into a fresh table ``t``."""
        self.sql("DROP TABLE IF EXISTS t")
        self.sql(f"CREATE TABLE t ({columns})")
        return f"COPY t FROM '{self.put(body)}' {KEYS} {options}"

    def load(self, columns: str, body: str | bytes, options: str) -> list[Any]:
        self.sql(self.statement(columns, body, options))
        return self.sql.rows("SELECT * FROM t")

    def fail(self, columns: str, body: str | bytes, options: str) -> list[Any]:
        """Code, reason, column and line of the one error of a COPY that must fail."""
        fields = self.sql.error(self.statement(columns, body, options))
        assert (fields["C"], fields["M"]) == ("XX000", FAILED)
        (row,) = self.sql.rows(
            "SELECT err_code, TRIM(err_reason), TRIM(colname), line_number FROM stl_load_errors"
            " WHERE query = pg_last_copy_id()"
        )
        return list(row)


@pytest.fixture
def files(s3: Any, sql: Sql) -> Files:
    return Files(s3, sql)


TEXTS = "a varchar(20), b varchar(20)"
STAMP = "a timestamp"
MULTIBYTE = (
    "Multibyte character not supported for CHAR (Hint: try using VARCHAR). Invalid char: c3 a4"
)
BAD_UTF8 = (
    "String contains invalid or unsupported UTF8 codepoints. Bad UTF8 hex sequence: c3 (error 2)"
)
NO_TIME = "Invalid timestamp format or value [YYYY-MM-DD HH:MI:SS]"
NO_DATE = "Invalid Date Format - length must be 10 or more"


def at(hour: int, minute: int = 0, second: int = 0, micro: int = 0) -> dt.datetime:
    return dt.datetime(2026, 11, 22, hour, minute, second, micro)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("columns", "body", "options", "rows"),
    [
        (TEXTS, 'x,"a, ""b""\nc"\r\n,\n', "CSV", [["x", 'a, "b"\nc'], ["", ""]]),
        (TEXTS, "h1,h2\n%a,b%,2\n", "FORMAT CSV QUOTE '%' IGNOREHEADER 1", [["a,b", "2"]]),
        (TEXTS, "x|y|\n\\N|\n", "", [["x", "y"], [None, ""]]),
        (TEXTS, "x\ty\n", "DELIMITER '\\t'", [["x", "y"]]),
        (TEXTS, "x;y\n", "DELIMITER AS '\\073'", [["x", "y"]]),
        (TEXTS, ",NULL\n  ,-\n", "CSV EMPTYASNULL BLANKSASNULL NULL AS 'NULL'", [[None, None], [None, "-"]]),
        (TEXTS, "a\\|b|c\\\nd\n\\N|e\n", "ESCAPE", [["a|b", "c\nd"], [None, "e"]]),
        (TEXTS, "'a|b'|\"c\"\n", "REMOVEQUOTES", [["a|b", "c"]]),
        (TEXTS, "abc  yz\n", "FIXEDWIDTH 'a:5,b:2'", [["abc", "yz"]]),
        (TEXTS, "x\n", "FILLRECORD", [["x", ""]]),
        ("a varchar(9), b int", "x\n", "FILLRECORD", [["x", None]]),
        (TEXTS, "x|y\n\nz|\n", "IGNOREBLANKLINES", [["x", "y"], ["z", ""]]),
        (TEXTS, "x  |äöü\n", "TRIMBLANKS", [["x", "äöü"]]),
        ("a varchar(3), b char(2)", "äöü|abc\n", "TRUNCATECOLUMNS", [["ä", "ab"]]),
        ("a varchar(9)", b"a\xffb\n", "ACCEPTINVCHARS", [["a?b"]]),
        ("a varchar(9)", b"a\xff\xfeb\n", "ACCEPTINVCHARS AS '!'", [["a!!b"]]),
        ("a varchar(9)", "äb\n".encode("utf-16-le"), "ENCODING UTF16LE", [["äb"]]),
        ("a varchar(9)", gzip.compress(b"zip\n", mtime=0), "GZIP", [["zip"]]),
        ("a varchar(9)", pa.compress(b"zst\n", "zstd", asbytes=True), "ZSTD", [["zst"]]),
        ("a decimal(6,2), b decimal(6,2)", "1.239|-1.239\n", "", [[Decimal("1.23"), Decimal("-1.23")]]),
        ("a decimal(6,2)", "1.235\n", "ROUNDEC", [[Decimal("1.24")]]),
        ("a boolean, b boolean, c boolean", "t|0|YES\n", "", [[True, False, True]]),
        ("a int, b bigint, c smallint", " 7 |-9223372036854775808|\n", "", [[7, -(2**63), None]]),
        ("a real, b float", "1.5|NaN\n", "", [[1.5, None]]),
        ("a date", "2026-11-22\n", "", [[dt.date(2026, 11, 22)]]),
        ("a date", "22.11.26\n", "DATEFORMAT 'DD.MM.YY'", [[dt.date(2026, 11, 22)]]),
        ("a date", "Nov 22, 2026\n", "DATEFORMAT 'auto'", [[dt.date(2026, 11, 22)]]),
        ("a date", "nonsense\n", "ACCEPTANYDATE", [[None]]),
        (STAMP, "2026-11-22 01:02:03.456\n", "", [[at(1, 2, 3, 456000)]]),
        (STAMP, "2026-11-22T01:02:03Z\n", "TIMEFORMAT 'auto'", [[at(1, 2, 3)]]),
        (STAMP, "1763769723456\n", "TIMEFORMAT 'epochmillisecs'", [[at(0, 2, 3, 456000).replace(year=2025)]]),
        ("a timestamptz", "2026-11-22 03:02:03+02\n", "", [[at(1, 2, 3).replace(tzinfo=dt.UTC)]]),
        (STAMP, "11/22/2026 9:05 PM\n", "TIMEFORMAT 'MM/DD/YYYY HH:MI AM'", [[at(21, 5)]]),
        ("a time", "23:59:01\n", "", [[dt.time(23, 59, 1)]]),
        ("a super", '"{""a"": [1]}"\n', "CSV", [['{"a": [1]}']]),
    ],
)  # fmt: skip
def test_text(files: Files, columns: str, body: str | bytes, options: str, rows: Any) -> None:
    got = files.load(columns, body, options)
    assert [[None if value != value else value for value in row] for row in got] == rows  # noqa: PLR0124


@pytest.mark.parametrize(
    ("columns", "body", "options", "error"),
    [
        (TEXTS, "x|y\nz\n", "", [1214, "Delimiter not found", "a", 2]),
        (TEXTS, "x|y|z\n", "", [1202, "Extra column(s) found", "b", 1]),
        (TEXTS, 'x,"y\n', "CSV", [1216, "Invalid quote formatting for CSV", "", 1]),
        ("a varchar(5)", "äöü\n", "", [1204, "String length exceeds DDL length", "a", 1]),
        ("a char(2)", "ä\n", "", [1215, MULTIBYTE, "a", 1]),
        ("a int", "1\n1x\n", "", [1207, "Invalid digit, Value 'x', Pos 1, Type: Integer", "a", 2]),
        ("a int", "2147483648\n", "", [1222, "Overflow, Column type: Integer", "a", 1]),
        ("a int NOT NULL", "\\N\n", "", [1213, "Missing data for not-null field", "a", 1]),
        ("a decimal(4,2)", "123\n", "", [1209, "Overflow, Column type: Decimal", "a", 1]),
        ("a boolean", "maybe\n", "", [1210, "Unknown boolean format", "a", 1]),
        ("a date", "2026-1\n", "", [1205, NO_DATE, "a", 1]),
        (STAMP, "yesterday\n", "", [1206, NO_TIME, "a", 1]),
        ("a varchar(9)", b"a\xc3b\n", "", [1220, BAD_UTF8, "a", 1]),
        ("a super", "{\n", "", [1224, "Invalid JSON format for SUPER", "a", 1]),
        ("a int", '{"a": 1}\n{"a": \n', "JSON 'auto'", [1216, "Invalid value.", "", 2]),
    ],
)  # fmt: skip
def test_text_errors(
    files: Files, columns: str, body: str | bytes, options: str, error: Any
) -> None:
    assert files.fail(columns, body, options) == error


def test_rows_in_error_are_counted_and_their_fields_kept(files: Files, connect: Connect) -> None:
    sql = files.sql
    body = "1|ok\nx|bad\n3|much too long\n4|fine\n"
    sql(files.statement("a int, b varchar(5)", body, "MAXERROR 3"))
    assert sql.rows("SELECT * FROM t ORDER BY 1") == [[1, "ok"], [4, "fine"]]
    said = [notice[b"M"].decode() for notice in sql.connection.notices][-2:]
    assert said == [
        "Load into table 't' completed, 2 record(s) loaded successfully.",
        "Load into table 't' completed, 2 record(s) could not be loaded.  " + FAILED[29:],
    ]
    errors = sql.rows(
        "SELECT line_number, TRIM(colname), TRIM(type), TRIM(col_length), position, TRIM(raw_line),"
        " TRIM(raw_field_value), err_code FROM stl_load_errors WHERE query = pg_last_copy_id()"
        " ORDER BY 1"
    )
    assert errors == [
        [2, "a", "int4", "0", 0, "x|bad", "x", 1207],
        [3, "b", "varchar", "5", 2, "3|much too long", "much too long", 1204],
    ]
    detail = sql.rows(
        "SELECT line_number, field, TRIM(colname), TRIM(value) FROM stl_loaderror_detail"
        " WHERE query = pg_last_copy_id() ORDER BY 1, 2"
    )
    assert detail == [
        [2, 0, "a", "x"],
        [2, 1, "b", "bad"],
        [3, 0, "a", "3"],
        [3, 1, "b", "much too long"],
    ]
    history = sql.rows(
        "SELECT status, loaded_rows, error_count, file_format FROM sys_load_history"
        " WHERE query_id = pg_last_copy_id()"
    )
    assert history == [["completed", 2, 2, "text"]]
    commits = sql.rows(
        "SELECT lines_scanned, errors, TRIM(file_format) FROM stl_load_commits"
        " WHERE query = pg_last_copy_id()"
    )
    assert commits == [[4, 2, "Text"]]

    # One error more than MAXERROR allows ends it, and a rollback leaves the errors where they are.
    sql("BEGIN")
    fields = sql.error(files.statement("a int, b varchar(5)", body, "MAXERROR 2"))
    assert fields["M"] == FAILED
    sql("ROLLBACK")
    assert sql.value("SELECT pg_last_copy_count()") == 0
    count = "SELECT count(*) FROM sys_load_error_detail WHERE query_id = pg_last_copy_id()"
    assert sql.value(count) == 2
    sql(files.statement("a int, b varchar(5)", body, "MAXERROR 5 NOLOAD"))
    assert sql.value("SELECT count(*) FROM t") == 0
    assert sql.value(count) == 2


OBJECTS = (
    '{"id": 12345678901234567890.50, "name": "ä \\u00e9", "deep": {"x": [1, {"y": null}]}}\n\n'
    '  {"name": null,\n "other": 1, "ID": 7}{"id": true}'
)


def test_json_by_key(files: Files) -> None:
    columns = "id varchar(30), name varchar(9), deep super"
    first = ["12345678901234567890.50", "ä é", '{"x":[1,{"y":null}]}']
    assert files.load(columns, OBJECTS, "FORMAT JSON 'auto'") == [
        first,
        [None] * 3,
        ["true", None, None],
    ]
    assert files.load(columns, OBJECTS, "JSON 'auto ignorecase'")[1] == ["7", None, None]
    assert json.loads(files.load("doc super", OBJECTS, "JSON 'noshred'")[1][0])["other"] == 1


def test_json_by_path(files: Files) -> None:
    paths = files.put('{"jsonpaths": ["$.deep.x[0]", "$[\'name\']"]}')
    body = '{"deep": {"x": ["9"]}, "name": "n"}'
    assert files.load("a int, b varchar(5)", body, f"JSON '{paths}'") == [[9, "n"]]
    arrays = files.put('{"jsonpaths": ["$[1]", "$[0]"]}')
    assert files.load("a int, b varchar(5)", '["x", 1] ["y", 2]', f"JSON '{arrays}'") == [
        [1, "x"],
        [2, "y"],
    ]
    code, reason, *_ = files.fail("a int, b varchar(5)", '["x"]', f"JSON '{arrays}'")
    assert (code, reason) == (1216, "Invalid JSONPath format: Not an array or index out of range.")
    fields = files.sql.error(files.statement("a int", body, f"JSON '{paths}'"))
    assert fields["M"] == (
        "Number of jsonpaths and the number of columns should match. JSONPath size: 2, "
        "Number of columns in table or column list: 1"
    )
    misspelt = files.put('{"paths": ["$.x"]}')
    assert files.load("name varchar(5)", body, f"JSON '{misspelt}'") == [["n"]]


def test_identity_and_column_list(files: Files) -> None:
    sql = files.sql
    url = files.put("7|x\n")
    sql("CREATE TABLE i (n bigint IDENTITY(1,1), v varchar(5), d int DEFAULT 3)")
    sql(f"COPY i (v) FROM '{files.put('a')}' {KEYS}")
    assert sql.error(f"COPY i (n, v) FROM '{url}' {KEYS}")["C"] == "0A000"
    sql(f"COPY i (n, v) FROM '{url}' {KEYS} EXPLICIT_IDS")
    assert sql.rows("SELECT * FROM i ORDER BY n") == [[1, "a", 3], [7, "x", 3]]


def test_manifests_and_prefixes(files: Files, s3: Any) -> None:
    sql = files.sql
    sql("CREATE TABLE t (a int)")
    folder = f"prefix/{uuid.uuid4().hex}"
    for name, body in (("/part1", b"1\n"), ("/part10", b"2\n"), ("/other", b"3\n")):
        s3.put_object(Bucket=BUCKET, Key=folder + name, Body=body)
    sql(f"COPY t FROM 's3://{BUCKET}/{folder}/part1' {KEYS}")
    assert sql.rows("SELECT a FROM t ORDER BY a") == [[1], [2]]
    fields = sql.error(f"COPY t FROM 's3://{BUCKET}/{folder}/none' {KEYS}")
    assert fields["M"] == f"The specified S3 prefix '{folder}/none' does not exist"
    known = sql.value("SELECT pg_last_copy_count()")
    assert known == 2  # it never began to load

    there = {"url": f"s3://{BUCKET}/{folder}/other"}
    gone = {"url": f"s3://{BUCKET}/{folder}/gone"}
    optional: list[tuple[list[Any], int]] = [([there, there], 2), ([there, gone], 1)]
    for entries, loaded in optional:
        manifest = files.put(json.dumps({"entries": entries}))
        sql(f"COPY t FROM '{manifest}' {KEYS} MANIFEST CSV")
        assert sql.value("SELECT pg_last_copy_count()") == loaded
    required: list[list[Any]] = [[there, {**gone, "mandatory": True}], [gone]]
    for entries in required:
        manifest = files.put(json.dumps({"entries": entries}))
        fields = sql.error(f"COPY t FROM '{manifest}' {KEYS} MANIFEST CSV")
        assert fields["M"] == "Mandatory url is not present in manifest file."
