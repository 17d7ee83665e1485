"""The state of every table, as the ledger, the lake and the definitions give it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from loader import config
from loader.compactor.lake_view import view_lake
from loader.compactor.planning import make_plan
from loader.compactor.sync import Parts, open_parts, read_ledger, warehouse_of
from loader.errors import LoaderError
from loader.model.plans import ARCHIVED, LOADED, Action, Loaded, TablePlan
from loader.model.tables import SYNC_HISTORY, SYNC_LEDGER
from loader.warehouse.handle import Warehouse
from loader.warehouse.objects import foreign_objects
from loader.warehouse.schema import read_catalog
from loader.warehouse.session import Session
from loader.warehouse.sql import SelectRows, Table, TableInfo, TimeSpan

#: A table that waits for longer than this many intervals between syncs is stale.
STALE_INTERVALS = 2


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last sync run, as ``_sync_history`` has it; times UTC without zone."""

    status: str
    started: datetime
    finished: datetime | None
    error: str | None
    next_scheduled: datetime | None


def status(settings: config.Settings, *, parts: Parts | None = None) -> dict[str, Any]:
    """The document of ``status --json``.

    Table states: ``pending_initial_sync``, ``synced``, ``stale`` (it waits to be replaced, or for
    longer than two intervals between syncs), ``paused``, ``archived``, ``failed`` (pending, and the
    last run failed). ``pending`` is in lake rows to be read, ``left_out`` names the custom properties'
    columns that a table does not take. ``foreign`` are tables and views that are not the loader's.

    Raises:
        UsageError: there is no lake yet.
        Unreachable: a store does not answer.
    """
    if parts is None:
        with open_parts(settings) as real:
            return status(settings, parts=real)
    view = view_lake(settings, parts.store)
    warehouse = warehouse_of(settings, parts)
    try:
        ledger = read_ledger(warehouse)
        plan = make_plan(warehouse.schema, view, settings.topics, ledger)
        last = _last_run(warehouse)
        names = [loaded.table for loaded in ledger.values()]
        foreign = warehouse.run(lambda s: foreign_objects(s, warehouse.schema, names))
    finally:
        warehouse.close()
    overdue = parts.clock() - timedelta(seconds=STALE_INTERVALS * settings.sync.every)
    tables = [
        _table(table, ledger.get(table.key), last, overdue)
        for table in sorted(plan.tables, key=lambda t: t.table)
    ]
    return {
        "schema": warehouse.schema,
        "sync": {
            "state": last.status if last else "never",
            "last_started": _iso(last.started if last else None),
            "last_finished": _iso(last.finished if last else None),
            "next_scheduled": _iso(last.next_scheduled if last else None),
            "error": last.error if last else None,
        },
        "tables": tables,
        "foreign": [thing.document() for thing in foreign],
    }


def _table(
    plan: TablePlan, loaded: Loaded | None, last: LastRun | None, overdue: datetime
) -> dict[str, Any]:
    return {
        "name": plan.table,
        "event": plan.event,
        "state": _state(plan, loaded, last, overdue),
        "rows": loaded.rows if loaded else 0,
        "synced_to_time": _iso(loaded.synced_to if loaded else None),
        "last_sync": _iso(loaded.updated if loaded else None),
        "pending": plan.volume.rows,
        "left_out": list(loaded.left_out) if loaded else [],
    }


def _state(plan: TablePlan, loaded: Loaded | None, last: LastRun | None, overdue: datetime) -> str:
    if plan.state != LOADED:
        return "archived" if plan.state == ARCHIVED else "paused"
    if plan.action is Action.NOTHING:
        return "synced"
    if last is not None and last.status == "failed":
        return "failed"
    if loaded is None:
        return "pending_initial_sync"
    old = loaded.updated is None or loaded.updated.replace(tzinfo=UTC) < overdue
    return "stale" if plan.action is Action.REPLACE or old else "synced"


def _last_run(warehouse: Warehouse) -> LastRun | None:
    columns = ("status", "start_time", "finish_time", "error", "next_scheduled_sync_at")

    def ask(session: Session) -> LastRun | None:
        if SYNC_HISTORY not in read_catalog(session, warehouse.schema).tables:
            return None
        rows = session.execute(
            SelectRows(
                Table(SYNC_HISTORY, warehouse.schema),
                columns,
                order_by=("start_time",),
                descending=True,
                limit=1,
            )
        ).rows
        return LastRun(*rows[0]) if rows else None

    return warehouse.run(ask)


def table_of_tables(
    settings: config.Settings, *, parts: Parts | None = None
) -> list[dict[str, Any]]:
    """Every loaded table as it stands: rows, span of times, bytes, keys.

    ``bytes``, ``dist_key`` and ``sort_key`` are null where the user may not read
    ``svv_table_info``, or the server does not list the table (empty ones it leaves out).

    Raises:
        Unreachable: the warehouse does not answer.
    """
    if parts is None:
        with open_parts(settings) as real:
            return table_of_tables(settings, parts=real)
    warehouse = warehouse_of(settings, parts)
    try:
        return warehouse.run(lambda session: _describe(session, warehouse))
    finally:
        warehouse.close()


def _describe(session: Session, warehouse: Warehouse) -> list[dict[str, Any]]:
    catalog = read_catalog(session, warehouse.schema)
    if SYNC_LEDGER not in catalog.tables:
        return []
    sizes = _sizes(session, warehouse.schema)
    described = []
    for loaded in warehouse.ledger.read(session).values():
        names = catalog.columns(loaded.table)
        time = "time" if "time" in names else "joindate"
        span = TimeSpan(Table(loaded.table, warehouse.schema), time)
        rows, first, last = session.execute(span).rows[0]
        size, dist_style, sort_key = sizes.get(loaded.table, (None, None, None))
        described.append(
            {
                "name": loaded.table,
                "rows": int(rows),
                "first_time": _iso(first),
                "last_time": _iso(last),
                "bytes": None if size is None else int(size) << 20,
                "dist_style": dist_style,
                "sort_key": sort_key,
                "columns": len(names),
            }
        )
    return described


def _sizes(session: Session, schema: str) -> dict[str, tuple[Any, Any, Any]]:
    try:
        rows = session.execute(TableInfo(schema)).rows
    except LoaderError:
        return {}
    return {name: (size, dist, sort) for name, size, dist, sort, _ in rows}


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.replace(tzinfo=None).isoformat() + "Z"
