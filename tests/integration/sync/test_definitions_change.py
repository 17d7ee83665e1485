"""A definition is edited, renamed, switched off and on; what readers hold on to survives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from loader.compactor.status import status, table_of_tables
from loader.compactor.sync import plan_sync, run_sync
from loader.config import Settings
from loader.errors import NeedsOperator, UsageError
from loader.warehouse.session import Answer
from tests.support.labelled import click, definition
from tests.support.lake_writer import LakeWriter

Read = Callable[[str], list[dict[str, Any]]]
Sql = Callable[[str], Answer]


def actions(settings: Settings) -> dict[str, str]:
    return {t.table: t.action.value for t in plan_sync(settings).tables}


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return sorted(row["event_id"] for row in rows)


def states(settings: Settings) -> dict[str, str]:
    return {table["name"]: table["state"] for table in status(settings)["tables"]}


def test_a_new_meaning_replaces_the_rows_and_keeps_grants_and_views(
    lake: LakeWriter, settings: Settings, table: Read, sql: Sql
) -> None:
    schema = settings.warehouse.db_schema
    lake.events([click(1), click(2, "Sell"), click(3)])
    lake.definitions([definition()])
    run_sync(settings)
    assert ids(table("cta")) == [1, 3]
    sql(f"GRANT SELECT ON {schema}.cta TO PUBLIC")
    sql(f"CREATE SCHEMA {schema}_views")
    sql(f"CREATE VIEW {schema}_views.mine AS SELECT event_id FROM {schema}.cta")

    lake.definitions([definition(text="Sell")])
    assert actions(settings)["cta"] == "replace"
    run_sync(settings)
    assert ids(table("cta")) == [2]
    assert sql(f"SELECT event_id FROM {schema}_views.mine").rows == ((2,),)
    # Of a table made anew nobody but its owner may read.
    assert sql(f"SELECT has_table_privilege('public', '{schema}.cta', 'select')").rows == ((True,),)


def test_a_rename_reads_nothing_and_renames_the_table(
    lake: LakeWriter, settings: Settings, table: Read, sql: Sql
) -> None:
    lake.events([click(1)])
    lake.definitions([definition()])
    run_sync(settings)
    lake.definitions([definition(name="Call to Action")])
    assert actions(settings)["call_to_action"] == "rename"
    run_sync(settings)
    assert ids(table("call_to_action")) == [1]
    assert {t["name"] for t in table_of_tables(settings)} == {
        "call_to_action",
        "pageviews",
        "sessions",
        "user_migrations",
        "users",
    }
    schema = settings.warehouse.db_schema
    names = sql(f"SELECT event_table_name FROM {schema}.all_events").rows
    assert names == (("call_to_action",),)
    assert set(actions(settings).values()) == {"nothing"}


def test_two_definitions_swap_their_names(
    lake: LakeWriter, settings: Settings, table: Read
) -> None:
    lake.events([click(1, "A"), click(2, "B")])
    lake.definitions([definition("a", "First", "A"), definition("b", "Second", "B")])
    run_sync(settings)
    lake.definitions([definition("a", "Second", "A"), definition("b", "First", "B")])
    run_sync(settings)
    assert (ids(table("first")), ids(table("second"))) == ([2], [1])


def test_switched_off_it_stays_as_it_is_and_switched_on_it_is_read_again(
    lake: LakeWriter, settings: Settings, table: Read
) -> None:
    lake.events([click(1)])
    lake.definitions([definition()])
    run_sync(settings)
    lake.definitions([definition(sync={"enabled": False, "since": "all_time"})])
    lake.events([click(2)])
    run_sync(settings)
    assert ids(table("cta")) == [1]
    assert states(settings)["cta"] == "paused"
    lake.definitions([definition(archived=True)])
    run_sync(settings)
    assert states(settings)["cta"] == "archived"
    lake.definitions([definition()])
    assert actions(settings)["cta"] == "replace"
    run_sync(settings)
    assert ids(table("cta")) == [1, 2]
    assert states(settings)["cta"] == "synced"
    lake.definitions([("cta", None)])
    lake.events([click(3)])
    run_sync(settings)
    assert ids(table("cta")) == [1, 2]


def test_status_before_and_after(lake: LakeWriter, settings: Settings) -> None:
    lake.events([click(1), click(2)])
    lake.definitions([definition()])
    before = status(settings)
    assert before["sync"]["state"] == "never"
    assert {t["name"]: (t["state"], t["pending"]) for t in before["tables"]} == {
        "cta": ("pending_initial_sync", 2),
        "pageviews": ("pending_initial_sync", 2),
        "sessions": ("pending_initial_sync", 2),
        "users": ("pending_initial_sync", 2),
        "user_migrations": ("pending_initial_sync", 0),
    }
    run_sync(settings)
    after = status(settings)
    assert after["sync"]["state"] == "succeeded"
    assert after["sync"]["error"] is None
    cta = next(t for t in after["tables"] if t["name"] == "cta")
    assert (cta["state"], cta["rows"], cta["pending"], cta["event"]) == ("synced", 2, 0, "CTA")
    assert cta["synced_to_time"] == "2026-01-01T00:00:00.000001Z"
    shown = next(t for t in table_of_tables(settings) if t["name"] == "cta")
    assert (shown["rows"], shown["first_time"]) == (2, "2026-01-01T00:00:00.000001Z")


def test_one_table_alone_and_a_name_that_is_none(
    lake: LakeWriter, settings: Settings, table: Read
) -> None:
    lake.events([click(1)])
    lake.definitions([definition()])
    report = run_sync(settings, tables=["cta"])
    assert [t.table for t in report.tables] == ["cta"]
    assert ids(table("cta")) == [1]
    with pytest.raises(UsageError, match="nearest one is sessions"):
        run_sync(settings, tables=["session"])


def test_a_foreign_schema_is_refused(lake: LakeWriter, settings: Settings, sql: Sql) -> None:
    lake.events([click(1)])
    schema = settings.warehouse.db_schema
    sql(f"CREATE SCHEMA {schema}")
    sql(f"CREATE TABLE {schema}.users (name VARCHAR(10))")
    for call in (run_sync, plan_sync):
        with pytest.raises(NeedsOperator, match="not the loader's: users"):
            call(settings)
    assert sql(f"SELECT COUNT(*) FROM {schema}.users").rows == ((0,),)


def test_a_table_made_by_hand_in_our_schema_is_left_alone(
    lake: LakeWriter, settings: Settings, table: Read, sql: Sql
) -> None:
    lake.events([click(1)])
    run_sync(settings)
    schema = settings.warehouse.db_schema
    sql(f"CREATE TABLE {schema}.cta (note VARCHAR(10))")
    lake.definitions([definition(), definition("other", "Other")])
    with pytest.raises(NeedsOperator, match="cta stands already"):
        run_sync(settings)
    # The failure of one table does not hold up the others.
    assert ids(table("other")) == [1]
    assert status(settings)["sync"]["state"] == "failed"
    history = sql(f"SELECT status, error FROM {schema}._sync_history ORDER BY start_time DESC").rows
    assert history[0][0] == "failed"
    assert "cta stands already" in history[0][1]
