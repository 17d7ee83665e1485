from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.model.events import EVENT_COLUMNS, USER_UPDATE_COLUMNS
from loader.model.migrations import Migration, UserMap
from loader.model.users import STATE_SCHEMA, People, fold, people, sightings, writes
from tests.support import traffic
from tests.support.lake_writer import raw_batch
from tests.support.truth import Row, Truth, comparable


def updates_table(rows: list[tuple[int, int, Row]]) -> pa.Table:
    return pa.concat_tables(
        pa.Table.from_batches([raw_batch(USER_UPDATE_COLUMNS, [row], "u", partition, offset)])
        for partition, offset, row in rows
    )


def events_table(rows: list[Row]) -> pa.Table:
    return pa.Table.from_batches([raw_batch(EVENT_COLUMNS, rows)])


def shown(made: People) -> list[Row]:
    """Persons as rows, scalar properties under their column's name."""
    rows: list[Row] = made.built_in.to_pylist()
    for row, name, value in zip(
        made.rows.tolist(), made.names.to_pylist(), made.values.to_pylist(), strict=True
    ):
        rows[row][f"p.{name}"] = json.loads(value)
    return rows


def update(time: int, **fields: Any) -> Row:
    return {"user_id": 1, "time": time, **fields}


def folded(parts: list[pa.Table]) -> pa.Table:
    return fold(STATE_SCHEMA.empty_table(), parts)[0]


def person(*rows: Row) -> Row:
    table = updates_table([(0, n, row) for n, row in enumerate(rows)])
    state = folded([writes(table)])
    none = UserMap.empty()
    (row,) = shown(people(state, none, none.merge_times()))
    return row


def test_the_latest_time_wins_not_the_latest_arrival() -> None:
    row = person(update(9, email="new"), update(5, email="old"))
    assert row["email"] == "new"


def test_of_equal_times_the_later_offset_wins() -> None:
    assert person(update(9, email="a"), update(9, email="b"))["email"] == "b"


def test_a_clear_is_a_write() -> None:
    row = person(update(5, email="a"), update(7, cleared=["email"]), update(6, email="b"))
    assert row["email"] is None
    row = person(update(5, properties={"plan": "pro"}), update(7, properties={"plan": None}))
    assert "p.plan" not in row


def test_a_property_called_like_a_field_is_another_thing() -> None:
    row = person(update(5, email="a", properties={"email": "b"}))
    assert (row["email"], row["p.email"]) == ("a", "b")


def test_last_modified_is_of_writes_and_joindate_of_everything() -> None:
    row = person(update(5, email="a"), update(3), update(8))
    assert row["joindate"].microsecond == 3
    assert row["last_modified"].microsecond == 5
    assert person(update(3))["last_modified"] is None


def test_what_changes_nothing_is_not_called_a_change() -> None:
    first = writes(updates_table([(0, 0, update(9, email="a"))]))
    state, changed = fold(STATE_SCHEMA.empty_table(), [first])
    assert changed.tolist() == [1]
    late = writes(updates_table([(0, 1, update(9, email=None)), (0, 2, update(10))]))
    again, changed = fold(state, [late, first])
    assert changed.tolist() == []
    assert again.equals(state)


def test_a_merge_takes_the_earliest_sighting_and_the_latest_writes_of_all_ids() -> None:
    rows = [
        (0, 0, {"user_id": 1, "time": 7, "email": "one", "properties": {"a": 1}}),
        (1, 0, {"user_id": 2, "time": 5, "email": "two", "identity": "me", "properties": {"b": 2}}),
    ]
    state = folded([writes(updates_table(rows))])
    users = UserMap.fold([Migration(2, 1, 6)])
    (row,) = shown(people(state, users, users.merge_times()))
    assert row["user_id"] == 1
    assert (row["email"], row["identity"], row["p.a"], row["p.b"]) == ("one", "me", 1, 2)
    assert (row["joindate"].microsecond, row["last_modified"].microsecond) == (5, 7)
    users = UserMap.fold([Migration(2, 1, 9)])
    (row,) = shown(people(state, users, users.merge_times()))
    assert row["last_modified"].microsecond == 9


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 30))
def test_order_and_batches_decide_nothing(seed: int) -> None:
    rng = random.Random(seed)
    truth = Truth()
    truth.updates = [(rng.randrange(2), n, r) for n, r in enumerate(traffic.updates(rng, 20, 4))]
    events = traffic.events(rng, 10, 6)
    truth.events = [(0, n, row) for n, row in enumerate(events)]
    parts = [writes(updates_table([row])) for row in truth.updates]
    parts += [sightings(events_table([row])) for row in events]
    state = folded(parts)
    rng.shuffle(parts)
    cut = rng.randrange(len(parts))
    other, _ = fold(folded(parts[:cut]), [pa.concat_tables(parts[cut:])])
    assert other.equals(state)
    none = UserMap.empty()
    made = shown(people(state, none, none.merge_times()))
    names = {"user_id", "identity", "handle", "email", "joindate", "last_modified"}
    assert comparable({k: v for k, v in row.items() if k in names} for row in made) == comparable(
        {k: v for k, v in row.items() if k in names} for row in truth.users()
    )


def test_nobody() -> None:
    none = UserMap.empty()
    made = people(STATE_SCHEMA.empty_table(), none, none.merge_times())
    assert made.built_in.num_rows == 0
    state, changed = fold(STATE_SCHEMA.empty_table(), [])
    assert (state.num_rows, changed.dtype) == (0, np.dtype(np.int64))


def test_a_lists_row_without_a_map() -> None:
    table = updates_table([(0, 0, update(1)), (0, 1, update(2, properties={})), (0, 2, update(3))])
    assert set(writes(table).column("kind").to_pylist()) == {0}


@pytest.mark.parametrize("start", [0, 1, 2])
def test_slices_of_a_batch(start: int) -> None:
    rows = [update(n, properties={"a": n, "b": None}) for n in range(4)]
    batch = raw_batch(USER_UPDATE_COLUMNS, rows, "u")
    state = folded([writes(pa.Table.from_batches([batch.slice(start, 2)]))])
    none = UserMap.empty()
    (row,) = shown(people(state, none, none.merge_times()))
    assert row["p.a"] == start + 1
