"""Columns that come, that grow, that there is no room for, and that somebody else made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from loader.compactor.status import status
from loader.compactor.sync import run_sync
from loader.config import Settings
from loader.errors import NeedsOperator
from loader.model.tables import PAGEVIEWS
from loader.warehouse import evolution
from loader.warehouse.evolution import NO_ROOM
from loader.warehouse.session import Answer
from tests.support.lake_writer import LakeWriter

Read = Callable[[str], list[dict[str, Any]]]
Sql = Callable[[str], Answer]

T0 = 1_767_225_600_000_000
ONLY = ["pageviews"]


def view(number: int, properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "event_id": number,
        "user_id": 1,
        "session_id": 1,
        "time": T0 + number,
        "type": "pageview",
        "properties": properties,
    } | more


def left_out(settings: Settings) -> list[str]:
    found: list[str] = next(
        t["left_out"] for t in status(settings)["tables"] if t["name"] == "pageviews"
    )
    return found


def test_without_room_the_least_used_properties_are_left_out_and_named(
    lake: LakeWriter, settings: Settings, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The true limit makes this test take ten times as long; of its figure see the unit tests.
    room = 20
    width = len(PAGEVIEWS.columns) + room
    monkeypatch.setattr(evolution, "MAX_COLUMNS", width)
    everything = {f"p{n:04}": "x" for n in range(room + 1)}
    lake.events([view(1, everything), view(2, {"common": "y"}), view(3, {"common": "z"})])
    report = run_sync(settings, tables=ONLY)
    names = (f"p{room - 1:04}", f"p{room:04}")
    assert report.tables[0].left_out == tuple((name, NO_ROOM) for name in names)
    assert left_out(settings) == list(names)
    schema = settings.warehouse.db_schema
    columns = sql(
        "SELECT COUNT(*) FROM svv_columns WHERE table_name = 'pageviews' "
        f"AND table_schema = '{schema}'"
    )
    assert columns.rows == ((width,),)
    # A table that is full goes on, and forgets nothing of what it lacks.
    lake.events([view(4, {"later": 1, "common": "w"})])
    run_sync(settings, tables=ONLY)
    rows = sql(f"SELECT event_id, common, p0000 FROM {schema}.pageviews ORDER BY event_id").rows
    assert rows == ((1, None, "x"), (2, "y", None), (3, "z", None), (4, "w", None))
    assert left_out(settings) == ["later", *names]


def test_columns_that_are_too_short_grow(
    lake: LakeWriter, settings: Settings, table: Read, sql: Sql
) -> None:
    lake.events([view(1, {"plan": "a"}, title="t")])
    run_sync(settings, tables=ONLY)
    schema = settings.warehouse.db_schema
    # As an earlier version might have made them.
    sql(f"ALTER TABLE {schema}.pageviews ALTER COLUMN title TYPE VARCHAR(5)")
    sql(f"ALTER TABLE {schema}.pageviews ALTER COLUMN plan TYPE VARCHAR(7)")
    lake.events([view(2, {"plan": "é" * 600}, title="x" * 600)])
    report = run_sync(settings, tables=ONLY)
    row = next(row for row in table("pageviews") if row["event_id"] == 2)
    # Cut by policy, between characters, and counted.
    assert (row["title"], row["plan"]) == ("x" * 512, "é" * 512)
    assert report.tables[0].cut == (("plan", 1), ("title", 1))
    # A view that is bound to a column holds it.
    sql(f"CREATE SCHEMA {schema}_views")
    sql(f"ALTER TABLE {schema}.pageviews ALTER COLUMN path TYPE VARCHAR(9)")
    sql(f"CREATE VIEW {schema}_views.bound AS SELECT path FROM {schema}.pageviews")
    lake.events([view(3, {})])
    with pytest.raises(NeedsOperator, match=r"pageviews\.path is VARCHAR\(9\).* NO SCHEMA BINDING"):
        run_sync(settings, tables=ONLY)
    assert len(table("pageviews")) == 2


def test_what_others_made_is_named_and_breaks_nothing(
    lake: LakeWriter, settings: Settings, table: Read, sql: Sql
) -> None:
    lake.events([view(1, {"plan": "a"})])
    run_sync(settings, tables=ONLY)
    schema = settings.warehouse.db_schema
    sql(f"CREATE TABLE {schema}.notes (note VARCHAR(10))")
    sql(f"CREATE VIEW {schema}.mine AS SELECT event_id FROM {schema}.pageviews")
    sql(f"ALTER TABLE {schema}.pageviews ADD COLUMN score INTEGER")
    lake.events([view(2, {"plan": "b", "score": 5})])
    report = run_sync(settings, tables=ONLY)
    assert report.tables[0].left_out == (("score", "the table's column is INTEGER, not VARCHAR"),)
    assert [(row["plan"], row["score"]) for row in table("pageviews")] == [("a", None), ("b", None)]
    shown = status(settings)
    assert [(thing["name"], thing["kind"]) for thing in shown["foreign"]] == [
        ("mine", "view"),
        ("notes", "table"),
    ]
    assert left_out(settings) == ["score"]


def test_a_ledger_of_an_earlier_version_gets_its_new_columns(
    lake: LakeWriter, settings: Settings, sql: Sql
) -> None:
    lake.events([view(1, {})])
    run_sync(settings, tables=ONLY)
    schema = settings.warehouse.db_schema
    sql(f"ALTER TABLE {schema}._sync_ledger DROP COLUMN left_out")
    with pytest.raises(NeedsOperator, match="no column left_out"):
        status(settings)
    lake.events([view(2, {})])
    assert run_sync(settings, tables=ONLY).tables[0].inserted == 1
    assert left_out(settings) == []
