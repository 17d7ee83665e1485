"""COPY of Parquet by a manifest: what it loads, in which transaction, and how it refuses."""

from __future__ import annotations

import datetime as dt
import io
import json
import uuid
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader.local.redshift import StandInThread
from tests.support.redshift_standin import BUCKET, KEY, SECRET, Connect, Sql

KEYS = f"ACCESS_KEY_ID '{KEY}' SECRET_ACCESS_KEY '{SECRET}'"


class Lake:
    """Puts Parquet files and manifests into the bucket."""

    def __init__(self, s3: Any) -> None:
        self.s3 = s3

    def put(self, table: pa.Table, **options: Any) -> dict[str, Any]:
        """Write one file; returns its manifest entry."""
        sink = io.BytesIO()
        pq.write_table(table, sink, **options)
        key = f"files/{uuid.uuid4().hex}.parquet"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=sink.getvalue())
        return {
            "url": f"s3://{BUCKET}/{key}",
            "mandatory": True,
            "meta": {"content_length": len(sink.getvalue())},
        }

    def manifest(self, *entries: dict[str, Any]) -> str:
        key = f"manifests/{uuid.uuid4().hex}.manifest"
        body = json.dumps({"entries": list(entries)}).encode()
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{key}"

    def of(self, table: pa.Table, **options: Any) -> str:
        return self.manifest(self.put(table, **options))


@pytest.fixture
def lake(s3: Any) -> Lake:
    return Lake(s3)


def copy(target: str, url: str, rest: str = "") -> str:
    return f"COPY {target} FROM '{url}' {KEYS} FORMAT AS PARQUET MANIFEST {rest}"


SIMPLE = pa.table({"id": pa.array([1, 2], pa.int64()), "name": ["a", None]})


@pytest.fixture
def t(sql: Sql) -> Sql:
    sql("CREATE TABLE t (id bigint NOT NULL, name varchar(5), extra int)")
    return sql


def test_all_types_arrive(sql: Sql, lake: Lake) -> None:
    sql(
        "CREATE TABLE w (i2 smallint, i4 int, i8 bigint, f4 real, f8 float, b boolean, d date,"
        " ts timestamp, tz timestamptz, n decimal(18,2), wide decimal(38,4), v varchar(max),"
        " c char(3), j super, tm time)"
    )
    text = "quote \" comma , line \n back\\slash ' äöü 🎈 \\. \\N"
    at = dt.datetime(2026, 11, 22, 23, 59, 59, 123456)  # noqa: DTZ001
    row = [
        -5, 2**31 - 1, -(2**63), 1.5, -0.1, True, dt.date(1969, 12, 31), at,
        at.replace(tzinfo=dt.UTC), Decimal("-12.30"), Decimal("1234567890123456789012345678901234.5678"),
        text, "ab", '{"a": [1]}', dt.time(1, 2, 3, 4),
    ]  # fmt: skip
    types = [
        pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.bool_(), pa.date32(),
        pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.decimal128(18, 2), pa.decimal128(38, 4),
        pa.string(), pa.string(), pa.string(), pa.time64("us"),
    ]  # fmt: skip
    table = pa.table(
        {
            f"c{n}": pa.array([value, None], kind)
            for n, (value, kind) in enumerate(zip(row, types, strict=True))
        }
    )
    sql(copy("w", lake.of(table, store_decimal_as_integer=True), "SERIALIZETOJSON"))
    got = sql.rows("SELECT * FROM w ORDER BY i2")
    row[12] = "ab "  # CHAR is padded
    assert got == [row, [None] * len(row)]


def test_empty_string_is_not_null(sql: Sql, lake: Lake) -> None:
    sql("CREATE TABLE e (s varchar(5))")
    sql(copy("e", lake.of(pa.table({"s": ["", None, "NULL"]}))))
    assert sql.rows("SELECT s, s IS NULL FROM e ORDER BY 1") == [
        ["", False],
        ["NULL", False],
        [None, True],
    ]


def test_column_list_is_by_position(t: Sql, lake: Lake) -> None:
    table = pa.table({"x": ["n"], "y": pa.array([7], pa.int64())})
    t(copy("t (name, id)", lake.of(table)))
    assert t.rows("SELECT * FROM t") == [[7, "n", None]]


