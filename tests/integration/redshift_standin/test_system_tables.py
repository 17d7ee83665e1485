"""The logs and catalog views: what ran, by whom, who sees it, and that no secret is in it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.support.redshift_standin import KEY, SECRET, Connect, Sql

PASSWORD = "Passw0rd1"


@pytest.fixture
def user(sql: Sql, schema: str, connect: Connect) -> Iterator[Sql]:
    """A plain user's session."""
    name = f"user_{schema}"
    sql(f"CREATE USER {name} PASSWORD '{PASSWORD}'")
    sql(f"GRANT USAGE ON SCHEMA {schema} TO {name}")
    session = Sql(connect(user=name, password=PASSWORD))
    session(f"SET search_path TO {schema}")
    yield session
    sql(f"DROP SCHEMA {schema} CASCADE")


def test_statements_with_their_label_number_and_outcome(sql: Sql, schema: str) -> None:
    label = f"load:{schema}"
    sql(f"SET query_group TO '{label}'")
    sql("CREATE TABLE t (id int)")
    sql("BEGIN")
    sql("INSERT INTO t VALUES (1), (2)")
    sql("COMMIT")
    last = sql.value("SELECT pg_last_query_id()")
    sql.error("SELECT 1 / (id - id) FROM t")
    sql("RESET query_group")
    sql.rows("SELECT count(*) FROM t")
    assert sql.rows(
        "SELECT RTRIM(querytxt), aborted, pid = pg_backend_pid() FROM stl_query"
        " WHERE label = %s ORDER BY starttime", label,
    ) == [
        ["INSERT INTO t VALUES (1), (2)", 0, True],
        ["SELECT pg_last_query_id()", 0, True],
        ["SELECT 1 / (id - id) FROM t", 1, True],
    ]  # fmt: skip
    assert sql.rows(
        "SELECT query FROM stl_query WHERE label = %s AND querytxt LIKE 'INSERT%%'", label
    ) == [[last]]
    said = sql.rows(
        "SELECT RTRIM(query_type), RTRIM(status), RTRIM(error_message), returned_rows"
        " FROM sys_query_history WHERE query_label = %s ORDER BY start_time", label,
    )  # fmt: skip
    assert [row[:2] for row in said] == [
        ["DDL", "success"], ["UTILITY", "success"], ["INSERT", "success"], ["UTILITY", "success"],
        ["SELECT", "success"], ["SELECT", "failed"], ["UTILITY", "success"],
    ]  # fmt: skip
    assert said[2][3] == 2
    assert said[5][2] == "division by zero"
    texts = sql.rows(
        "SELECT type, RTRIM(text), xid FROM svl_statementtext WHERE label = %s ORDER BY starttime",
        label,
    )
    assert [row[0] for row in texts[:4]] == ["DDL", "UTILITY", "QUERY", "UTILITY"]
    assert len({row[2] for row in texts[1:4]}) == 1  # one transaction
    commits = sql.rows(
        "SELECT count(*) FROM stl_commit_stats WHERE xid IN (%s, %s)", texts[0][2], texts[1][2]
    )
    assert commits == [[2]]
    assert sql.value("SELECT label FROM stl_query WHERE querytxt = 'SELECT count(*) FROM t'"
                     " ORDER BY starttime DESC LIMIT 1").rstrip() == "default"  # fmt: skip


def test_a_long_statement_comes_in_pieces_of_200(sql: Sql, schema: str) -> None:
    text = f"SELECT '{schema}' AS marker, '{'y' * 450}' AS filler"
    sql(text)
    rows = sql.rows(
        "SELECT sequence, text FROM stl_querytext WHERE query = (SELECT max(query) FROM stl_querytext"
        " WHERE text LIKE %s) ORDER BY sequence", f"SELECT '{schema}' AS marker%",
    )  # fmt: skip
    assert [row[0] for row in rows] == [0, 1, 2]
    assert "".join(row[1] for row in rows).rstrip() == text


