"""From a view of the lake and the ledger to a plan: which tables there are to be, and what they need."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from loader import config
from loader.compactor.lake_view import LakeView
from loader.errors import UsageError
from loader.model.labelled_events import Definition
from loader.model.plans import (
    ARCHIVED,
    LOADED,
    PAUSED,
    Cut,
    Loaded,
    SyncPlan,
    Volume,
    Wanted,
    plan,
)
from loader.model.tables import (
    PAGEVIEWS,
    SESSIONS,
    USER_MIGRATIONS,
    USERS,
    TableKind,
    TableSpec,
    event_table,
)

#: Part of every table's meaning: raised where the same lake would give other rows, so that tables
#: made by an earlier version are replaced.
ROWS_VERSION: Final = "1"
#: Keeps the keys of definitions apart from those of built-in tables.
EVENT_KEY: Final = "event:"


def wanted_tables(view: LakeView, topics: config.Topics) -> list[Wanted]:
    """Every table that there is to be."""
    users = view.registry.users
    events, updates = topics.events.name, topics.user_updates.name
    tables = [
        _built_in(USERS, (events, updates), users.rows_version),
        _built_in(SESSIONS, (events,), users.version),
        _built_in(PAGEVIEWS, (events,), users.version),
        _built_in(USER_MIGRATIONS, (), users.rows_version),
    ]
    for definition in view.registry.definitions.values():
        kept = LOADED if definition.enabled else PAUSED
        wanted = Wanted(
            EVENT_KEY + definition.id,
            definition.table_name,
            TableKind.EVENT,
            definition.name,
            (events,),
            f"{ROWS_VERSION}:{definition.meaning_hash}",
            users.version,
            ARCHIVED if definition.archived else kept,
        )
        tables.append(wanted)
    return tables


def _built_in(spec: TableSpec, topics: tuple[str, ...], people: str) -> Wanted:
    return Wanted(spec.name, spec.name, spec.kind, spec.name, topics, ROWS_VERSION, people)


def spec_of(kind: TableKind, table: str) -> TableSpec:
    """The table's specification."""
    built_in = {spec.kind: spec for spec in (USERS, SESSIONS, PAGEVIEWS, USER_MIGRATIONS)}
    return built_in[kind] if kind in built_in else event_table(table)


def definition_of(view: LakeView, key: str) -> Definition | None:
    """The definition behind a table's key; None for built-in tables."""
    if not key.startswith(EVENT_KEY):
        return None
    return view.registry.definitions[key.removeprefix(EVENT_KEY)]


def make_plan(
    schema: str,
    view: LakeView,
    topics: config.Topics,
    ledger: Mapping[str, Loaded],
    only: Sequence[str] = (),
) -> SyncPlan:
    """Plan a sync of all tables, or of ``only`` those (by table name or definition id).

    Raises:
        UsageError: there is no such table.
    """

    def volume(table: Wanted, since: Cut) -> Volume:
        if table.kind is TableKind.USER_MIGRATIONS:
            return Volume(rows=len(view.registry.users))
        return view.volume(table.topics, since)

    whole = plan(schema, wanted_tables(view, topics), ledger, view.cut, volume)
    if not only:
        return whole
    names = {name: table for table in whole.tables for name in (table.table, _short(table.key))}
    for name in only:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
            raise UsageError(
                f"There is no table {name}." + (f" The nearest one is {near[0]}." if near else "")
            )
    chosen = {names[name].key for name in only}
    return replace(whole, tables=tuple(t for t in whole.tables if t.key in chosen))


def _short(key: str) -> str:
    return key.removeprefix(EVENT_KEY)