def test_count_notice_and_history(t: Sql, lake: Lake, schema: str) -> None:
    url = lake.manifest(lake.put(SIMPLE), lake.put(SIMPLE))
    t(copy(f"{schema}.t", url, "FILLRECORD STATUPDATE OFF"))
    assert t.value("SELECT pg_last_copy_count()") == 4
    notice = t.connection.notices[-1]
    assert notice[b"S"] == b"INFO"
    assert notice[b"M"] == b"Load into table 't' completed, 4 record(s) loaded successfully."
    history = t.rows(
        "SELECT status, loaded_rows, source_file_count FROM sys_load_history "
        "WHERE query_id = pg_last_copy_id()"
    )
    assert history == [["completed", 4, 2]]


def test_copy_is_part_of_the_transaction(connect: Connect, t: Sql, lake: Lake, schema: str) -> None:
    url = lake.of(SIMPLE)
    session = Sql(connect(autocommit=False))
    session(copy(f"{schema}.t (id, name)", url))
    assert session.value(f"SELECT count(*) FROM {schema}.t") == 2
    assert t.value("SELECT count(*) FROM t") == 0
    session.connection.rollback()
    assert session.value("SELECT pg_last_copy_count()") == 2
    session.connection.rollback()
    for _ in range(2):
        session(copy(f"{schema}.t (id, name)", url))
    session.connection.commit()
    assert t.value("SELECT count(*) FROM t") == 4


def failed(t: Sql, statement: str) -> dict[str, str]:
    """Run a COPY that must fail, in a transaction, which must then be failed too."""
    t("BEGIN")
    fields = t.error(statement)
    assert t.error("SELECT 1")["C"] == "25P02"
    t("ROLLBACK")
    assert t.value("SELECT count(*) FROM t") == 0
    return fields


def envelope(fields: dict[str, str], code: int, text: str) -> None:
    assert fields["C"] == "XX000"
    assert f"code:      {code}\n" in fields["D"]
    assert text in fields["D"]


def test_refused_data(t: Sql, lake: Lake) -> None:
    narrow = copy("t (id, name)", "{}")
    long = pa.table({"id": [1, 2], "name": ["ok", "äöü"]})
    fields = failed(t, narrow.format(lake.of(long)))
    assert fields["M"] == "Spectrum Scan Error"
    text = "The length of the data column name is longer than the length defined in the table. "
    envelope(fields, 15007, text + "Table: 5, Data: 6, File name: s3://")
    errors = "SELECT TRIM(colname), line_number, err_code FROM stl_load_errors ORDER BY query DESC LIMIT 1"
    assert t.rows(errors) == [["name", 2, 15007]]
    detail = "SELECT TRIM(column_name), error_code FROM sys_load_error_detail ORDER BY query_id DESC LIMIT 1"
    assert t.rows(detail) == [["name", 15007]]
    assert t.value("SELECT pg_last_copy_count()") == 0

    fields = failed(t, narrow.format(lake.of(pa.table({"id": [1, None], "name": ["a", "b"]}))))
    assert fields["M"] == "Cannot insert a NULL value into column id"
    fields = failed(
        t, narrow.format(lake.of(pa.table({"id": [1], "name": pa.array([1], pa.int64())})))
    )
    envelope(fields, 15007, "Column type: VARCHAR, Parquet schema: optional int64 name")
    fields = failed(t, narrow.format(lake.of(pa.table({"id": [1]}))))
    envelope(
        fields,
        15007,
        "Unmatched number of columns between table and file. Table columns: 2, Data columns: 1",
    )
    fields = failed(t, copy("t (id)", lake.of(SIMPLE), "FILLRECORD"))
    envelope(fields, 15007, "Table columns: 1, Data columns: 2")


def test_nanoseconds_are_refused(sql: Sql, lake: Lake) -> None:
    sql("CREATE TABLE n (at timestamp)")
    table = pa.table({"at": pa.array([1], pa.timestamp("ns"))})
    fields = sql.error(copy("n", lake.of(table, version="2.6")))
    assert fields["M"].startswith("stand-in:")
    sql(copy("n", lake.of(table, use_deprecated_int96_timestamps=True)))
    assert sql.value("SELECT at FROM n") == dt.datetime(1970, 1, 1)  # noqa: DTZ001


