"""Breaks a sync at every one of its statements, in turn, and compares the tables with the truth.

Run as a script it goes through all tables, one fault a sync:
``python -m tests.crash.every_statement STACK_DIRECTORY``.
"""

from __future__ import annotations

import json
import random
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import stamina

from loader.compactor.reports import SyncReport
from loader.compactor.sync import run_sync
from loader.config import Settings
from loader.lake.s3 import S3Store
from loader.local.environment import settings as stack_settings
from loader.local.stack import Stack
from loader.warehouse.connection import connect
from loader.warehouse.handle import ATTEMPTS
from loader.warehouse.sql import SelectColumns, SelectRows, Table
from tests.support import traffic
from tests.support.faults import Place, Storm, control_file, watched
from tests.support.lake_writer import LakeWriter
from tests.support.truth import Truth, comparable

Point = tuple[Place, str]
FAULTS = ("before", "after", "conflict")


class Subject:
    """A lake that grows by one batch a sync, and a schema that is to be equal to it."""

    def __init__(self, document: dict[str, Any], tables: Sequence[str], control: Path) -> None:
        self.settings = Settings.model_validate(document)
        self.truth = Truth()
        self._tables = tables
        self._control = control
        self._lake = LakeWriter(S3Store.open(self.settings.lake), self.settings.topics)
        self._rng = random.Random(1)
        self._round = 0

    def grow(self) -> None:
        """New events with a property that is new, and definitions that change.

        ``kept`` is appended to, ``edited`` is replaced, ``renamed`` gets another name and
        of ``switched_0`` and ``switched_1`` one is switched off and one is switched on: every kind
        of work is in every sync.
        """
        self._round += 1
        number = self._round
        events = [traffic.event(self._rng, 1000 * number + n, 4) for n in range(4)]
        for row in events:
            row |= {"properties": None, "session_properties": None}
        own = {"type": "custom", "properties": {f"a new {number}": number}}
        events += [
            events[n] | {"event_id": 1000 * number + 10 + n, "name": name} | own
            for n, name in enumerate(("Kept", "Bought"))
        ]
        events += [events[1] | {"event_id": 1000 * number + 8, "type": "pageview"}]
        first = self._lake.events(events).first
        self.truth.events += [(0, first + n, row) for n, row in enumerate(events)]
        updates = [row | {"properties": None} for row in traffic.updates(self._rng, 2, 4)]
        first = self._lake.updates(updates).first
        self.truth.updates += [(0, first + n, row) for n, row in enumerate(updates)]
        self._lake.definitions(
            [
                _definition("kept", "Kept"),
                _definition("edited", "Kept" if number % 2 else "Bought"),
                _definition("renamed", "Kept", name=f"renamed {number}"),
                *(
                    _definition(f"switched_{n}", "Kept", sync={"enabled": (number + n) % 2 > 0})
                    for n in range(2)
                ),
            ]
        )

    def sync(self, storm: Storm) -> SyncReport:
        """One sync with these faults."""
        with watched(self.settings, storm=storm, control=self._control) as parts:
            return run_sync(self.settings, tables=self._tables, parts=parts)

    def check(self, report: SyncReport) -> None:
        """The tables are equal to the truth, and each was written down once."""
        kept = self.truth.event(lambda row: _own(row) == "Kept")
        bought = self.truth.event(lambda row: _own(row) == "Bought")
        expected = {
            "kept": kept,
            "edited": kept if self._round % 2 else bought,
            "users": self.truth.users(),
            "sessions": self.truth.sessions(),
            "pageviews": self.truth.pageviews(),
        }
        for name in set(self._tables or expected) & set(expected):
            rows = expected[name]
            assert comparable(self._rows(name)) == comparable(rows), name
        loaded = [
            t.table for t in report.tables if t.action.value in {"append", "replace", "initial"}
        ]
        started = report.started.replace(tzinfo=None)
        notes = [
            row["event_table_name"]
            for row in self._rows("_sync_info")
            if row["sync_started"] >= started
        ]
        assert sorted(notes) == sorted(set(loaded) - {"user_migrations"}), notes
        history = [row for row in self._rows("_sync_history") if row["start_time"] == started]
        assert [row["status"] for row in history] == ["succeeded"]

    def _rows(self, name: str) -> list[dict[str, Any]]:
        session = connect(self.settings.warehouse)
        schema = self.settings.warehouse.db_schema
        try:
            columns = session.execute(SelectColumns(schema)).rows
            names = tuple(row[1] for row in columns if row[0] == name)
            found = session.execute(SelectRows(Table(name, schema), names)).rows
        finally:
            session.close()
        return [dict(zip(names, row, strict=True)) for row in found]


def _own(row: dict[str, Any]) -> Any:
    return row.get("name") if row["type"] == "custom" else None


def _definition(id_: str, event: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "name": id_, "source": "custom", "event": event, **more}


def batches(points: Iterable[Point], together: int) -> Iterator[dict[Place, str]]:
    """Points for one sync each: at most ``together``, no place twice."""
    waiting = list(points)
    while waiting:
        taken: dict[Place, str] = {}
        rest: list[Point] = []
        for place, fault in waiting:
            if place in taken or len(taken) >= together:
                rest.append((place, fault))
            else:
                taken[place] = fault
        yield taken
        waiting = rest


def every_point(calm: Storm, together: int, sync: Callable[[Storm], None]) -> int:
    """Run syncs until each fault was met at each place; gives how many there were.

    After an earlier fault a transaction is tried again, and reads that were told apart by their
    number may have another one: those faults get a sync of their own.
    """
    points = [(place, fault) for fault in FAULTS for place in calm.seen]
    alone: list[Point] = []
    for due in batches(points, together):
        storm = Storm(due)
        sync(storm)
        alone += storm.due.items()
    for place, fault in alone:
        storm = Storm({place: fault})
        sync(storm)
        assert storm.fired == [place], f"never came to {place}"
    return len(points)


def later_syncs(
    document: dict[str, Any], tables: Sequence[str], together: int, control: Path
) -> int:
    """Faults at every statement of a sync that appends, replaces, renames and switches off."""
    subject = Subject(document, tables, control)

    def sync(storm: Storm) -> None:
        subject.grow()
        subject.check(subject.sync(storm))

    # The first two make the tables.
    for _ in range(3):
        calm = Storm()
        sync(calm)
    return every_point(calm, together, sync)


def first_syncs(
    document: dict[str, Any], tables: Sequence[str], together: int, control: Path
) -> int:
    """Faults at every statement of the first sync, which makes the schema and the tables."""
    subject = Subject(document, tables, control)
    subject.grow()

    def sync(storm: Storm) -> None:
        warehouse = {**document["warehouse"], "schema": f"first_{uuid.uuid4().hex[:16]}"}
        subject.settings = Settings.model_validate({**document, "warehouse": warehouse})
        subject.check(subject.sync(storm))

    calm = Storm()
    sync(calm)
    return every_point(calm, together, sync)


def main(directory: str) -> None:
    """Every statement, every table, one fault a sync."""
    environment = Stack.open(directory).environment()
    stamina.set_testing(True, attempts=ATTEMPTS)
    for tables in (("kept", "users"), ()):
        for run in (first_syncs, later_syncs):
            name = f"storm_{uuid.uuid4().hex[:8]}"
            document = stack_settings(environment, lake_prefix=f"test/{name}", schema=name)
            faults = run(document, tables, 1, control_file(environment.config))
            sys.stdout.write(json.dumps({"tables": tables or "all", "faults": faults}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
