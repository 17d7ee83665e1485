"""What a sync is going to do: for each table an action with its reason and what it reads.

A table is a function of the lake up to a cut, its definition and the merges of users. The ledger
says which of each the table holds now; comparing the two decides the action. A plan is data: it can
be printed, and it is what runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from loader.model.tables import TableKind

#: Topic to partition to the offset after the last one included.
Cut = Mapping[str, Mapping[int, int]]

#: States of a ledger row.
LOADED: Final = "loaded"
PAUSED: Final = "paused"
ARCHIVED: Final = "archived"


class Action(StrEnum):
    """What happens to a table."""

    INITIAL = "initial"
    APPEND = "append"
    REPLACE = "replace"
    RENAME = "rename"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Volume:
    """What an action reads from the lake: files, their bytes, their rows."""

    files: int = 0
    bytes: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a table is to be.

    Attributes:
        key: its name in the ledger: a definition's id, or a built-in table's name.
        table: its name in the warehouse.
        kind: how it comes to be.
        event: what people call it.
        topics: topics whose rows it is made of; empty for ``user_migrations``.
        meaning: hash of what decides its rows besides data and merges.
        people: version of the merges of users that its rows show.
        state: :data:`LOADED`, or why it is not kept up: :data:`PAUSED`, :data:`ARCHIVED`.
    """

    key: str
    table: str
    kind: TableKind
    event: str
    topics: tuple[str, ...]
    meaning: str = ""
    people: str = ""
    state: str = LOADED


@dataclass(frozen=True, slots=True)
class Loaded:
    """A ledger row: what a table holds now.

    Attributes:
        key: see :class:`Wanted`.
        table: its present name.
        kind: how it came to be.
        version: moved by one with every transaction that changes the table.
        state: :data:`LOADED`, :data:`PAUSED` or :data:`ARCHIVED`.
        cut: how far the lake is in it.
        meaning: see :class:`Wanted`.
        people: see :class:`Wanted`.
        sync_id: the sync that changed it last.
        manifests: keys of the manifests which that sync loaded.
        rows: its rows.
        state_key: key of the folded state that belongs to it (``users`` only).
        synced_to: everything that arrived up to this time is in it; UTC.
        updated: when it was changed; UTC.
        left_out: columns of custom properties that it has no room for.
    """

    key: str
    table: str
    kind: TableKind
    version: int
    state: str
    cut: Cut
    meaning: str = ""
    people: str = ""
    sync_id: str = ""
    manifests: tuple[str, ...] = ()
    rows: int = 0
    state_key: str = ""
    synced_to: datetime | None = None
    updated: datetime | None = None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TablePlan:
    """What happens to one table.

    Attributes:
        key: see :class:`Wanted`.
        table: its name after the sync.
        kind: how it comes to be.
        event: what people call it.
        action: what happens.
        reason: why, for people.
        since: cut from which the lake is read; empty offsets mean from the beginning.
        until: cut up to which it is read.
        volume: what is read.
        version: the ledger version this was planned at; None where there is no row yet.
        renamed_from: its present name, where that differs.
        state: the ledger state afterwards.
        meaning: see :class:`Wanted`.
        people: see :class:`Wanted`.
    """

    key: str
    table: str
    kind: TableKind
    event: str
    action: Action
    reason: str
    since: Cut = field(default_factory=dict)
    until: Cut = field(default_factory=dict)
    volume: Volume = Volume()
    version: int | None = None
    renamed_from: str | None = None
    state: str = LOADED
    meaning: str = ""
    people: str = ""

    @property
    def reads(self) -> bool:
        """Whether rows are read and the table's content changes."""
        return self.action in {Action.INITIAL, Action.APPEND, Action.REPLACE}

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.table,
            "event": self.event,
            "action": self.action.value,
            "reason": self.reason,
            "renamed_from": self.renamed_from,
            "files": self.volume.files,
            "bytes": self.volume.bytes,
            "rows": self.volume.rows,
        }


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """What a sync does, table by table, in this order."""

    schema: str
    tables: tuple[TablePlan, ...]

    @property
    def idle(self) -> bool:
        """Whether it changes nothing at all."""
        return all(table.action is Action.NOTHING for table in self.tables)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"schema": self.schema, "tables": [table.document() for table in self.tables]}