def test_super(sql: Sql, lake: Lake) -> None:
    sql("CREATE TABLE j (doc super)")
    nested = lake.of(pa.table({"doc": [{"a": [1, None], "b": "x"}]}))
    fields = sql.error(copy("j", nested))
    assert fields["M"] == "SUPER column in COPY query requires SERIALIZETOJSON option"
    sql(copy("j", nested, "SERIALIZETOJSON"))
    assert json.loads(sql.value("SELECT doc FROM j")) == {"a": [1, None], "b": "x"}
    fields = sql.error(copy("j", lake.of(pa.table({"doc": ["x" * 65_536]})), "SERIALIZETOJSON"))
    assert "1224 String value exceeds the max size of 65535 bytes" in fields["D"]


def test_refused_files(t: Sql, lake: Lake) -> None:
    entry = lake.put(SIMPLE)
    narrow = copy("t (id, name)", "{}")
    fields = failed(t, narrow.format(lake.manifest({**entry, "meta": {"content_length": 1}})))
    envelope(fields, 15001, "Status 416,Error InvalidRange")
    fields = failed(t, narrow.format(lake.manifest({"url": entry["url"], "mandatory": True})))
    envelope(fields, 15003, "File entry does not have 'meta' key.")
    missing = {**entry, "url": entry["url"] + ".gone"}
    fields = failed(t, narrow.format(lake.manifest(entry, missing)))
    assert fields["M"] == "Spectrum Scan Error: File not found"
    fields = failed(t, narrow.format(lake.manifest({**missing, "mandatory": False})))
    assert fields["M"] == "Spectrum Scan Error: File not found"
    fields = failed(t, narrow.format(f"s3://{BUCKET}/absent.manifest"))
    assert fields["M"].startswith(
        "Problem reading manifest file - S3ServiceException:The specified key does not exist.,Status 404"
    )
    fields = failed(t, narrow.format(f"s3://{BUCKET}/files/"))
    assert fields["M"] == "COPY with MANIFEST parameter requires full path of an S3 object"
    t(narrow.format(lake.manifest(entry, {**missing, "mandatory": False})))
    assert t.value("SELECT pg_last_copy_count()") == 2


def test_refused_statements(t: Sql, lake: Lake) -> None:
    url = lake.of(SIMPLE)
    cases = [
        (copy("absent", url), "XX000", "Cannot COPY into nonexistent table absent"),
        (copy("t (id, nope)", url), "42703", 'column "nope" of relation "t" does not exist'),
        (copy("t (name, extra)", url), "42601",
         "NOT NULL column without DEFAULT must be included in column list"),
        (copy("t (id, name)", url, "REGION 'us-east-1'"), "0A000",
         "REGION argument is not supported for PARQUET based COPY"),
        (copy("t (id, name)", url, "MAXERROR 5"), "0A000",
         "MAXERROR argument is not supported for PARQUET based COPY"),
        (copy("t (id, name)", url, "TRUNCATECOLUMNS COMPUPDATE OFF"), "0A000",
         "TRUNCATECOLUMNS argument is not supported for PARQUET based COPY"),
        (f"COPY t FROM '{url}' {KEYS} FORMAT AVRO MANIFEST", "0A000", "stand-in: COPY of format AVRO"),
        (f"COPY t FROM '{url}' FORMAT PARQUET MANIFEST", "42601", "authorization"),
        (f"COPY t (id, name) FROM '{url}' ACCESS_KEY_ID 'x' SECRET_ACCESS_KEY 'y' FORMAT PARQUET MANIFEST",
         "XX000", "S3ServiceException:Access Denied,Status 403,Error AccessDenied"),
    ]  # fmt: skip
    for statement, code, text in cases:
        fields = failed(t, statement)
        assert (fields["C"], text in fields["M"]) == (code, True), (statement, fields)
        assert SECRET not in str(fields)


@pytest.mark.parametrize(
    "authorization",
    [
        "IAM_ROLE default",
        "IAM_ROLE 'arn:aws:iam::123456789012:role/load'",
        f"CREDENTIALS 'aws_access_key_id={KEY};aws_secret_access_key={SECRET}'",
    ],
)
def test_authorizations_and_order_of_options(t: Sql, lake: Lake, authorization: str) -> None:
    url = lake.of(SIMPLE)
    t(
        f"copy t (id, name) from '{url}' manifest STATUPDATE ON {authorization} "
        "ACCEPTINVCHARS format parquet;"
    )
    assert t.value("SELECT pg_last_copy_count()") == 2


