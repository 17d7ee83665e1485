"""Small worlds whose tables can be told by hand."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader.errors import UsageError
from loader.local.oracle import Oracle, write
from loader.local.simulator import TrafficOptions, generate, sample_definitions
from loader.local.simulator.user_messages import MIGRATION_COLUMNS
from loader.model.events import EVENT_COLUMNS, USER_UPDATE_COLUMNS

START = datetime.fromisoformat("2024-01-01")
CTA = {
    "id": "cta",
    "name": "Click - CTA",
    "category": "Web",
    "source": "web",
    "event": "click",
    "where": {"target_text": "Go"},
    "sync": {"enabled": True, "since": "all_time"},
}


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


def event(
    id_: int, user: int, second: int, type_: str = "pageview", **fields: Any
) -> dict[str, Any]:
    row = {"event_id": id_, "user_id": user, "session_id": 1, "time": at(second), "type": type_}
    return row | {"library": "web"} | fields


def update(user: int, second: int, **fields: Any) -> dict[str, Any]:
    return {"user_id": user, "time": at(second), **fields}


def oracle(
    events: list[dict[str, Any]] | None = None,
    updates: list[dict[str, Any]] | None = None,
    merges: list[tuple[int, int, datetime]] | None = None,
    definitions: list[dict[str, Any]] | None = None,
) -> Oracle:
    found = Oracle(definitions or [])
    found.add_events(pa.Table.from_pylist(events or [], EVENT_COLUMNS))
    found.add_user_updates(pa.Table.from_pylist(updates or [], USER_UPDATE_COLUMNS))
    names = MIGRATION_COLUMNS.names
    rows = [dict(zip(names, merge, strict=True)) for merge in merges or []]
    found.add_user_migrations(pa.Table.from_pylist(rows, MIGRATION_COLUMNS))
    return found


def only(rows: list[dict[str, Any]]) -> dict[str, Any]:
    (row,) = rows
    return row


def test_an_event_stands_once_and_its_earliest_copy_is_the_one() -> None:
    found = oracle([event(1, 7, 20, path="/b"), event(1, 7, 10, path="/a"), event(1, 7, 30)])
    row = only(found.tables()["pageviews"])
    assert (row["time"], row["path"]) == (at(10), "/a")
    assert found.counts()["pageviews"] == 1


def test_copies_under_an_old_and_a_new_id_are_one_event() -> None:
    merges = [(7, 8, at(1)), (8, 9, at(2))]
    found = oracle([event(1, 7, 20), event(1, 9, 20), event(2, 8, 5)], merges=merges)
    assert [(r["user_id"], r["event_id"]) for r in found.tables()["pageviews"]] == [(9, 1), (9, 2)]
    assert found.counts()["users"] == 1


def test_one_event_id_of_two_people_is_two_events() -> None:
    assert oracle([event(1, 7, 20), event(1, 8, 20)]).counts()["pageviews"] == 2


def test_each_type_has_its_table_and_all_events_leaves_sessions_out() -> None:
    events = [
        event(1, 7, 1, "session"),
        event(2, 7, 2),
        event(3, 7, 3, "click", target_text="Go"),
        event(4, 7, 4, "click", target_text="No"),
        event(5, 7, 5, "screen_view", library="ios"),
        event(6, 7, 6, "click", target_text="Go", library="android"),
    ]
    found = oracle(events, definitions=[CTA])
    tables = found.tables()
    assert {name: len(rows) for name, rows in tables.items()} == found.counts()
    assert found.counts() == {
        "sessions": 1,
        "pageviews": 1,
        "web_click_cta": 1,
        "users": 1,
        "all_events": 2,
        "user_migrations": 0,
    }
    assert [(r["event_id"], r["event_table_name"]) for r in tables["all_events"]] == [
        (2, "pageviews"),
        (3, "web_click_cta"),
    ]


@pytest.mark.parametrize(
    ("condition", "ids"),
    [
        ({"property": "path", "op": "equals", "value": "/a"}, [1]),
        ({"property": "path", "op": "equals", "value": ["/a", "/b"]}, [1, 2]),
        ({"property": "path", "op": "not_equals", "value": "/a"}, [2, 3]),
        ({"property": "path", "op": "contains", "value": "/"}, [1, 2]),
        ({"property": "path", "op": "not_defined"}, [3]),
        ({"property": "properties.plan", "op": "equals", "value": "pro"}, [1]),
        ({"property": "properties.n", "op": "equals", "value": 5}, [2]),
        ({"property": "properties.n", "op": "equals", "value": [4, 5.0]}, [2]),
        ({"property": "properties.n", "op": "not_equals", "value": 5}, [1, 3]),
        ({"property": "properties.n", "op": "equals", "value": "5.0"}, []),
        ({"property": "properties.ok", "op": "equals", "value": "true"}, [2]),
        ({"property": "session_properties.plan", "op": "defined"}, [2]),
    ],
)
def test_filters(condition: dict[str, Any], ids: list[int]) -> None:
    events = [
        event(1, 7, 1, "click", path="/a", properties=[("plan", '"pro"')]),
        event(
            2,
            7,
            2,
            "click",
            path="/b",
            properties=[("n", "5"), ("ok", "true")],
            session_properties=[("plan", '"x"')],
        ),
        event(3, 7, 3, "click"),
    ]
    definition = CTA | {"where": {"filters": [condition]}}
    rows = oracle(events, definitions=[definition]).tables()["web_click_cta"]
    assert [row["event_id"] for row in rows] == ids


def test_a_custom_event_is_told_by_its_name_and_shows_it_as_its_type() -> None:
    definition = {
        "id": "buy",
        "name": "Purchase",
        "source": "custom",
        "event": "Purchase",
        "sync": {"enabled": True, "since": "2024-01-02"},
    }
    day = 86_400
    events = [
        event(1, 7, day - 1, "custom", name="Purchase"),
        event(2, 7, day, "custom", name="Purchase"),
        event(3, 7, day, "custom", name="Refund"),
    ]
    row = only(oracle(events, definitions=[definition]).tables()["purchase"])
    assert (row["event_id"], row["type"]) == (2, "Purchase")


def test_properties_become_columns_of_text() -> None:
    properties = [
        ("createdAt", '"x"'),
        ("City", '"Rom"'),
        ("n", "5"),
        ("r", "1.50"),
        ("ok", "true"),
        ("gone", None),
        ("plan", '"own"'),
        ("a", '{"b":{"c":1},"d":null}'),
        ("list", '[1,"x"]'),
        ("long", json.dumps("ä" * 600, ensure_ascii=False)),
    ]
    session = [("plan", '"session"'), ("cohort", '"c1"')]
    built = event(1, 7, 1, properties=properties, session_properties=session, title="ö" * 300)
    tables = oracle([built, built | {"event_id": 2, "type": "session"}]).tables()
    row = only(tables["pageviews"])
    custom = {
        "createdat": "x",
        "_city": "Rom",
        "n": "5",
        "r": "1.50",
        "ok": "true",
        "plan": "own",
        "cohort": "c1",
        "a_b_c": "1",
        "list": '[1,"x"]',
        "long": "ä" * 512,
    }
    assert {name: row.get(name) for name in custom} == custom
    assert "gone" not in row
    assert (row["city"], row["title"], row["session_time"]) == (None, "ö" * 256, None)
    session_row = only(tables["sessions"])
    assert (session_row["plan"], session_row.get("n")) == ("session", None)


def test_direct_traffic_has_no_referrer() -> None:
    events = [event(1, 7, 1, referrer="direct"), event(2, 7, 1, referrer=""), event(3, 7, 1)]
    assert [row["referrer"] for row in oracle(events).tables()["pageviews"]] == [None] * 3


def test_an_older_update_that_comes_later_changes_nothing_but_what_was_never_set() -> None:
    updates = [
        update(7, 20, email="new@x", properties=[("plan", '"pro"')]),
        update(7, 10, email="old@x", handle="h", properties=[("plan", '"free"'), ("n", "1")]),
    ]
    row = only(oracle(updates=updates).tables()["users"])
    assert (row["email"], row["handle"], row["plan"], row["n"]) == ("new@x", "h", "pro", "1")
    assert (row["joindate"], row["last_modified"]) == (at(10), at(20))


def test_of_equal_times_the_later_in_kafka_wins_and_a_null_clears() -> None:
    updates = [
        update(7, 10, handle="a", properties=[("p", "1"), ("q", "1")]),
        update(7, 10, handle="b", properties=[("p", "2")]),
        update(7, 30, cleared=["handle"], properties=[("q", None)]),
    ]
    row = only(oracle(updates=updates).tables()["users"])
    assert (row["handle"], row["p"], row.get("q"), row["last_modified"]) == (
        None,
        "2",
        None,
        at(30),
    )


def test_a_merged_user_takes_the_latest_write_of_all_ids_and_the_earliest_sighting() -> None:
    found = oracle(
        [event(1, 7, 5), event(2, 9, 50)],
        [
            update(7, 40, email="seven@x"),
            update(9, 30, email="nine@x", identity="nine"),
            update(8, 60, properties=[("p", "1")]),
        ],
        [(7, 9, at(90)), (8, 9, at(80))],
    )
    row = only(found.tables()["users"])
    assert row == {
        "user_id": 9,
        "identity": "nine",
        "handle": None,
        "email": "seven@x",
        "joindate": at(5),
        "last_modified": at(90),
        "p": "1",
    }


def test_a_user_who_only_came_by_was_never_modified_and_a_merge_alone_makes_nobody() -> None:
    found = oracle(
        [event(1, 7, 5)], merges=[(1, 2, at(3)), (7, 6, datetime.fromisoformat("1970-01-01"))]
    )
    row = only(found.tables()["users"])
    assert (row["user_id"], row["joindate"], row["last_modified"]) == (6, at(5), None)
    assert [tuple(r.values()) for r in found.tables()["user_migrations"]] == [
        (1, 2, at(3)),
        (7, 6, None),
    ]
    assert found.counts()["users"] == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"where": {"selector": "a.b"}}, "selector"),
        ({"where": {"filters": [{"property": "path", "op": "matches", "value": "*"}]}}, "matches"),
        ({"source": "combo"}, "combo"),
        ({"name": "Users", "category": None}, "users"),
    ],
)
def test_what_it_cannot_judge_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        Oracle([CTA | change])


def test_two_definitions_of_one_table_are_refused_and_others_keep_none() -> None:
    with pytest.raises(UsageError, match="web_click_cta"):
        Oracle([CTA, CTA | {"id": "other"}])
    off = CTA | {"sync": {"enabled": False, "since": "all_time"}}
    assert "web_click_cta" not in oracle(definitions=[off, CTA | {"archived": True}]).counts()


def test_simulated_traffic_from_messages_to_files(tmp_path: Path) -> None:
    found = Oracle(sample_definitions())
    refused = 0
    for chunk in generate(TrafficOptions(4000, users=200, malformed=0.02, duplicates=0.1)):
        found.add(chunk)
        refused += chunk.events.refused
    write(found, tmp_path / "truth")
    summary = json.loads((tmp_path / "truth" / "summary.json").read_text())
    assert summary["tables"] == found.counts()
    assert summary["rejected"]["events"] == refused > 0
    assert all(
        summary["tables"][name]
        for name in ("funnel_view_pricing", "funnel_click_start_free_trial", "funnel_purchase")
    )
    for table, rows in found.tables().items():
        written = pq.read_table(tmp_path / "truth" / f"{table}.parquet").to_pylist()
        assert len(written) == len(rows)
        for left, right in zip(written, rows, strict=True):
            assert {k: v for k, v in left.items() if v is not None} == {
                k: v for k, v in right.items() if v is not None
            }