def test_no_secret_is_in_a_log(sql: Sql, schema: str) -> None:
    sql("CREATE TABLE t (id int)")
    for keys in (
        f"ACCESS_KEY_ID '{KEY}' SECRET_ACCESS_KEY '{SECRET}' SESSION_TOKEN 'token-{SECRET}'",
        f"CREDENTIALS 'aws_access_key_id={KEY};aws_secret_access_key={SECRET}'",
        f"WITH CREDENTIALS AS 'aws_access_key_id={KEY};aws_secret_access_key={SECRET}'",
    ):
        sql.error(f"COPY t FROM 's3://nowhere/x.manifest' {keys} FORMAT AS PARQUET MANIFEST")
    sql(f"CREATE USER secret_{schema} PASSWORD '{PASSWORD}'")
    sql(f"ALTER USER secret_{schema} PASSWORD '{PASSWORD}2'")
    sql(f"DROP USER secret_{schema}")
    for view, column in (
        ("stl_query", "querytxt"), ("stl_querytext", "text"), ("svl_statementtext", "text"),
        ("sys_query_history", "query_text"), ("stv_recents", "query"), ("sys_query_text", "text"),
    ):  # fmt: skip
        for secret in (KEY, SECRET, PASSWORD):
            found = sql.value(
                f"SELECT count(*) FROM {view} WHERE POSITION('{secret[:4]}' || '{secret[4:]}'"
                f" IN {column}) > 0"
            )
            assert found == 0, (view, secret)
    assert sql.value("SELECT count(*) FROM stl_query WHERE querytxt LIKE"
                     " 'COPY t FROM %% ACCESS_KEY_ID ''***'' SECRET%%'") > 0  # fmt: skip


def test_others_see_their_own_rows_only(sql: Sql, schema: str, user: Sql) -> None:
    user.rows(f"SELECT '{schema}' AS mine")
    sql.rows(f"SELECT '{schema}' AS theirs")
    mine = f"SELECT count(*) FROM stl_query WHERE querytxt LIKE '%{schema}'' AS %'"
    assert user.value(mine) == 1
    assert sql.value(mine) == 2
    sessions = "SELECT RTRIM(user_name) FROM stv_sessions GROUP BY 1 ORDER BY 1"
    assert user.rows(sessions) == [[f"user_{schema}"]]
    assert {"awsuser", f"user_{schema}"} <= {row[0] for row in sql.rows(sessions)}
    sql(f"ALTER USER user_{schema} SYSLOG ACCESS UNRESTRICTED")
    assert user.value(mine) == 2
    for view in (
        "svv_table_info", "stv_partitions", "stv_slices", "stl_commit_stats", "stl_tr_conflict",
        "stl_connection_log", "sys_transaction_history", "stv_node_storage_capacity",
    ):  # fmt: skip
        fields = user.error(f"SELECT * FROM {view}")
        assert (fields["C"], fields["M"]) == ("42501", f"permission denied for relation {view}")
        sql.rows(f"SELECT * FROM {view}")


def test_running_statements_and_open_transactions(sql: Sql, schema: str, connect: Connect) -> None:
    sql("CREATE TABLE t (id int)")
    other = Sql(connect(autocommit=False))
    other(f"LOCK {schema}.t")
    pid = other.value("SELECT pg_backend_pid()")
    assert sql.rows(
        "SELECT txn_owner, lock_mode, granted FROM svv_transactions WHERE pid = %s AND relation ="
        " (SELECT oid FROM pg_class WHERE relname = 't' AND relnamespace ="
        " (SELECT oid FROM pg_namespace WHERE nspname = %s))", pid, schema,
    ) == [["awsuser", "AccessExclusiveLock", True]]  # fmt: skip
    other.connection.rollback()
    assert "Done" in {row[0] for row in sql.rows("SELECT RTRIM(status) FROM stv_recents")}
    other.connection.close()
    ended = (
        "SELECT count(*) FROM sys_session_history WHERE session_id = %s AND status = 'completed'"
    )
    end = time.monotonic() + 20
    while sql.value(ended, pid) == 0:
        assert time.monotonic() < end


