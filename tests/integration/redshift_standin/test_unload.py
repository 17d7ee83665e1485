"""UNLOAD to Parquet and text, read back by pyarrow and by COPY."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import uuid
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.redshift_standin import BUCKET, KEY, SECRET, Sql

IDS = "UNLOAD ('SELECT id FROM t') TO '{url}' {keys}"
KEYS = f"ACCESS_KEY_ID '{KEY}' SECRET_ACCESS_KEY '{SECRET}'"


class Lake:
    """What is below one fresh prefix."""

    def __init__(self, s3: Any) -> None:
        self.s3 = s3
        self.folder = f"unload/{uuid.uuid4().hex}/"
        self.url = f"s3://{BUCKET}/{self.folder}"

    def names(self) -> list[str]:
        listed = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=self.folder).get("Contents", [])
        return sorted(item["Key"].removeprefix(self.folder) for item in listed)

    def read(self, name: str) -> bytes:
        body: bytes = self.s3.get_object(Bucket=BUCKET, Key=self.folder + name)["Body"].read()
        return body

    def table(self, name: str) -> pa.Table:
        # One file only: read_table would take folders of its path for partitions.
        return pq.ParquetFile(io.BytesIO(self.read(name))).read()


@pytest.fixture
def lake(s3: Any) -> Lake:
    return Lake(s3)


@pytest.fixture
def t(sql: Sql) -> Sql:
    sql(
        "CREATE TABLE t (id bigint, name varchar(20), day date, at timestamp, n decimal(18,2), b boolean)"
    )
    sql(
        "INSERT INTO t VALUES (1, 'a|b, \"c\"', '2026-11-22', '2026-11-22 01:02:03.5', 1.5, true),"
        " (2, '', '2026-11-23', NULL, -2, false), (3, NULL, NULL, NULL, NULL, NULL)"
    )
    return sql


def unload(query: str, url: str, rest: str) -> str:
    doubled = query.replace("'", "''")
    return f"UNLOAD ('{doubled}') TO '{url}' {KEYS} {rest}"


def test_parquet_comes_back_by_copy(t: Sql, lake: Lake, schema: str) -> None:
    t(
        unload(
            f"SELECT * FROM {schema}.t WHERE id < 10 ORDER BY id",
            lake.url,
            "FORMAT PARQUET MANIFEST",
        )
    )
    assert t.value("SELECT pg_last_unload_count()") == 3
    assert lake.names() == ["0000_part_00.parquet", "manifest"]
    file = pq.ParquetFile(io.BytesIO(lake.read("0000_part_00.parquet")))
    physical = {file.schema.column(i).name: file.schema.column(i).physical_type for i in range(6)}
    assert (physical["at"], physical["n"]) == ("INT96", "FIXED_LEN_BYTE_ARRAY")
    assert file.metadata.row_group(0).column(0).compression == "SNAPPY"
    t("CREATE TABLE back (LIKE t)")
    t(f"COPY back FROM '{lake.url}manifest' {KEYS} FORMAT PARQUET MANIFEST")
    assert t.rows("SELECT * FROM back ORDER BY id") == t.rows("SELECT * FROM t ORDER BY id")
    assert t.rows("SELECT TRIM(path), line_count, TRIM(file_format) FROM stl_unload_log"
                  " WHERE query = pg_last_unload_id()") == [
        [f"{lake.url}0000_part_00.parquet", 3, "PARQUET"]
    ]  # fmt: skip
    assert t.rows("SELECT status, unloaded_rows, unloaded_files_count FROM sys_unload_history"
                  " WHERE query_id = pg_last_unload_id()") == [["completed", 3, 1]]  # fmt: skip


def test_text(t: Sql, lake: Lake) -> None:
    t(unload("SELECT * FROM t ORDER BY id", f"{lake.url}csv_", "CSV HEADER PARALLEL OFF"))
    assert lake.read("csv_000").decode().splitlines() == [
        "id,name,day,at,n,b",
        '1,"a|b, ""c""",2026-11-22,2026-11-22 01:02:03.5,1.50,t',
        "2,,2026-11-23,,-2.00,f",
        "3,,,,,",
    ]
    t(
        unload(
            "SELECT id, name FROM t ORDER BY id",
            f"{lake.url}p",
            "PARALLEL FALSE ESCAPE NULL AS '\\\\N' GZIP",
        )
    )
    assert gzip.decompress(lake.read("p000.gz")) == b'1|a\\|b, "c"\n2|\n3|\\N\n'
    t(
        unload(
            "SELECT id, name FROM t ORDER BY id",
            f"{lake.url}q",
            "ADDQUOTES ESCAPE DELIMITER ',' PARALLEL OFF",
        )
    )
    assert lake.read("q000").decode() == '"1","a|b\\, \\"c\\""\n"2",""\n"3",\n'
    t("CREATE TABLE back (id bigint, name varchar(20))")
    t(f"COPY back FROM '{lake.url}q' {KEYS} DELIMITER ',' REMOVEQUOTES ESCAPE")
    assert t.rows("SELECT * FROM back ORDER BY id") == [[1, 'a|b, "c"'], [2, ""], [3, ""]]


