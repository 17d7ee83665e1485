"""sqlalchemy-redshift reflects tables, keys, views and late-binding views through both drivers."""

from __future__ import annotations

import json

from tests.clients.conftest import Client
from tests.support.redshift_standin import Sql


def test_reflection_through_both_drivers(client: Client, sql: Sql, tables: str) -> None:
    sql(
        "CREATE TABLE keyed (id BIGINT NOT NULL, t TIMESTAMP, s VARCHAR(50) ENCODE zstd,"
        " PRIMARY KEY (id)) DISTSTYLE KEY DISTKEY (s) SORTKEY (t)"
    )
    sql("CREATE VIEW bound AS SELECT event_id, path FROM pageviews")
    sql(f"CREATE VIEW {tables}.late AS SELECT user_id FROM {tables}.users WITH NO SCHEMA BINDING")
    said = json.loads(
        client.program("sqlalchemy", "sqlalchemy_reflection", tables).split("RESULT ")[-1]
    )
    assert sorted(said) == ["psycopg2", "redshift_connector"]
    for reflected in said.values():
        assert tables in reflected["schemas"]
        assert reflected["tables"] == ["keyed", "pageviews", "sessions", "users"]
        assert reflected["views"] == ["bound", "late"]
        assert reflected["columns"]["users"][0] == ["user_id", "BIGINT", False]
        assert ["joindate", "TIMESTAMP", True] in reflected["columns"]["users"]
        assert reflected["columns"]["late"] == [["user_id", "BIGINT", True]]
        assert reflected["key"]["constrained_columns"] == ["id"]
        assert reflected["ddl"] == (
            f"CREATE TABLE {tables}.keyed ( id BIGINT NOT NULL, t TIMESTAMP WITHOUT TIME ZONE,"
            " s VARCHAR(50), CONSTRAINT keyed_pkey PRIMARY KEY (id) )"
            " DISTSTYLE KEY DISTKEY (s) SORTKEY (t)"
        )
        assert reflected["counted"] == 2


def test_an_alias_of_the_select_list_in_where(sql: Sql, tables: str) -> None:
    for query in (
        "SELECT nspname AS found FROM pg_namespace WHERE found = %s",
        (
            "SELECT table_name AS n FROM information_schema.tables WHERE 1 AND n = 'users'"
            " AND table_schema = %s UNION SELECT 'x' AS n FROM svv_external_schemas WHERE n = 'y'"
        ),
        "SELECT x.a AS user_id FROM (SELECT nspname AS a FROM pg_namespace) x WHERE a = %s",
    ):
        assert len(sql.rows(query, tables)) == 1


def test_a_column_goes_before_an_alias_of_the_same_name(sql: Sql, tables: str) -> None:
    assert sql.rows("SELECT user_id + 1 AS user_id FROM users WHERE user_id = 1") == [[2]]
    assert sql.rows("SELECT user_id + 1 AS next FROM users WHERE next = 3") == [[3]]