def plan(
    schema: str,
    wanted: Iterable[Wanted],
    ledger: Mapping[str, Loaded],
    cut: Cut,
    volume: Callable[[Wanted, Cut], Volume],
) -> SyncPlan:
    """Compare what tables are to be with what they are.

    Args:
        schema: the warehouse schema.
        wanted: every table that has a definition, built-in ones included.
        ledger: what each table holds, by key.
        cut: how far the lake goes.
        volume: what reading a table's topics from a cut to ``cut`` means.

    Returns:
        Renames first (so that a freed name can be taken), then small appends, then the tables that
        are read from the beginning: a backfill never holds up what is due.
    """
    plans = [plan_table(table, ledger.get(table.key), cut, volume) for table in wanted]
    known = {table.key for table in plans}
    for key, loaded in ledger.items():
        if key not in known:
            plans.append(_removed(loaded))
    return SyncPlan(schema, tuple(sorted(_renames_first(plans), key=_order)))


def plan_table(
    wanted: Wanted,
    loaded: Loaded | None,
    cut: Cut,
    volume: Callable[[Wanted, Cut], Volume],
) -> TablePlan:
    """The plan of one table; see :func:`plan`."""
    until = {topic: dict(cut.get(topic, {})) for topic in wanted.topics}
    action, reason = _decide(wanted, loaded, until)
    since: Cut = loaded.cut if loaded and _goes_on(wanted, loaded, action) else {}
    renamed = loaded.table if loaded and loaded.table != wanted.table else None
    if wanted.state != LOADED and loaded:
        # A table that is not kept up keeps its name too, until it is kept up again.
        renamed = None
    if action is Action.NOTHING and renamed:
        action, reason = Action.RENAME, "its definition has another name"
    reads = action in {Action.INITIAL, Action.APPEND, Action.REPLACE}
    return TablePlan(
        key=wanted.key,
        table=loaded.table if loaded and wanted.state != LOADED else wanted.table,
        kind=wanted.kind,
        event=wanted.event,
        action=action,
        reason=reason,
        since=since,
        until=until if reads else (loaded.cut if loaded else {}),
        volume=volume(wanted, since) if reads else Volume(),
        version=loaded.version if loaded else None,
        renamed_from=renamed,
        state=wanted.state,
        meaning=wanted.meaning if reads or loaded is None else loaded.meaning,
        people=wanted.people if reads or loaded is None else loaded.people,
    )


def _decide(wanted: Wanted, loaded: Loaded | None, until: Cut) -> tuple[Action, str]:
    if wanted.state != LOADED:
        why = "paused: its sync is switched off" if wanted.state == PAUSED else "archived"
        return Action.NOTHING, why
    if loaded is None:
        return Action.INITIAL, "not loaded yet"
    reasons = (
        (loaded.state == PAUSED, "its sync was switched on again"),
        (loaded.state == ARCHIVED, "it was unarchived"),
        (loaded.meaning != wanted.meaning, "its definition has another meaning"),
        (loaded.people != wanted.people, "users were merged"),
    )
    for holds, why in reasons:
        if holds:
            return Action.REPLACE, why
    behind = _behind(loaded.cut, until)
    if behind:
        return Action.APPEND, f"{behind} new offsets"
    return Action.NOTHING, "up to date"


def _goes_on(wanted: Wanted, loaded: Loaded, action: Action) -> bool:
    """Whether the lake is read from the table's cut on, not from the beginning.

    ``users`` is made of a folded state by raw id, which outlives any change of merges.
    """
    folded = wanted.kind is TableKind.USERS and loaded.meaning == wanted.meaning
    return action is Action.APPEND or (action is Action.REPLACE and folded)


def _behind(loaded: Cut, until: Cut) -> int:
    """Offsets by which ``until`` is ahead."""
    return sum(
        max(0, next_ - loaded.get(topic, {}).get(partition, 0))
        for topic, offsets in until.items()
        for partition, next_ in offsets.items()
    )


def _removed(loaded: Loaded) -> TablePlan:
    return TablePlan(
        key=loaded.key,
        table=loaded.table,
        kind=loaded.kind,
        event=loaded.table,
        action=Action.NOTHING,
        reason="its definition was removed: the table stays as it is",
        until=loaded.cut,
        version=loaded.version,
        state=ARCHIVED,
        meaning=loaded.meaning,
        people=loaded.people,
    )


def _order(table: TablePlan) -> int:
    if table.renamed_from:
        return 0
    return {Action.INITIAL: 2, Action.REPLACE: 2}.get(table.action, 1)


def _renames_first(plans: Sequence[TablePlan]) -> list[TablePlan]:
    """Order renames so that each one's new name is free when its turn comes.

    Of a circle (two definitions that swap names) one is left at the end; the loader takes it by way
    of a temporary name.
    """
    waiting = [table for table in plans if table.renamed_from]
    ordered: list[TablePlan] = []
    while waiting:
        held = {table.renamed_from for table in waiting}
        free = [table for table in waiting if table.table not in held] or waiting[:1]
        ordered += free
        waiting = [table for table in waiting if table not in free]
    return ordered + [table for table in plans if not table.renamed_from]
