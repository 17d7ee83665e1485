"""Queries and writes that PostgreSQL takes and Redshift does not."""

from __future__ import annotations

from tests.conformance.case import Case, refused

FEATURES = "AWS docs: Unsupported PostgreSQL features"
TYPES = "AWS docs: Unsupported PostgreSQL data types"
FUNCTIONS = "AWS docs: Unsupported PostgreSQL functions"
LEADER_PAGE = "AWS docs: Leader node-only functions"
SELECT = "AWS docs: SELECT"
INSERT = "AWS docs: INSERT"
WINDOW = "AWS docs: Window functions"
LEADER = "Specified types or functions (one per INFO message) not supported on Redshift tables."


def syntax(sql: str, near: str, source: str, *before: str) -> Case:
    """A statement that leaves Redshift's grammar at a word."""
    text = f'syntax error at or near "{near}"'
    return refused(sql, "42601", text, source, before=before, inferred="text")


def absent(call: str, function: str) -> Case:
    """A function that Redshift does not have."""
    text = f"function {function}(…) does not exist"
    return refused(f"SELECT {call}", "42883", text, FUNCTIONS, inferred="text")


def leader(sql: str) -> Case:
    """A leader-node function beside a user's table."""
    return refused(sql, "0A000", LEADER, LEADER_PAGE)


