"""What Redshift refuses or answers, statement by statement, through the real driver."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.support.redshift_standin import Connect, Sql


def at(*parts: int) -> dt.datetime:
    return dt.datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001 - Redshift's TIMESTAMP


BOTH = "WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.id)"
UPSERT = (
    "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET name = s.name "
    "WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, s.name)"
)
LEADER = "Specified types or functions (one per INFO message) not supported on Redshift tables."

# Each runs against: t (id bigint not null, name varchar(10), at timestamp), s like t, one row in t.
REFUSED = [
    ("SELECT 1; SELECT 2", "42601", "cannot insert multiple commands into a prepared statement"),
    ("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", "42601", 'syntax error at or near "ON"'),
    ("INSERT INTO t VALUES (1) RETURNING id", "42601", 'syntax error at or near "RETURNING"'),
    ("CREATE INDEX i ON t (id)", "0A000",
     'SQL command "CREATE INDEX i ON t (id)" not supported on Redshift tables.'),
    ("SELECT DISTINCT ON (id) id FROM t", "0A000", "SELECT DISTINCT ON is not supported"),
    ("SELECT count(*) FILTER (WHERE id > 1) FROM t", "42601", "syntax error"),
    ("SAVEPOINT a", "0A000", "SAVEPOINT is not supported"),
    ("ROLLBACK TO SAVEPOINT a", "0A000", "SAVEPOINT is not supported"),
    ("CREATE SEQUENCE q", "0A000", "sequences are not supported"),
    ("CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f()", "0A000", "triggers"),
    ("DELETE FROM t x WHERE x.id = 1", "42601", 'syntax error at or near "x"'),
    ("DELETE FROM t AS x", "42601", 'syntax error at or near "AS"'),
    ("SELECT * FROM (VALUES (1)) v", "42601", 'syntax error at or near "VALUES"'),
    ("SELECT string_agg(name, ',') FROM t", "42883", "string_agg"),
    ("SELECT array_agg(name) FROM t", "42883", "array_agg"),
    ("SELECT name::jsonb FROM t", "42704", 'type "jsonb" does not exist'),
    ("SELECT CAST(name AS uuid) FROM t", "42704", 'type "uuid" does not exist'),
    ("SELECT name -> 'a' FROM t", "42883", "operator does not exist"),
    ("SELECT * FROM t WHERE id IS DISTINCT FROM 1", "42601", 'syntax error at or near "DISTINCT"'),
    ("SELECT * FROM t WHERE id IS NOT DISTINCT FROM 1", "42601", "syntax error"),
    ("WITH d AS (DELETE FROM t) SELECT 1", "42601", 'syntax error at or near "DELETE"'),
    ("SELECT * FROM t FOR UPDATE", "0A000", "SELECT FOR UPDATE is not supported"),
    ("SELECT row_number() OVER (ORDER BY id NULLS LAST) FROM t", "42601", "NULLS"),
    ("SELECT now() FROM t", "0A000", LEADER),
    ("INSERT INTO t SELECT 1, 'a', CURRENT_TIMESTAMP", "0A000", LEADER),
    ("SELECT current_schema(), id FROM t", "0A000", LEADER),
    ("SELECT has_table_privilege('t', 'select') FROM t", "0A000", LEADER),
    ("SELECT id FROM t, generate_series(1, 2)", "0A000", LEADER),
    (f"MERGE INTO t x USING s ON x.id = s.id {BOTH}", "42601", 'syntax error at or near "x"'),
    ("MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN DELETE", "42601", "syntax error"),
    (f"MERGE INTO t USING (SELECT * FROM s) s ON t.id = s.id {BOTH}", "42601", 'syntax error at or near "("'),
    ("MERGE INTO t USING s ON t.id = s.id WHEN MATCHED AND s.id > 1 THEN DELETE", "42601",
     'syntax error at or near "AND"'),
    ("MERGE INTO t USING s ON t.id = s.id REMOVE DUPLICATES", "0A000", "stand-in: MERGE"),
    ("CREATE TABLE n (a jsonb)", "42704", 'type "jsonb" does not exist'),
    ("CREATE TABLE n (a uuid)", "0A000", 'Column "n.a" has unsupported type "uuid".'),
    ("CREATE TABLE n (a text[])", "0A000", 'Column "n.a" has unsupported type "text[]".'),
    ("CREATE TABLE n (a bytea)", "0A000", 'Column "n.a" has unsupported type "bytea".'),
    ("CREATE TABLE n (a varchar(70000))", "22023",
     "Column length exceeds maximum allowed (maximum column length is 65535)"),
    ("CREATE TABLE n (a int CHECK (a > 0))", "0A000", "CHECK constraints are not supported"),
    ("CREATE TABLE n (a int, b int, CHECK (a > b))", "0A000", "CHECK constraints"),
    ("CREATE TABLE n (a int SORTKEY, b int ENCODE gzip)", "42704", "gzip"),
    ("CREATE TABLE n (a int) SORTKEY (b)", "42703", 'column "b" of relation "n" does not exist'),
    ("CREATE TABLE n (a int) DISTSTYLE EVEN DISTKEY (a)", "42601", "DISTKEY"),
    ("CREATE TABLE n (a int DISTKEY, b int DISTKEY)", "42601", "multiple distribution keys"),
    ("CREATE TABLE n (LIKE t) SORTKEY (id)", "42601", 'syntax error at or near "SORTKEY"'),
    ("CREATE TABLE t (a int)", "42P07", 'Relation "t" already exists'),
    ("CREATE TEMP TABLE public.n (a int)", "42P16", "temporary tables"),
    ("ALTER TABLE t ADD COLUMN a int, ADD COLUMN b int", "42601", 'syntax error at or near ","'),
    ("ALTER TABLE t ADD COLUMN IF NOT EXISTS a int", "42601", 'syntax error at or near "NOT"'),
    ("ALTER TABLE t ADD COLUMN name int", "42701", 'column "name" of relation "t" already exists'),
    ("ALTER TABLE t ADD COLUMN a int NOT NULL", "0A000", "NOT NULL"),
    ("ALTER TABLE t ALTER COLUMN id TYPE int", "0A000", "not supported"),
    ("ALTER TABLE t ALTER COLUMN id TYPE varchar(20)", "0A000", "not supported"),
    ("ALTER TABLE t ALTER COLUMN name SET DEFAULT 'x'", "0A000",
     "ALTER COLUMN SET/DROP DEFAULT is not supported"),
    ("ALTER TABLE t ALTER COLUMN name DROP NOT NULL", "0A000", "not supported"),
    ("ALTER TABLE t SET SCHEMA public", "42601", 'syntax error at or near "SET"'),
    ("INSERT INTO t VALUES (NULL, 'a')", "XX000", "Cannot insert a NULL value into column id"),
    ("INSERT INTO t VALUES (1, 'äöüäöü')", "22001",
     "value too long for type character varying(10)"),
    ("SELECT * FROM absent", "42P01", 'relation "absent" does not exist'),
    ("TRUNCATE t, s", "42601", "syntax error"),
    ("LOCK TABLE t IN SHARE MODE", "42601", 'syntax error at or near "IN"'),
    ("EXPLAIN ANALYZE SELECT 1", "42601", 'syntax error at or near "ANALYZE"'),
    ("COPY t FROM STDIN", "42601", "string literal"),
    ("COPY (SELECT 1) TO STDOUT", "42601", "syntax error"),
    ("SELECT id FROM t QUALIFY row_number() OVER (ORDER BY id) = 1", "0A000", "stand-in: QUALIFY"),
    ("CREATE VIEW w AS SELECT id FROM t WITH NO SCHEMA BINDING", "0A000", "unqualified name"),
    ("FROBNICATE t", "42601", 'syntax error at or near "FROBNICATE"'),
    ("SELECT pg_sleep(1)", "42883", "pg_sleep"),
]  # fmt: skip


@pytest.fixture
def tables(sql: Sql) -> Sql:
    sql("CREATE TABLE t (id bigint NOT NULL, name varchar(10), at timestamp)")
    sql("CREATE TABLE s (LIKE t)")
    sql("INSERT INTO t VALUES (1, 'a', '2026-01-02 03:04:05.678901')")
    return sql


def test_refused_statements(tables: Sql) -> None:
    wrong = []
    for statement, code, text in REFUSED:
        fields = tables.error(statement)
        if fields["C"] != code or text not in fields["M"]:
            wrong.append((statement, fields["C"], fields["M"]))
        assert set(fields) <= {"S", "C", "M", "D", "H"}, statement
    assert wrong == []
    assert tables.rows("SELECT id, name FROM t") == [[1, "a"]]


def test_a_refusal_aborts_the_transaction(connect: Connect) -> None:
    session = Sql(connect())
    session("BEGIN")
    assert session.error("CREATE INDEX i ON t (a)")["C"] == "0A000"
    assert session.error("SELECT 1")["C"] == "25P02"
    assert session.error("CREATE TABLE x (a int)")["C"] == "25P02"
    assert session.error("VACUUM")["C"] == "25P02"
    session("ROLLBACK")
    assert session.value("SELECT 1") == 1


# expression, what it gives
VALUES = [
    ("DATEDIFF(year, '2025-12-31', '2026-01-01')", 1),
    ("DATEDIFF(day, '2026-01-01 23:59:59', '2026-01-02 00:00:01')", 1),
    ("DATEDIFF(hour, '2026-01-01 00:59:59', '2026-01-01 01:00:00')", 1),
    ("DATEDIFF(minute, '2026-01-01 00:00:59', '2026-01-01 00:01:00')", 1),
    ("DATEDIFF(minute, '2026-01-01 00:01:00', '2026-01-01 00:00:59')", -1),
    ("DATEDIFF('week', '2026-01-03', '2026-01-04')", 1),  # Saturday to Sunday
    ("DATEDIFF(qtr, '2025-12-31', '2026-04-01')", 2),
    ("DATEDIFF(mon, '2026-01-31', '2026-02-01')", 1),
    ("DATEDIFF(seconds, '1969-12-31 23:59:59.5', '1970-01-01 00:00:00.5')", 1),
    ("DATEADD(month, 1, '2026-01-31'::timestamp)", at(2026, 2, 28)),
    ("DATEADD(day, -1, '2026-01-01')", at(2025, 12, 31)),
    ("DATEADD(ms, 1500, '2026-01-01')", at(2026, 1, 1, 0, 0, 1, 500000)),
    ("NVL(NULL, NULL, 3)", 3),
    ("NVL2(NULL, 1, 2)", 2),
    ("DECODE(NULL, 1, 'one', NULL, 'none', 'other')", "none"),
    ("LEN('äöü')", 3),
    ("CONVERT_TIMEZONE('Europe/Berlin', '2026-01-01 12:00'::timestamp)", at(2026, 1, 1, 13)),
    ("CONVERT_TIMEZONE('Europe/Berlin', 'UTC', '2026-07-01 12:00'::timestamp)",
     at(2026, 7, 1, 10)),
    ("JSON_EXTRACT_PATH_TEXT('{\"a\": {\"b\": \"x\"}}', 'a', 'b')", "x"),
    ("JSON_EXTRACT_PATH_TEXT('{\"a\": 1}', 'z')", None),
    ("JSON_EXTRACT_PATH_TEXT('not json', 'z', TRUE)", None),
    ("CAST(1.7 AS DECIMAL)::varchar", "2"),
    ("'it\\'s'", "it's"),
    ("'a\\nb'", "a\nb"),
    ("DATE_PART(dow, '2026-01-04'::timestamp)", 0.0),
    ("CAST('x' AS VARCHAR(MAX))", "x"),
    ("pg_last_copy_id()", -1),
    ("pg_last_copy_count()", 0),
]  # fmt: skip


def test_functions(sql: Sql) -> None:
    got = [(expression, sql.value(f"SELECT {expression}")) for expression, _ in VALUES]
    assert got == VALUES


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
    assert tables.error("GRANT DROP ON t TO PUBLIC")["M"].startswith("stand-in: privilege DROP")


def test_long_names_inside_an_old_snapshot(connect: Connect, sql: Sql, schema: str) -> None:
    long = "column_" + "y" * 100
    session = Sql(connect(autocommit=False))
    session.rows("SELECT count(*) FROM svv_columns")
    session(f'CREATE TABLE {schema}.l ("{long}" int)')
    named = "SELECT column_name FROM svv_columns WHERE table_schema = %s AND table_name = 'l'"
    assert session.rows(named, schema) == [[long]]
    session.connection.commit()
    assert sql.rows(named, schema) == [[long]]
