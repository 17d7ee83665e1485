"""Attributes that PostgreSQL does not have, kept with the table and shown as Redshift shows them."""

from __future__ import annotations

from typing import Any

from tests.support.redshift_standin import Connect, Sql

DEF = (
    'SELECT "column", type, TRIM(encoding), distkey, sortkey, "notnull" FROM pg_table_def '
    "WHERE tablename = %s"
)


def info(sql: Sql, schema: str, table: str) -> list[Any]:
    return sql.rows(
        'SELECT diststyle, sortkey1, sortkey_num, tbl_rows FROM svv_table_info WHERE "schema" = %s '
        'AND "table" = %s',
        schema,
        table,
    )


def test_attributes_of_every_form(sql: Sql, schema: str) -> None:
    sql(
        "CREATE TABLE a (id BIGINT NOT NULL ENCODE az64, t TIMESTAMP, s VARCHAR(MAX) ENCODE lzo,"
        " x TEXT, v VARCHAR, d DECIMAL, p NUMERIC(18,2), j SUPER, n BIGINT IDENTITY(1,1),"
        " c CHARACTER VARYING(7) DEFAULT 'q' NOT NULL)"
        " DISTSTYLE KEY DISTKEY (id) COMPOUND SORTKEY (t, id) BACKUP NO"
    )
    assert sql.rows(DEF, "a") == [
        ["id", "bigint", "az64", True, 2, True],
        ["t", "timestamp without time zone", "none", False, 1, False],
        ["s", "character varying(65535)", "lzo", False, 0, False],
        ["x", "character varying(256)", "lzo", False, 0, False],
        ["v", "character varying(256)", "lzo", False, 0, False],
        ["d", "numeric(18,0)", "az64", False, 0, False],
        ["p", "numeric(18,2)", "az64", False, 0, False],
        ["j", "super", "zstd", False, 0, False],
        ["n", "bigint", "az64", False, 0, True],
        ["c", "character varying(7)", "lzo", False, 0, True],
    ]
    given = sql.error("INSERT INTO a (id, n) VALUES (1, 5)")
    assert (given["C"], given["M"]) == ("0A000", "cannot set an identity column to a value")
    assert info(sql, schema, "a") == []  # an empty table is not shown
    sql("INSERT INTO a (id, t) VALUES (1, '2026-01-01')")
    assert info(sql, schema, "a") == [["KEY(id)", "t", 2, 1]]
    columns = "SELECT column_name, data_type, character_maximum_length FROM svv_columns"
    assert sql.rows(f"{columns} WHERE table_schema = %s AND ordinal_position < 4", schema) == [
        ["id", "bigint", None],
        ["t", "timestamp without time zone", None],
        ["s", "character varying", 65535],
    ]
    assert sql.rows(
        "SELECT table_name, table_type FROM svv_all_tables WHERE schema_name = %s", schema
    ) == [["a", "TABLE"]]


def test_attributes_follow_like_rename_and_rollback(
    connect: Connect, sql: Sql, schema: str
) -> None:
    sql("CREATE TABLE a (x int ENCODE zstd, y int DEFAULT 5 DISTKEY) INTERLEAVED SORTKEY (y, x)")
    sql("CREATE TABLE b (LIKE a INCLUDING DEFAULTS)")
    expected = [
        ["x", "integer", "zstd", False, -2, False],
        ["y", "integer", "none", True, 1, False],
    ]
    assert sql.rows(DEF, "b") == expected
    sql("ALTER TABLE b RENAME TO c")
    sql("ALTER TABLE c RENAME COLUMN x TO z")
    expected[0][0] = "z"
    assert sql.rows(DEF, "c") == expected
    sql("INSERT INTO c (z) VALUES (1)")
    assert sql.rows("SELECT y FROM c") == [[5]]
    assert info(sql, schema, "c") == [["KEY(y)", "INTERLEAVED", 2, 1]]
    sql("BEGIN")
    sql("DROP TABLE c")
    sql("CREATE TABLE c (z int) DISTSTYLE ALL")
    sql("ROLLBACK")
    assert info(sql, schema, "c") == [["KEY(y)", "INTERLEAVED", 2, 1]]
    sql("DROP TABLE c")
    sql("CREATE TABLE c (z int) SORTKEY AUTO")
    sql("INSERT INTO c VALUES (1)")
    assert info(sql, schema, "c") == [["AUTO(ALL)", "AUTO(SORTKEY)", 0, 1]]


def test_temporary_tables(sql: Sql) -> None:
    sql("CREATE TABLE a (x int) DISTSTYLE EVEN")
    sql("CREATE TEMP TABLE stage (LIKE a, n BIGINT)")
    sql("CREATE TABLE #work (x int)")
    sql("INSERT INTO #work VALUES (1)")
    assert sql.value("SELECT count(*) FROM #work") == 1
    sql("CREATE TABLE IF NOT EXISTS a (other int)")
    assert sql.rows(DEF, "stage") == [
        ["x", "integer", "none", False, 0, False],
        ["n", "bigint", "none", False, 0, False],
    ]
    sql("CREATE TABLE from_query SORTKEY (x) AS SELECT x FROM #work")
    assert sql.rows(DEF, "from_query") == [["x", "integer", "none", False, 1, False]]