def test_show_commands(sql: Sql, schema: str) -> None:
    sql(
        "CREATE TABLE t (id bigint NOT NULL DISTKEY, s varchar(9) ENCODE zstd, PRIMARY KEY (id))"
        " SORTKEY (id, s)"
    )
    sql("CREATE VIEW v AS SELECT id FROM t")
    sql(f"CREATE VIEW {schema}.l AS SELECT id FROM {schema}.t WITH NO SCHEMA BINDING")
    assert [row[1:4] for row in sql.rows(f"SHOW TABLES FROM SCHEMA dev.{schema}")] == [
        [schema, "l", "VIEW"],
        [schema, "t", "TABLE"],
        [schema, "v", "VIEW"],
    ]
    assert [row[2] for row in sql.rows(f"SHOW TABLES FROM SCHEMA {schema} LIKE 't%' LIMIT 5")] == [
        "t"
    ]
    assert [row[3:8] for row in sql.rows(f"SHOW COLUMNS FROM TABLE {schema}.t")] == [
        ["id", 1, None, "NO", "bigint"],
        ["s", 2, None, "YES", "character varying"],
    ]
    assert [row[1] for row in sql.rows(f"SHOW SCHEMAS FROM DATABASE dev LIKE '{schema}'")] == [
        schema
    ]
    assert [row[0] for row in sql.rows("SHOW DATABASES")] == ["dev"]
    ddl = sql.value(f"SHOW TABLE {schema}.t")
    assert ddl == (
        f"CREATE TABLE {schema}.t (\n    id bigint NOT NULL ENCODE raw distkey,\n"
        "    s character varying(9) ENCODE zstd,\n    PRIMARY KEY (id)\n)\n"
        "DISTSTYLE KEY\nSORTKEY ( id, s );"
    )
    sql(ddl.replace(f"{schema}.t ", f"{schema}.again "))  # it makes the table again
    assert sql.value(f"SHOW TABLE {schema}.again") == ddl.replace(
        f"{schema}.t ", f"{schema}.again "
    )
    assert "WITH NO SCHEMA BINDING" in sql.value(f"SHOW VIEW {schema}.l")
    assert sql.error("SHOW TABLES FROM t")["C"] == "42601"
    assert sql.error("SHOW GRANTS ON TABLE t")["C"] == "0A000"


def test_table_info_from_real_counts(sql: Sql, schema: str) -> None:
    sql("CREATE TABLE even (id int, s varchar(300)) DISTSTYLE EVEN")
    sql("CREATE TABLE keyed (id int) DISTKEY (id)")
    sql("CREATE TABLE skewed (id int) DISTKEY (id)")
    numbers = ", ".join(f"({n})" for n in range(200))
    sql(f"INSERT INTO keyed VALUES {numbers}")
    sql("INSERT INTO skewed SELECT CASE WHEN id < 150 THEN 1 ELSE id END FROM keyed")
    sql("INSERT INTO even SELECT id, 'x' FROM keyed")
    sql("DELETE FROM even WHERE id < 50")
    found = {
        row[0]: row[1:]
        for row in sql.rows(
            'SELECT "table", tbl_rows, max_varchar, size, skew_rows FROM svv_table_info'
            ' WHERE "schema" = %s', schema,
        )
    }  # fmt: skip
    assert found["even"] == [200, 300, 1, 1]  # deleted rows are on disk until VACUUM
    assert 1 <= found["keyed"][3] < 2
    assert found["skewed"][3] > found["keyed"][3]


def test_the_search_path_limits_pg_table_def(sql: Sql, schema: str) -> None:
    sql("CREATE TABLE t (id int)")
    listed = "SELECT count(*) FROM pg_table_def WHERE schemaname = %s"
    assert sql.value(listed, schema) == 1
    sql("SET search_path TO public")
    assert sql.value(listed, schema) == 0
    assert sql.value("SELECT count(*) FROM svv_columns WHERE table_schema = %s", schema) == 1
