"""Which rows stand in the sorted region, what VACUUM and ANALYZE make of it, and SVV_TABLE_INFO."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest

from tests.support.redshift_standin import BUCKET, KEY, SECRET, Connect, Sql

KEYS = f"ACCESS_KEY_ID '{KEY}' SECRET_ACCESS_KEY '{SECRET}'"
DAY_ONE = dt.datetime(2026, 1, 1)  # noqa: DTZ001
COLUMNS = "id bigint NOT NULL, at timestamp NOT NULL"


class Table:
    """A table ``t``, loaded a day at a time with ten events each."""

    def __init__(self, sql: Sql, schema: str, s3: Any) -> None:
        self.sql = sql
        self.schema = schema
        self.s3 = s3

    def make(self, columns: str = COLUMNS, keys: str = "DISTKEY (id) SORTKEY (at)") -> None:
        self.sql("DROP TABLE IF EXISTS t")
        self.sql(f"CREATE TABLE t ({columns}) {keys}")

    def copy(self, *days: int, sql: Sql | None = None) -> None:
        lines = [
            f"{day * 10 + n}|{DAY_ONE + dt.timedelta(days=day, hours=n)}\n"
            for day in days
            for n in range(10)
        ]
        key = f"regions/{uuid.uuid4().hex}"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body="".join(lines).encode())
        (sql or self.sql)(f"COPY {self.schema}.t FROM 's3://{BUCKET}/{key}' {KEYS}")

    def insert(self, *days: int) -> None:
        """The same rows by INSERT ... SELECT."""
        rows = " UNION ALL ".join(
            f"SELECT {day * 10 + n}, TIMESTAMP '{DAY_ONE + dt.timedelta(days=day, hours=n)}'"
            for day in days
            for n in range(10)
        )
        self.sql(f"INSERT INTO t {rows}")

    def info(self, columns: str) -> list[Any]:
        rows = self.sql.rows(
            f"SELECT {columns} FROM svv_table_info WHERE \"table\" = 't' AND schema = '{self.schema}'"
        )
        assert len(rows) == 1
        return [None if value is None else float(value) for value in rows[0]]

    def unsorted(self) -> list[Any]:
        """Percent outside the sorted region, and percent that a sort would move."""
        return self.info("unsorted, vacuum_sort_benefit")

    def vacuums(self) -> list[str]:
        """What STL_VACUUM says of ``t``, the oldest first."""
        rows = self.sql.rows(
            "SELECT TRIM(v.status) FROM stl_vacuum v WHERE v.table_id = (SELECT table_id FROM svv_table_info"
            f" WHERE \"table\" = 't' AND schema = '{self.schema}') ORDER BY eventtime"
        )
        return [row[0] for row in rows]


@pytest.fixture
def t(sql: Sql, schema: str, s3: Any) -> Table:
    table = Table(sql, schema, s3)
    table.make()
    return table


def test_thirty_days_copied_in_time_order_need_no_vacuum(t: Table) -> None:
    for day in range(30):
        t.copy(day)
    assert t.unsorted() == [0, 0]
    assert t.info("tbl_rows, estimated_visible_rows") == [300, 300]
    t.sql("VACUUM t")
    assert t.vacuums() == ["Skipped(sorted>=95%)"]


def test_late_events_stand_unsorted_until_vacuum(t: Table) -> None:
    for day in range(5):
        t.copy(day)
    t.copy(2)
    t.copy(5)  # above all others, but the table is not fully sorted any more
    assert t.unsorted() == [pytest.approx(28.57), pytest.approx(14.29)]
    t.sql("VACUUM SORT ONLY t TO 100 PERCENT")
    assert t.unsorted() == [0, 0]
    t.copy(6)
    assert t.unsorted() == [0, 0]
    assert t.vacuums() == ["Started Sort Only", "Finished"]


def test_rewrites_leave_deleted_and_unsorted_rows(t: Table) -> None:
    t.copy(0, 1, 2, 3)
    t.sql("DELETE FROM t WHERE at < '2026-01-02'")
    t.insert(0)
    assert t.info("tbl_rows, estimated_visible_rows, unsorted") == [50, 40, 20]
    assert t.unsorted()[1] == 20
    t.sql("UPDATE t SET id = id + 1 WHERE at >= '2026-01-04'")
    assert t.info("tbl_rows, estimated_visible_rows, unsorted") == [60, 40, pytest.approx(33.33)]
    t.sql("VACUUM DELETE ONLY t")
    assert t.info("tbl_rows, estimated_visible_rows, unsorted") == [40, 40, 32.5]
    t.sql("VACUUM SORT ONLY t")
    assert t.unsorted() == [0, 0]
    t.sql("VACUUM FULL t")
    assert t.vacuums() == [
        "Started Delete Only", "Finished", "Started Sort Only", "Finished", "Skipped(sorted>=95%)",
    ]  # fmt: skip


def test_inserted_rows_are_unsorted_but_need_no_sort_when_they_follow(t: Table) -> None:
    t.insert(0)  # into an empty table: it is filled in order
    assert t.unsorted() == [0, 0]
    for day in range(1, 5):
        t.insert(day)
    assert t.unsorted() == [80, 0]


@pytest.mark.parametrize(
    ("columns", "keys"),
    [
        ("id bigint, at timestamp", "SORTKEY (at)"),
        (COLUMNS, "SORTKEY (at, id)"),
        (COLUMNS, "INTERLEAVED SORTKEY (at)"),
    ],
)
def test_only_one_plain_key_without_nulls_lets_copy_append(
    t: Table, columns: str, keys: str
) -> None:
    t.make(columns, keys)
    t.copy(0)
    assert t.info("unsorted") == [0]
    t.copy(1)
    assert t.info("unsorted") == [50]


def test_a_text_key_counts_with_its_first_eight_bytes(t: Table) -> None:
    t.make("id varchar(9), at varchar(30) NOT NULL", "SORTKEY (at)")
    t.copy(0)
    t.copy(1)  # 2026-01-02 and 2026-01-01 begin with the same eight bytes
    assert t.info("unsorted") == [50]


def test_a_rollback_takes_it_along(t: Table, connect: Connect) -> None:
    t.copy(0)
    t.sql("BEGIN")
    t.copy(-5)
    t.insert(9)
    t.sql("DELETE FROM t")
    t.sql("ROLLBACK")
    assert t.info("unsorted, tbl_rows") == [0, 10]
    t.sql("BEGIN")
    t.copy(1)
    t.copy(2)
    t.sql("COMMIT")
    assert t.info("unsorted, tbl_rows") == [0, 30]
    # Two writers of one table do not wait for each other's notes.
    one, two = Sql(connect(autocommit=False)), Sql(connect(autocommit=False))
    for session in (one, two):
        session(f"INSERT INTO {t.schema}.t VALUES (1, '2027-01-01')")
    one.connection.commit()
    two.connection.commit()
    assert t.info("tbl_rows, unsorted") == [32, 6.25]


def test_truncate_and_a_table_made_by_a_query_begin_anew(t: Table) -> None:
    t.copy(3)
    t.copy(1)
    t.sql("TRUNCATE t")
    t.copy(2)
    assert t.info("unsorted, tbl_rows, stats_off") == [0, 10, 0]
    t.sql("ALTER TABLE t RENAME TO old")
    t.sql("CREATE TABLE t SORTKEY (at) AS SELECT * FROM old")
    assert t.info("unsorted, tbl_rows, stats_off") == [0, 10, 0]


def test_analyze_is_skipped_while_little_has_changed(t: Table) -> None:
    t.insert(*range(10))
    assert t.info("stats_off") == [100]
    t.sql("ANALYZE t")
    assert t.info("stats_off") == [0]
    t.sql("DELETE FROM t WHERE id < 5")
    assert t.info("stats_off") == [pytest.approx(5.26)]
    t.sql("ANALYZE t")
    assert t.info("stats_off") == [pytest.approx(5.26)]
    t.sql("SET analyze_threshold_percent TO 0")
    t.sql("ANALYZE t")
    assert t.info("stats_off") == [0]


def test_skew(t: Table) -> None:
    t.copy(*range(20))
    rows, key = t.info("skew_rows, skew_sortkey1")
    assert 1 <= rows < 2
    assert key == 1  # both columns have eight bytes
    t.sql("UPDATE t SET id = 7")
    assert t.info("skew_rows") == [None]  # one slice has nothing


def test_merge_counts_what_it_did(t: Table) -> None:
    t.copy(0, 1)
    t.sql("CREATE TABLE s (LIKE t)")
    t.sql(
        "INSERT INTO s SELECT id, at FROM t WHERE id < 3 UNION ALL SELECT 99, TIMESTAMP '2026-02-01'"
    )
    t.sql(
        "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET at = s.at"
        " WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.at)"
    )
    # Three rows written anew and one added, all outside the sorted region.
    assert t.info("tbl_rows, estimated_visible_rows, unsorted") == [24, 21, pytest.approx(16.67)]
