from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from loader.model.plans import (
    ARCHIVED,
    PAUSED,
    Action,
    Cut,
    Loaded,
    SyncPlan,
    Volume,
    Wanted,
    plan,
)
from loader.model.tables import TableKind

CUT = {"events": {0: 10, 1: 7}}
WANTED = Wanted("a", "clicks", TableKind.EVENT, "Clicks", ("events",), "m1", "u1")
LOADED_ROW = Loaded("a", "clicks", TableKind.EVENT, 3, "loaded", CUT, "m1", "u1")


def volume(table: Wanted, since: Cut) -> Volume:
    read = sum(
        end - since.get(topic, {}).get(partition, 0)
        for topic in table.topics
        for partition, end in CUT[topic].items()
    )
    return Volume(1, 100, read)


def made(*wanted: Wanted, ledger: Mapping[str, Loaded] | None = None) -> SyncPlan:
    return plan("main", wanted, ledger or {}, CUT, volume)


def one(wanted: Wanted, loaded: Loaded | None) -> Any:
    (table,) = made(wanted, ledger={loaded.key: loaded} if loaded else {}).tables
    return table


def test_first_time_everything_is_read() -> None:
    table = one(WANTED, None)
    assert (table.action, table.since, table.until) == (Action.INITIAL, {}, CUT)
    assert (table.volume.rows, table.version) == (17, None)


def test_up_to_date_nothing_is_done() -> None:
    table = one(WANTED, LOADED_ROW)
    assert (table.action, table.volume) == (Action.NOTHING, Volume())
    assert made(WANTED, ledger={"a": LOADED_ROW}).idle


def test_new_offsets_are_appended_from_the_tables_own_cut() -> None:
    table = one(WANTED, replace(LOADED_ROW, cut={"events": {0: 4}}))
    assert (table.action, table.since) == (Action.APPEND, {"events": {0: 4}})
    assert (table.until, table.volume.rows, table.version) == (CUT, 13, 3)
    assert table.reason == "13 new offsets"


@pytest.mark.parametrize(
    ("loaded", "reason"),
    [
        (replace(LOADED_ROW, meaning="m0"), "another meaning"),
        (replace(LOADED_ROW, people="u0"), "merged"),
        (replace(LOADED_ROW, state=PAUSED), "switched on again"),
        (replace(LOADED_ROW, state=ARCHIVED), "unarchived"),
    ],
)
def test_what_cannot_be_appended_is_replaced(loaded: Loaded, reason: str) -> None:
    table = one(WANTED, loaded)
    assert (table.action, table.since, table.volume.rows) == (Action.REPLACE, {}, 17)
    assert reason in table.reason


def test_users_keep_their_folded_state_when_users_are_merged() -> None:
    users = replace(WANTED, key="users", table="users", kind=TableKind.USERS)
    loaded = replace(LOADED_ROW, key="users", table="users", kind=TableKind.USERS, people="u0")
    assert one(users, loaded).since == CUT
    assert one(users, replace(loaded, meaning="m0")).since == {}


@pytest.mark.parametrize("state", [PAUSED, ARCHIVED])
def test_what_is_not_kept_up_is_left_alone(state: str) -> None:
    loaded = replace(LOADED_ROW, cut={}, meaning="m0", table="old_name")
    table = one(replace(WANTED, state=state), loaded)
    assert (table.action, table.table, table.state) == (Action.NOTHING, "old_name", state)
    # Nothing of what it holds is claimed to have changed.
    assert (table.until, table.meaning, table.renamed_from) == ({}, "m0", None)


def test_a_rename_alone_reads_nothing_and_comes_with_an_append_otherwise() -> None:
    table = one(WANTED, replace(LOADED_ROW, table="old"))
    assert (table.action, table.renamed_from, table.volume) == (Action.RENAME, "old", Volume())
    table = one(WANTED, replace(LOADED_ROW, table="old", cut={}))
    assert (table.action, table.renamed_from) == (Action.APPEND, "old")


def test_a_removed_definition_leaves_its_table() -> None:
    (table,) = made(ledger={"a": LOADED_ROW}).tables
    assert (table.action, table.state) == (Action.NOTHING, ARCHIVED)


def test_names_are_freed_before_they_are_taken_and_backfills_come_last() -> None:
    wanted = [
        replace(WANTED, key="new", table="fresh"),
        replace(WANTED, key="due", table="due"),
        replace(WANTED, key="takes", table="x"),
        replace(WANTED, key="frees", table="y"),
    ]
    ledger = {
        "due": replace(LOADED_ROW, key="due", table="due", cut={}),
        "takes": replace(LOADED_ROW, key="takes", table="w"),
        "frees": replace(LOADED_ROW, key="frees", table="x"),
    }
    order = [table.key for table in made(*wanted, ledger=ledger).tables]
    assert order == ["frees", "takes", "due", "new"]


def test_the_document_of_a_plan() -> None:
    assert made(WANTED).document() == {
        "schema": "main",
        "tables": [
            {
                "name": "clicks",
                "event": "Clicks",
                "action": "initial",
                "reason": "not loaded yet",
                "renamed_from": None,
                "files": 1,
                "bytes": 100,
                "rows": 17,
            }
        ],
    }