CASES = (
    refused("SELECT 1; SELECT 2", "42601",
            "cannot insert multiple commands into a prepared statement", "observed",
            client="redshift_connector", name="two statements in one Parse"),
    refused("BEGIN; COMMIT", "42601",
            "cannot insert multiple commands into a prepared statement", "observed",
            client="psycopg", name="two statements in one Parse, by psycopg"),
    # Writes
    syntax("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", "ON", "observed"),
    syntax("INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET name = 'x'", "ON", "observed"),
    syntax("INSERT INTO t VALUES (1) RETURNING id", "RETURNING", INSERT),
    syntax("UPDATE t SET name = 'x' RETURNING id", "RETURNING", "AWS docs: UPDATE"),
    syntax("DELETE FROM t WHERE id = 1 RETURNING *", "RETURNING", "AWS docs: DELETE"),
    syntax("INSERT INTO t (id) OVERRIDING SYSTEM VALUE VALUES (1)", "OVERRIDING", INSERT),
    syntax("DELETE FROM t x WHERE x.id = 1", "x", "AWS docs: DELETE"),
    syntax("DELETE FROM t AS x", "AS", "AWS docs: DELETE"),
    syntax("DELETE FROM ONLY t", "ONLY", "AWS docs: DELETE"),
    syntax("UPDATE ONLY t SET name = 'x'", "ONLY", "AWS docs: UPDATE"),
    syntax("UPDATE t SET (id, name) = (1, 'x')", "(", "AWS docs: UPDATE"),
    syntax("WITH d AS (DELETE FROM t) SELECT 1", "DELETE", "AWS docs: WITH clause"),
    syntax("WITH d AS (INSERT INTO t VALUES (2)) SELECT 1", "INSERT", "AWS docs: WITH clause"),
    syntax("WITH d AS (UPDATE t SET name = 'x') SELECT 1", "UPDATE", "AWS docs: WITH clause"),
    refused("UPDATE t SET name = 'x' FROM t c LEFT JOIN s ON c.id = s.id", "0A000",
            "Target table must be part of an equijoin predicate", "AWS docs: UPDATE",
            inferred="code"),
    refused("DELETE FROM t USING t c LEFT JOIN s ON c.id = s.id", "0A000",
            "Target table must be part of an equijoin predicate", "AWS docs: UPDATE",
            inferred="code"),
    refused("INSERT INTO t VALUES (1), ((SELECT 2))", "0A000", "…", INSERT, inferred="code, text"),
    refused("INSERT INTO t VALUES (NULL, 'a')", "XX000",
            "Cannot insert a NULL value into column id", "observed"),
    refused("UPDATE t SET id = NULL", "XX000", "Cannot insert a NULL value into column id",
            "observed", inferred="text"),
    refused("INSERT INTO t VALUES (1, 'äöüäöü')", "22001",
            "value too long for type character varying(10)", "observed"),
    refused("INSERT INTO t VALUES (1, 'abcdefghijk')", "22001",
            "value too long for type character varying(10)", "observed"),
    # Queries
    refused("SELECT DISTINCT ON (id) id FROM t", "0A000", "SELECT DISTINCT ON is not supported",
            "observed", inferred="code"),
    syntax("SELECT count(*) FILTER (WHERE id > 1) FROM t", "(", "AWS docs: COUNT function"),
    syntax("SELECT * FROM (VALUES (1)) v", "VALUES", FEATURES),
    syntax("VALUES (1), (2)", "VALUES", FEATURES),
    syntax("TABLE t", "TABLE", SELECT),
    syntax("SELECT * FROM ONLY t", "ONLY", FEATURES),
    syntax("SELECT * FROM t, LATERAL (SELECT 1) x", "LATERAL", SELECT),
    syntax("SELECT * FROM t CROSS JOIN LATERAL (SELECT t.id) x", "LATERAL", SELECT),
    syntax("SELECT * FROM t TABLESAMPLE SYSTEM (10)", "TABLESAMPLE", SELECT),
    syntax("SELECT * FROM t WHERE id IS DISTINCT FROM 1", "DISTINCT", FEATURES),
    syntax("SELECT * FROM t WHERE id IS NOT DISTINCT FROM 1", "DISTINCT", FEATURES),
    syntax("SELECT name IS JSON FROM t", "JSON", FEATURES),
    syntax("SELECT row_number() OVER (ORDER BY id NULLS LAST) FROM t", "NULLS", FEATURES),
    syntax("SELECT row_number() OVER (ORDER BY id NULLS FIRST) FROM t", "NULLS", FEATURES),
    syntax("SELECT sum(a) OVER w FROM n WINDOW w AS (ORDER BY b)", "w", WINDOW),
    syntax("SELECT sum(a) OVER (ORDER BY b GROUPS 1 PRECEDING) FROM n", "GROUPS", WINDOW),
    syntax("SELECT sum(a) OVER (ORDER BY b ROWS 1 PRECEDING EXCLUDE TIES) FROM n", "EXCLUDE",
           WINDOW),
    syntax("SELECT id FROM t FETCH FIRST 1 ROW ONLY", "FETCH", SELECT),
    syntax("SELECT id FROM t FETCH FIRST ROW WITH TIES", "FETCH", SELECT),
    refused("SELECT * FROM t FOR UPDATE", "0A000", "SELECT FOR UPDATE is not supported", SELECT,
            inferred="code, text"),
    refused("SELECT * FROM t FOR SHARE", "0A000", "SELECT FOR SHARE is not supported", SELECT,
            inferred="code, text"),
    syntax("WITH x AS MATERIALIZED (SELECT 1) SELECT * FROM x", "MATERIALIZED",
           "AWS docs: WITH clause"),
    syntax("WITH x AS NOT MATERIALIZED (SELECT 1) SELECT * FROM x", "NOT",
           "AWS docs: WITH clause"),
    refused("SELECT * FROM absent", "42P01", 'relation "absent" does not exist', "observed"),
    refused("SELECT absent FROM t", "42703", 'column "absent" does not exist…', "observed",
            inferred="text"),
    refused("SELECT nan", "42703", 'column "nan" does not exist', "observed", inferred="text"),
    syntax("EXPLAIN ANALYZE SELECT 1", "ANALYZE", "AWS docs: EXPLAIN"),
    syntax("EXPLAIN (FORMAT JSON) SELECT 1", "(", "AWS docs: EXPLAIN"),
    syntax("FROBNICATE t", "FROBNICATE", "AWS docs: SQL commands"),
    # Types and operators
    refused("SELECT name::jsonb FROM t", "42704", 'type "jsonb" does not exist', TYPES),
    refused("SELECT CAST(name AS uuid) FROM t", "42704", 'type "uuid" does not exist', TYPES,
            inferred="code, text"),
    refused("SELECT name::bytea FROM t", "42704", 'type "bytea" does not exist', TYPES,
            inferred="code, text"),
    refused("SELECT '{}'::json", "42704", 'type "json" does not exist', TYPES,
            inferred="code, text"),
    refused("SELECT name -> 'a' FROM t", "42883", "operator does not exist: …", FEATURES,
            inferred="text"),
    refused("SELECT name ->> 'a' FROM t", "42883", "operator does not exist: …", FEATURES,
            inferred="text"),
    refused("SELECT ARRAY[id] FROM t", "0A000", LEADER, TYPES),
    refused("SELECT ROW(id, name) FROM t", "0A000", LEADER, FEATURES, inferred="text"),
    # Functions
    absent("string_agg(name, ',') FROM t", "string_agg"),
    absent("array_agg(name) FROM t", "array_agg"),
    absent("format('%s', name) FROM t", "format"),
    refused("SELECT is_valid_json(v) FROM x", "42883",
            "function is_valid_json(super) does not exist", "observed",
            before=("CREATE TABLE x (v super)", "INSERT INTO x SELECT JSON_PARSE('[1]')")),
    absent("regexp_matches(name, 'a') FROM t", "regexp_matches"),
    absent("regexp_split_to_array(name, 'a') FROM t", "regexp_split_to_array"),
    absent("regexp_split_to_table(name, 'a') FROM t", "regexp_split_to_table"),
    absent("bit_length(name) FROM t", "bit_length"),
    absent("clock_timestamp()", "clock_timestamp"),
    absent("statement_timestamp()", "statement_timestamp"),
    absent("transaction_timestamp()", "transaction_timestamp"),
    absent("pg_sleep(1)", "pg_sleep"),
    absent("width_bucket(5, 1, 10, 5)", "width_bucket"),
    absent("div(7, 2)", "div"),
    absent("pg_advisory_lock(1)", "pg_advisory_lock"),
    absent("pg_try_advisory_lock(1)", "pg_try_advisory_lock"),
    absent("gen_random_uuid()", "gen_random_uuid"),
    absent("json_agg(name) FROM t", "json_agg"),
    absent("json_build_object('a', 1)", "json_build_object"),
    absent("row_to_json(t) FROM t", "row_to_json"),
    absent("nextval('q')", "nextval"),
    absent("make_date(2026, 1, 1)", "make_date"),
    absent("date_bin('1 day', now(), now())", "date_bin"),
    absent("jsonb_set('{}', '{a}', '1')", "jsonb_set"),
    absent("array_length('{}', 1)", "array_length"),
    absent("encode('a', 'hex')", "encode"),
    absent("pg_read_file('x')", "pg_read_file"),
    absent("dblink('x')", "dblink"),
    absent("similarity('a', 'b')", "similarity"),
    absent("overlay('abc' PLACING 'x' FROM 2)", "overlay"),
    # Leader-node functions beside a table
    leader("SELECT now() FROM t"),
    leader("INSERT INTO t SELECT 1, 'a', CURRENT_TIMESTAMP"),
    leader("INSERT INTO t VALUES (1, 'a', now())"),
    leader("UPDATE t SET at = now()"),
    leader("DELETE FROM t WHERE at < CURRENT_TIMESTAMP"),
    leader("SELECT current_schema(), id FROM t"),
    leader("SELECT has_table_privilege('t', 'select') FROM t"),
    leader("SELECT has_schema_privilege('public', 'usage') FROM t"),
    leader("SELECT age(at) FROM t"),
    leader("SELECT LOCALTIME FROM t"),
    leader("SELECT current_setting('query_group') FROM t"),
    leader("SELECT id FROM t, generate_series(1, 2)"),
    leader("INSERT INTO t (id) SELECT generate_series(1, 2)"),
    leader("CREATE TABLE g AS SELECT generate_series(1, 2) AS n"),
    leader("CREATE TABLE g AS SELECT now() AS n"),
    leader("WITH x AS (SELECT id FROM t) SELECT now() FROM x"),
    # Savepoints and the rest of PostgreSQL's commands
    refused("SAVEPOINT a", "0A000", "SAVEPOINT is not supported", FEATURES, inferred="code, text"),
    refused("ROLLBACK TO SAVEPOINT a", "0A000", "SAVEPOINT is not supported", FEATURES,
            inferred="code, text"),
    refused("RELEASE SAVEPOINT a", "0A000", "SAVEPOINT is not supported", FEATURES,
            inferred="code, text"),
    refused("PREPARE TRANSACTION 'x'", "42601", 'syntax error at or near "TRANSACTION"', FEATURES,
            inferred="code, text"),
    refused("COMMIT PREPARED 'x'", "0A000", "two-phase commit is not supported", FEATURES,
            inferred="code, text"),
    refused("LISTEN x", "0A000", "LISTEN is not supported", FEATURES, inferred="code, text"),
    refused("NOTIFY x", "0A000", "NOTIFY is not supported", FEATURES, inferred="code, text"),
    syntax("DO $$ BEGIN END $$", "DO", FEATURES),
    syntax("CLUSTER t", "CLUSTER", FEATURES),
    syntax("REINDEX TABLE t", "REINDEX", FEATURES),
    syntax("LOAD 'x'", "LOAD", FEATURES),
    syntax("CHECKPOINT", "CHECKPOINT", FEATURES),
    syntax("DISCARD ALL", "DISCARD", FEATURES),
    syntax("IMPORT FOREIGN SCHEMA x FROM SERVER y INTO z", "IMPORT", FEATURES),
    syntax("SECURITY LABEL ON TABLE t IS 'x'", "SECURITY", FEATURES),
    syntax("REASSIGN OWNED BY x TO y", "REASSIGN", FEATURES),
    syntax("REFRESH COLLATION x", "COLLATION", FEATURES),
    syntax("MOVE NEXT FROM c", "MOVE", FEATURES),
    syntax("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE DEFERRABLE", "DEFERRABLE", FEATURES),
    syntax("BEGIN DEFERRABLE", "DEFERRABLE", "AWS docs: BEGIN"),
    syntax("TRUNCATE t, s", ",", "AWS docs: TRUNCATE"),
    syntax("TRUNCATE t RESTART IDENTITY", "RESTART", "AWS docs: TRUNCATE"),
    syntax("TRUNCATE t CASCADE", "CASCADE", "AWS docs: TRUNCATE"),
    syntax("TRUNCATE ONLY t", "t", "AWS docs: TRUNCATE"),
    syntax("LOCK TABLE t IN SHARE MODE", "IN", "AWS docs: LOCK"),
    syntax("LOCK t NOWAIT", "NOWAIT", "AWS docs: LOCK"),
    syntax("VACUUM ANALYZE t", "t", "AWS docs: VACUUM"),
    syntax("VACUUM (FULL) t", "(", "AWS docs: VACUUM"),
    syntax("VACUUM REINDEX t TO 75 PERCENT", "TO", "AWS docs: VACUUM"),
    syntax("VACUUM SORT ONLY TO 75 PERCENT", "TO", "AWS docs: VACUUM"),
    syntax("ANALYZE t, s", ",", "AWS docs: ANALYZE"),
    # psql 18 would go on reading rows after the refusal
    refused("COPY t FROM STDIN", "42601", "…", "AWS docs: COPY", inferred="text",
            client="redshift_connector"),
    refused("COPY t TO STDOUT", "42601", "…", "AWS docs: COPY", inferred="text"),
    refused("COPY (SELECT 1) TO STDOUT", "42601", "…", "AWS docs: COPY", inferred="text"),
)  # fmt: skip