def test_alter_table(sql: Sql, schema: str) -> None:
    sql("CREATE TABLE a (x int, s varchar(5), k varchar(5) SORTKEY)")
    sql("INSERT INTO a VALUES (1, 'hello', 'k')")
    sql("ALTER TABLE a ADD COLUMN n bigint ENCODE zstd DEFAULT 7")
    sql("ALTER TABLE a ALTER COLUMN s TYPE varchar(20)")
    sql("ALTER TABLE a ALTER DISTKEY x")
    sql("ALTER TABLE a ALTER COLUMN x ENCODE delta, ALTER COLUMN s ENCODE zstd")
    assert sql.rows(DEF, "a") == [
        ["x", "integer", "delta", True, 0, False],
        ["s", "character varying(20)", "zstd", False, 0, False],
        ["k", "character varying(5)", "none", False, 1, False],
        ["n", "bigint", "zstd", False, 0, False],
    ]
    assert sql.rows("SELECT n FROM a") == [[7]]
    assert sql.error("ALTER TABLE a ALTER COLUMN s TYPE varchar(3)")["C"] == "0A000"
    assert sql.error("ALTER TABLE a DROP COLUMN k")["M"] == "cannot drop sortkey column"
    assert sql.error("ALTER TABLE a DROP COLUMN x")["M"] == "cannot drop distkey column"
    sql("ALTER TABLE a ALTER SORTKEY NONE")
    sql("ALTER TABLE a DROP COLUMN k")
    sql("ALTER TABLE a ALTER DISTSTYLE ALL")
    assert info(sql, schema, "a") == [["ALL", None, 0, 1]]
    sql("CREATE VIEW v AS SELECT s FROM a")
    fields = sql.error("ALTER TABLE a ALTER COLUMN s TYPE varchar(30)")
    assert fields["M"] == "cannot alter type of a column used by a view or rule"
    assert (
        sql.error("DROP TABLE a")["M"] == "cannot drop table a because other objects depend on it"
    )


def test_late_binding_views(sql: Sql, schema: str, connect: Connect) -> None:
    view = f"{schema}.v"
    sql(f"CREATE VIEW {view} AS SELECT * FROM {schema}.base WITH NO SCHEMA BINDING")
    fields = sql.error(f"SELECT * FROM {view}")
    assert (fields["C"], fields["M"]) == ("42P01", f'relation "{schema}.base" does not exist')
    sql("CREATE TABLE base (a int)")
    sql("INSERT INTO base VALUES (1)")
    assert sql.rows(f"SELECT * FROM {view}") == [[1]]
    sql("ALTER TABLE base RENAME TO old")
    sql("CREATE TABLE base (b varchar(9), a int)")
    sql("DROP TABLE old")
    sql("INSERT INTO base VALUES ('x', 2)")
    assert sql.rows("SELECT v.b, w.a FROM v JOIN v AS w ON v.a = w.a") == [["x", 2]]
    other = Sql(connect(max_prepared_statements=10))
    assert other.rows(f"SELECT a FROM {view}") == [[2]]
    sql("BEGIN")
    sql(f"CREATE OR REPLACE VIEW {view} AS SELECT 5 AS a FROM {schema}.base WITH NO SCHEMA BINDING")
    assert sql.rows(f"SELECT a FROM {view}") == [[5]]
    assert other.rows(f"SELECT a FROM {view}") == [[2]]
    sql("COMMIT")
    assert other.rows(f"SELECT a FROM {view}") == [[5]]
    sql(
        f"CREATE VIEW {schema}.outer_v AS SELECT a + 1 AS a, GETDATE() AS n FROM {view} "
        "WITH NO SCHEMA BINDING"
    )
    assert sql.rows(f"SELECT a FROM {schema}.outer_v") == [[6]]
    assert sql.rows("WITH v AS (SELECT 9 AS a) SELECT a FROM v") == [[9]]
    assert sql.rows(
        "SELECT column_name, data_type FROM svv_columns WHERE table_schema = %s AND table_name = 'v'",
        schema,
    ) == [["a", "integer"]]
    sql(f"CREATE TABLE copied AS SELECT a FROM {view}")
    assert sql.rows("SELECT a FROM copied") == [[5]]
    sql(f"ALTER TABLE {view} RENAME TO renamed")
    assert other.rows(f"SELECT a FROM {schema}.renamed") == [[5]]
    sql(f"ALTER TABLE {schema}.renamed RENAME TO v")
    sql(f"DROP VIEW {view}")
    assert sql.error(f"SELECT a FROM {view}")["C"] == "42P01"
