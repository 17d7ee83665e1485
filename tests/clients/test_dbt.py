"""dbt builds views, tables and an incremental model over the loader's tables, twice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.clients.conftest import HERE, Client
from tests.support.redshift_standin import Sql


def test_a_project_over_the_loaders_tables(
    client: Client, sql: Sql, tables: str, tmp_path: Path
) -> None:
    models, reader = f"{tables}_models", f"{tables}_reader"
    project = tmp_path / "project"
    shutil.copytree(HERE / "dbt_project", project)
    new_rows = (
        f'INSERT INTO {tables}.pageviews (event_id, user_id, session_id, "time", path)'
        " VALUES (12, 1, 2, '2026-01-03', '/C')"
    )
    sql(f"CREATE USER {reader} PASSWORD 'Readable1'")
    try:
        out = client.program(
            "dbt", "dbt_build", str(project), new_rows,
            LOADER_SCHEMA=tables, MODELS_SCHEMA=models, READER=reader,
        )  # fmt: skip
        said = json.loads(out.split("RESULT ")[-1])
        built = dict.fromkeys(("stg_pageviews", "stg_users", "daily", "facts"), "success")
        for each in (said["first"], said["second"]):
            assert {name: each[name] for name in built} == built
            assert [status for name, status in each.items() if name not in built] == ["pass"] * 2
        assert sql.rows(f"SELECT event_id, path FROM {models}.facts ORDER BY 1") == [
            [10, "/a"],
            [11, "/b"],
            [12, "/c"],
        ]
        assert sql.rows(f"SELECT user_id, identity, views FROM {models}.daily ORDER BY day") == [
            [1, "ann", 1],
            [2, "nobody", 1],
            [1, "ann", 1],
        ]
        assert sql.rows(
            "SELECT diststyle, sortkey1, sortkey_num FROM svv_table_info"
            ' WHERE "schema" = %s ORDER BY "table"', models,
        ) == [["KEY(user_id)", "day", 2], ["EVEN", "time", 1]]  # fmt: skip
        # The table was built anew under another name and swapped in, and granted again by dbt.
        assert sql.value("SELECT has_table_privilege(%s, %s, 'select')", reader, f"{models}.daily")
        catalog = said["catalog"]
        assert catalog["stg_pageviews"]["type"] == "VIEW"
        assert catalog["stg_users"]["type"] == "LATE BINDING VIEW"
        assert catalog["stg_users"]["columns"]["user_id"] == "bigint"
        assert catalog["daily"]["type"] == "BASE TABLE"
        assert catalog["daily"]["diststyle"] == "KEY(user_id)"
        assert catalog["pageviews"]["columns"]["event_id"] == "bigint"
    finally:
        sql(f"DROP SCHEMA IF EXISTS {models} CASCADE")
        sql(f"DROP USER {reader}")
