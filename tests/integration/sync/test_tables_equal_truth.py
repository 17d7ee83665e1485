"""Every table, row for row, against a plain Python reading of what was written."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from loader.compactor.sync import run_sync
from loader.config import Settings
from loader.warehouse.session import Answer
from tests.support import traffic
from tests.support.lake_writer import LakeWriter
from tests.support.truth import Row, Truth, comparable

Read = Callable[[str], list[dict[str, Any]]]

SIGN_UP = {
    "id": "sign_up",
    "name": "Click - Sign Up",
    "source": "web",
    "event": "click",
    "where": {"target_text": "Sign up"},
}
BOUGHT = {"id": "bought", "name": "Bought", "source": "custom", "event": "Bought"}


def is_sign_up(row: Row) -> bool:
    return (row["type"], row["target_text"]) == ("click", "Sign up")


def is_bought(row: Row) -> bool:
    return (row["type"], row["name"]) == ("custom", "Bought")


def write_events(lake: LakeWriter, truth: Truth, rows: list[Row], partition: int) -> None:
    record = lake.events(rows, partition)
    truth.events += [(partition, record.first + n, row) for n, row in enumerate(rows)]


def write_updates(lake: LakeWriter, truth: Truth, rows: list[Row], partition: int) -> None:
    record = lake.updates(rows, partition)
    truth.updates += [(partition, record.first + n, row) for n, row in enumerate(rows)]


def assert_tables(table: Read, truth: Truth) -> None:
    assert comparable(table("sessions")) == comparable(truth.sessions())
    assert comparable(table("pageviews")) == comparable(truth.pageviews())
    assert comparable(table("click_sign_up")) == comparable(truth.event(is_sign_up))
    assert comparable(table("bought")) == comparable(truth.event(is_bought))
    assert comparable(table("user_migrations")) == comparable(truth.user_migrations())
    assert comparable(table("users")) == comparable(truth.users())


@pytest.mark.parametrize(("seed", "group_rows"), [(1, 1_000_000), (2, 30)])
def test_many_small_syncs_with_merges_in_between(
    lake: LakeWriter, settings: Settings, table: Read, seed: int, group_rows: int
) -> None:
    sync = settings.sync.model_copy(update={"group_rows": group_rows})
    settings = settings.model_copy(update={"sync": sync})
    rng, truth = random.Random(seed), Truth()
    rows, changes = traffic.events(rng, 240, 12), traffic.updates(rng, 60, 14)
    lake.definitions([SIGN_UP, BOUGHT])
    for step in range(4):
        for partition in (0, 1):
            # A user's events are in one partition, as their key says.
            part = [r for r in rows[step::4] if r["user_id"] % 2 == partition]
            write_events(lake, truth, part, partition)
            part = [r for r in changes[step::4] if r["user_id"] % 2 == partition]
            write_updates(lake, truth, part, partition)
        if step in {1, 2}:
            merges = [
                (rng.randrange(1, 13), rng.randrange(1, 13), traffic.START + step) for _ in range(3)
            ]
            lake.merges(merges)
            truth.merges += merges
        assert run_sync(settings).status == "succeeded"
        assert_tables(table, truth)


def test_all_events_is_the_union_of_the_event_tables(
    lake: LakeWriter, settings: Settings, table: Read, sql: Callable[[str], Answer]
) -> None:
    truth = Truth()
    write_events(lake, truth, traffic.events(random.Random(3), 120, 9), 0)
    lake.definitions([SIGN_UP, BOUGHT])
    run_sync(settings)
    schema = settings.warehouse.db_schema
    found = sql(
        f"SELECT event_id, user_id, session_id, time, event_table_name FROM {schema}.all_events"
    ).rows
    expected = [
        (row["event_id"], row["user_id"], row["session_id"], row["time"], name)
        for name in ("pageviews", "click_sign_up", "bought")
        for row in table(name)
    ]
    assert expected
    assert sorted(map(tuple, found)) == sorted(expected)
