from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from loader.compactor.room import Room, check_room, planned_needs, staged_needs
from loader.errors import NeedsOperator
from loader.model.plans import Action, TablePlan
from loader.model.tables import SESSIONS, TableKind
from loader.warehouse.maintenance import Health
from loader.warehouse.work import Manifest, Work

PLAN = TablePlan("sessions", "sessions", TableKind.SESSIONS, "sessions", Action.REPLACE, "why")
MEGABYTE = 1 << 20


def test_a_replaced_table_needs_its_size_twice() -> None:
    health = {"sessions": Health("sessions", 500)}
    assert planned_needs([PLAN], health) == {"sessions": 1000}
    assert planned_needs([replace(PLAN, action=Action.APPEND)], health) == {}
    assert planned_needs([PLAN], None) == {}


def test_copy_files_need_their_bytes_twice() -> None:
    files = (
        Manifest("k", "u", (), 1, 3 * MEGABYTE // 2),
        Manifest("k", "u", (), 1, 1),
    )
    work = Work(PLAN, SESSIONS, (), files, "s", datetime.now(UTC))
    assert staged_needs([work]) == {"sessions": 4}
    assert staged_needs([replace(work, manifests=())]) == {}


def test_what_does_not_fit_is_refused_with_figures() -> None:
    room = Room(capacity=10_000, used=9_000)
    check_room({"a": 1000}, room)
    check_room({"a": 10**9}, None)
    with pytest.raises(NeedsOperator) as caught:
        check_room({"small": 1, "a": 1000}, room)
    assert caught.value.message == (
        "The disks have too little room: 1,001 MB are needed (a 1,000 MB, small 1 MB), "
        "1,000 of 10,000 MB are free."
    )
    assert "Nothing was changed" in caught.value.hint
    with pytest.raises(NeedsOperator) as caught:
        check_room({"a": 1000}, room, taken=1)
    assert "has loaded so far stays" in caught.value.hint