def test_partitions_and_a_verbose_manifest(t: Sql, lake: Lake) -> None:
    t("INSERT INTO t VALUES (4, 'x/y', '2026-11-22', NULL, 0, NULL)")
    rest = "FORMAT PARQUET PARTITION BY (day) MANIFEST VERBOSE"
    t(unload("SELECT id, name, day FROM t", lake.url, rest))
    assert lake.names() == [
        "day=2026-11-22/0000_part_00.parquet",
        "day=2026-11-23/0000_part_00.parquet",
        "day=__HIVE_DEFAULT_PARTITION__/0000_part_00.parquet",
        "manifest",
    ]
    assert lake.table("day=2026-11-22/0000_part_00.parquet").to_pydict() == {
        "id": [1, 4],
        "name": ['a|b, "c"', "x/y"],
    }
    document = json.loads(lake.read("manifest"))
    assert document["meta"]["record_count"] == 4
    assert document["schema"]["elements"][1] == {
        "name": "name",
        "type": {"base": "character varying", "max_length": 20},
    }
    assert [entry["meta"]["record_count"] for entry in document["entries"]] == [2, 1, 1]
    t(unload("SELECT id, day FROM t", f"{lake.url}in/", "PARQUET PARTITION BY (day) INCLUDE"))
    kept = lake.table("in/day=2026-11-23/0000_part_00.parquet").to_pydict()
    assert kept == {"id": [2], "day": [dt.date(2026, 11, 23)]}


def test_what_is_there_already(t: Sql, lake: Lake) -> None:
    query = unload("SELECT id FROM t", lake.url, "PARQUET {}")
    t(query.format(""))
    lake.s3.put_object(Bucket=BUCKET, Key=f"{lake.folder}old", Body=b"x")
    t("BEGIN")
    fields = t.error(query.format(""))
    assert fields["C"] == "XX000"
    assert fields["M"].startswith("Specified unload destination on S3 is not empty. Consider using")
    assert t.error("SELECT 1")["C"] == "25P02"
    t("ROLLBACK")
    t(query.format("ALLOWOVERWRITE"))
    assert "old" in lake.names()
    t(query.format("CLEANPATH"))
    assert lake.names() == ["0000_part_00.parquet"]


def test_nothing_makes_no_file(t: Sql, lake: Lake) -> None:
    t(unload("SELECT id FROM t WHERE id > 99", lake.url, "PARQUET MANIFEST"))
    assert lake.names() == []
    assert t.value("SELECT pg_last_unload_count()") == 0


def test_expressions_and_views(t: Sql, lake: Lake, schema: str) -> None:
    t(f"CREATE VIEW v AS SELECT name FROM {schema}.t WITH NO SCHEMA BINDING")
    query = "SELECT NVL(name, 'it\\'s') AS who, sum(n) AS total FROM t GROUP BY 1 ORDER BY 1"
    # In a literal within a literal both quotes and backslashes are doubled.
    doubled = query.replace("\\", "\\\\").replace("'", "''")
    t(f"UNLOAD ('{doubled}') TO '{lake.url}' {KEYS} PARQUET PARALLEL OFF")
    table = lake.table("000.parquet")
    assert table.to_pydict()["who"] == ["", 'a|b, "c"', "it's"]
    assert table.to_pydict()["total"] == [Decimal("-2.00"), Decimal("1.50"), None]
    assert table.schema.field("total").type == pa.decimal128(38, 2)
    t(unload("SELECT count(*) AS n FROM v", f"{lake.url}v", "PARQUET"))
    assert lake.table("v0000_part_00.parquet").to_pydict() == {"n": [3]}


@pytest.mark.parametrize(
    ("statement", "code", "text"),
    [
        ("UNLOAD ('SELECT id FROM t LIMIT 5') TO '{url}' {keys} PARQUET", "42601", "Limit clause is not"),
        ("UNLOAD ('DELETE FROM t') TO '{url}' {keys}", "42601", 'syntax error at or near "DELETE"'),
        ("UNLOAD ('SELECT nope FROM t') TO '{url}' {keys}", "42703", 'column "nope" does not exist'),
        (IDS + " PARQUET HEADER", "0A000", "HEADER"),
        (IDS + " PARQUET GZIP", "0A000", "GZIP"),
        (IDS + " CSV ESCAPE", "0A000", "ESCAPE"),
        (IDS + " ALLOWOVERWRITE CLEANPATH", "0A000", "ALLOWOVERWRITE"),
        (IDS + " FORMAT JSON", "0A000", "stand-in: UNLOAD of format JSON"),
        (IDS + " KMS_KEY_ID 'k' ENCRYPTED", "0A000", "stand-in: UNLOAD of files encrypted"),
        (IDS + " PARTITION BY (day)", "42703", "PARTITION BY"),
        (IDS + " MAXFILESIZE 1 MB", "22023", "5 MB"),
        ("UNLOAD ('SELECT id FROM t') TO '{url}'", "42601", "authorization"),
        ("UNLOAD ('SELECT 1 AS a') TO '{url}' CREDENTIALS 'aws_access_key_id=x'", "XX000", "Access Den"),
    ],
)  # fmt: skip
def test_refused(t: Sql, lake: Lake, statement: str, code: str, text: str) -> None:
    fields = t.error(statement.format(url=lake.url, keys=KEYS))
    assert fields["C"] == code
    assert text in fields["M"]
    assert t.value("SELECT 1") == 1
    assert lake.names() == []
