"""Answers that take several statements to see. The table of single ones is tests/conformance."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.support.redshift_standin import Connect, Sql

UPSERT = (
    "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET name = s.name "
    "WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, s.name)"
)


@pytest.fixture
def tables(sql: Sql) -> Sql:
    sql("CREATE TABLE t (id bigint NOT NULL, name varchar(10), at timestamp)")
    sql("CREATE TABLE s (LIKE t)")
    sql("INSERT INTO t VALUES (1, 'a', '2026-01-02 03:04:05.678901')")
    return sql


def test_a_refusal_aborts_the_transaction(connect: Connect) -> None:
    session = Sql(connect())
    session("BEGIN")
    assert session.error("CREATE INDEX i ON t (a)")["C"] == "0A000"
    assert session.error("SELECT 1")["C"] == "25P02"
    assert session.error("CREATE TABLE x (a int)")["C"] == "25P02"
    assert session.error("VACUUM")["C"] == "25P02"
    session("ROLLBACK")
    assert session.value("SELECT 1") == 1


def test_queries_of_redshift(tables: Sql) -> None:
    tables("INSERT INTO t (id, name) VALUES (2, 'b'), (3, 'c')")
    assert (
        tables.value("SELECT LISTAGG(name, '-') WITHIN GROUP (ORDER BY id DESC) FROM t") == "c-b-a"
    )
    assert tables.value("SELECT LISTAGG(DISTINCT name) FROM t") == "abc"
    assert tables.rows("SELECT TOP 2 id FROM t ORDER BY id") == [[1], [2]]
    assert tables.rows("SELECT id FROM t MINUS SELECT 2 ORDER BY 1") == [[1], [3]]
    assert tables.value("SELECT APPROXIMATE COUNT(DISTINCT id) FROM t") == 3
    now = tables.value("SELECT GETDATE()")
    assert now.microsecond == 0
    assert now.tzinfo is None
    assert isinstance(tables.value("SELECT SYSDATE"), dt.datetime)
    assert tables.value("SELECT DATEADD(day, 1, SYSDATE) > GETDATE()") is True
    tables(UPSERT)
    tables("INSERT INTO s (id, name) VALUES (1, 'x'), (9, 'n')")
    tables(UPSERT)
    assert tables.rows("SELECT id, name FROM t ORDER BY 1") == [
        [1, "x"],
        [2, "b"],
        [3, "c"],
        [9, "n"],
    ]
    tables("INSERT INTO s (id, name) VALUES (1, 'y')")
    fields = tables.error(UPSERT)
    assert (fields["C"], fields["M"]) == (
        "XX000", "Found multiple matches to update the same tuple.",
    )  # fmt: skip
    tables("DELETE FROM t USING s WHERE t.id = s.id")
    assert tables.rows("SELECT id FROM t ORDER BY 1") == [[2], [3]]


def test_keys_are_never_enforced(sql: Sql) -> None:
    sql("CREATE TABLE k (a int PRIMARY KEY, b int UNIQUE, c int REFERENCES k (a), UNIQUE (a, b))")
    sql("INSERT INTO k VALUES (1, 1, 7), (1, 1, 7)")
    assert sql.value("SELECT count(*) FROM k") == 2
    assert sql.error("INSERT INTO k VALUES (NULL, 1, 1)")["C"] == "XX000"


def test_names_fold_and_may_be_long(sql: Sql) -> None:
    long = "property_" + "x" * 110
    sql(f'CREATE TABLE "MixedCase" ("ÄCol" int, "{long}" varchar(5))')
    sql("INSERT INTO mixedcase VALUES (1, 'a')")
    sql(f'SELECT "{long}", "Äcol" FROM mixedcase')
    assert [column[0] for column in sql.cursor.description] == [long, "Äcol"]
    assert sql.cursor.fetchall() == (["a", 1],)
    named = 'SELECT "column" FROM pg_table_def WHERE tablename = %s ORDER BY 1'
    assert sql.rows(named, "mixedcase") == [[long], ["Äcol"]]
    assert long in sql.error(f'ALTER TABLE mixedcase ADD COLUMN "{long}" int')["M"]
    assert sql.rows("SELECT column_name FROM svv_columns WHERE column_name = %s", long) == [[long]]


def test_parameters_of_redshift(sql: Sql) -> None:
    assert sql.value("SHOW query_group") == "default"
    sql("SET query_group TO 'loader'")
    assert sql.value("SHOW query_group") == "loader"
    sql("RESET query_group")
    assert sql.value("SHOW query_group") == "default"
    for statement in (
        "SET wlm_query_slot_count TO 2",
        "SET enable_result_cache_for_session TO off",
        "SET statement_timeout TO 60000",
        "SET analyze_threshold_percent TO 0",
        "SET json_serialization_enable TO true",
    ):
        sql(statement)
    sql("SET enable_case_sensitive_identifier TO true")
    sql('CREATE TABLE "Kept" (a int)')
    assert sql.error("SELECT * FROM kept")["C"] == "42P01"
    sql("RESET enable_case_sensitive_identifier")


def test_grants_and_principals(tables: Sql, schema: str) -> None:
    group, role, user = f"g_{schema}", f"r_{schema}", f"u_{schema}"
    tables(f"CREATE GROUP {group}")
    tables(f"CREATE ROLE {role}")
    tables(f"CREATE USER {user} PASSWORD DISABLE")
    tables(f"GRANT SELECT ON t TO GROUP {group}, ROLE {role}, {user}")
    tables(f"GRANT USAGE ON SCHEMA {schema} TO ROLE {role}")
    tables(f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO GROUP {group}")
    tables(f"REVOKE SELECT ON t FROM GROUP {group}")
    tables("COMMENT ON TABLE t IS 'kept'")
    assert tables.value("SELECT remarks FROM svv_all_tables WHERE schema_name = %s "
                        "AND table_name = 't'", schema) == "kept"  # fmt: skip
    tables("GRANT DROP ON t TO PUBLIC")


def test_long_names_inside_an_old_snapshot(connect: Connect, sql: Sql, schema: str) -> None:
    long = "column_" + "y" * 100
    session = Sql(connect(autocommit=False))
    session.rows("SELECT count(*) FROM svv_columns")
    session(f'CREATE TABLE {schema}.l ("{long}" int)')
    named = "SELECT column_name FROM svv_columns WHERE table_schema = %s AND table_name = 'l'"
    assert session.rows(named, schema) == [[long]]
    session.connection.commit()
    assert sql.rows(named, schema) == [[long]]