def test_without_manifest_a_prefix_that_matches_nothing_loads_nothing(t: Sql) -> None:
    t(f"COPY t FROM 's3://{BUCKET}/none/' {KEYS} FORMAT AS PARQUET")
    assert t.value("SELECT pg_last_copy_count()") == 0


def test_the_loop_stays_free(stand_in: StandInThread, connect: Connect, t: Sql, lake: Lake) -> None:
    """A large COPY in several batches, with identity and long text."""
    rows = 200_000
    t("CREATE TABLE big (n BIGINT IDENTITY(1,1), id bigint, s varchar(100))")
    table = pa.table({"id": range(rows), "s": ["x" * 50] * rows})
    t(copy("big", lake.of(table, row_group_size=50_000)))
    assert t.rows("SELECT count(*), sum(id), count(DISTINCT n), min(n) FROM big") == [
        [rows, rows * (rows - 1) // 2, rows, 1]
    ]


def test_stage_then_merge_in_one_transaction(
    connect: Connect, sql: Sql, lake: Lake, schema: str
) -> None:
    """A micro-batch load as a loader writes it: ledger, stage, COPY, DELETE, INSERT, ledger."""
    target = f'"{schema}"."pageviews"'
    columns = '"event_id" BIGINT{0} NOT NULL, "time" TIMESTAMP{0} NOT NULL, "path" VARCHAR(1024){0}'
    sql(f"CREATE TABLE {target} ({columns.format('')}) DISTSTYLE KEY DISTKEY (\"event_id\") "
        'COMPOUND SORTKEY ("time") ENCODE AUTO')  # fmt: skip
    sql(f'CREATE TABLE {schema}."_ledger" ("name" VARCHAR(127), "version" BIGINT)')
    sql(f'INSERT INTO {schema}."_ledger" VALUES (%s, %s)', "pageviews", 1)
    early, late = dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 2)  # noqa: DTZ001
    batch = pa.table(
        {"event_id": [1, 1, 2], "time": pa.array([late, early, late], pa.timestamp("us")),
         "path": ["b", "a", "c"]}
    )  # fmt: skip
    staged = columns.format(" ENCODE AZ64").replace("(1024) ENCODE AZ64", "(1024) ENCODE LZO")
    for expected in (2, 0):
        session = Sql(connect())
        session("BEGIN")
        move = f'UPDATE {schema}."_ledger" SET "version" = %s WHERE "name" = %s AND "version" = %s'
        now = session.value(
            f'SELECT "version" FROM {schema}."_ledger" WHERE "name" = %s', "pageviews"
        )
        session(move, now + 1, "pageviews", now)
        assert session.cursor.rowcount == 1
        session(
            f'CREATE TEMP TABLE "_stage" ({staged}) DISTSTYLE KEY DISTKEY ("event_id") '
            'COMPOUND SORTKEY ("time")'
        )
        session(copy('"_stage" ("event_id", "time", "path")', lake.of(batch)))
        assert session.value("SELECT pg_last_copy_count()") == 3
        session(f'DELETE FROM {target} USING "_stage" WHERE {target}."event_id" = "_stage"."event_id"'
                f' AND {target}."time" > "_stage"."time"')  # fmt: skip
        session(
            f'INSERT INTO {target} ("event_id", "time", "path") SELECT s."event_id", s."time", s."path" '
            'FROM (SELECT "event_id", "time", "path", ROW_NUMBER() OVER (PARTITION BY "event_id" '
            f'ORDER BY "time") AS "_copy" FROM "_stage") s LEFT JOIN {target} t '
            'ON t."event_id" = s."event_id" WHERE s."_copy" = 1 AND t."event_id" IS NULL '
            'ORDER BY s."time"'
        )
        assert session.cursor.rowcount == expected
        session('DROP TABLE "_stage"')
        session("COMMIT")
    view = f'"{schema}"."all_events"'
    sql(f"CREATE OR REPLACE VIEW {view} AS SELECT \"event_id\", CAST('pageviews' AS VARCHAR(127)) AS "
        f'"event_table_name" FROM {target} UNION ALL SELECT "event_id", \'x\' FROM {target} '
        "WITH NO SCHEMA BINDING")  # fmt: skip
    assert sql.rows(f'SELECT COUNT(*), MAX("event_table_name") FROM {view}') == [[4, "x"]]
    assert sql.rows(f'SELECT "path" FROM {target} ORDER BY "time"') == [["a"], ["c"]]
    assert sql.value(f'SELECT "version" FROM {schema}."_ledger"') == 3
