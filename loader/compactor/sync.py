"""A sync: takes a cut of the lake and brings the tables of the warehouse up to it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from loader import config
from loader.compactor.executors import Executor, open_executor
from loader.compactor.lake_view import LakeView, view_lake
from loader.compactor.making import Made, Maker, Progress
from loader.compactor.planning import make_plan
from loader.compactor.reports import SyncReport, TableReport
from loader.errors import LoaderError, Transient
from loader.lake.s3 import S3Store
from loader.lake.store import ObjectStore
from loader.logs import bound, log
from loader.model.plans import Action, Loaded, SyncPlan, TablePlan
from loader.model.tables import SYNC_HISTORY, USERS
from loader.warehouse.connection import connect
from loader.warehouse.credentials import copy_authorization
from loader.warehouse.errors import ConnectionLost
from loader.warehouse.handle import Warehouse
from loader.warehouse.ledger import LedgerMoved, encode_cut
from loader.warehouse.load import Work
from loader.warehouse.schema import check_schema, prepare_schema, read_catalog
from loader.warehouse.session import Connect, Session
from loader.warehouse.sql import InsertRow, SelectRows, Table

#: How often a sync plans anew where another run changed a table meanwhile.
ROUNDS: Final = 3
_ERROR_CHARACTERS: Final = 1000


def _silent(_step: str, _done: int, _total: int) -> None:
    """Shows no progress."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a sync is made of; tests put their own pieces in.

    Attributes:
        store: the lake.
        connect: opens a session with the warehouse.
        executor: runs units; closed by whoever made it.
        clock: the present time, UTC with zone.
    """

    store: ObjectStore
    connect: Connect
    executor: Executor
    clock: Callable[[], datetime] = _now


@contextmanager
def open_parts(settings: config.Settings) -> Iterator[Parts]:
    """The real parts of a sync, for the length of a `with`."""
    store = S3Store.open(settings.lake)
    executor = open_executor(settings, store)
    try:
        yield Parts(store, lambda: connect(settings.warehouse), executor)
    finally:
        executor.close()


def plan_sync(
    settings: config.Settings, tables: Sequence[str] = (), *, parts: Parts | None = None
) -> SyncPlan:
    """What :func:`run_sync` would do now; changes nothing.

    Raises:
        UsageError: there is no such table, or no lake yet.
        Unreachable: a store does not answer.
        NeedsOperator: the lake or the schema is not as it should be.
    """
    if parts is None:
        with open_parts(settings) as real:
            return plan_sync(settings, tables, parts=real)
    view = view_lake(settings, parts.store)
    warehouse = warehouse_of(settings, parts)
    try:
        return make_plan(warehouse.schema, view, settings.topics, read_ledger(warehouse), tables)
    finally:
        warehouse.close()


def read_ledger(warehouse: Warehouse) -> dict[str, Loaded]:
    """What each table holds; nothing where the schema was not made yet.

    Raises:
        NeedsOperator: the schema holds tables that are not ours.
    """
    catalog = warehouse.run(lambda session: read_catalog(session, warehouse.schema))
    if not check_schema(catalog, warehouse.schema):
        return {}
    return warehouse.run(warehouse.ledger.read)


def run_sync(
    settings: config.Settings,
    *,
    tables: Sequence[str] = (),
    progress: Progress = _silent,
    parts: Parts | None = None,
) -> SyncReport:
    """One sync of all tables, or of ``tables`` (names, or ids of definitions).

    A table that fails does not hold up the others; the first failure is raised at the end, when the
    run is in ``_sync_history``.

    Raises:
        UsageError: there is no such table, or no lake yet.
        Unreachable: a store does not answer.
        NeedsOperator: the lake or the schema is not as it should be, or a count does not add up.
    """
    if parts is None:
        with open_parts(settings) as real:
            return run_sync(settings, tables=tables, progress=progress, parts=real)
    run = _Run(settings, parts, progress)
    with bound(sync=run.sync_id):
        return run.run(tables)


def warehouse_of(settings: config.Settings, parts: Parts) -> Warehouse:
    """The configured schema; nothing is connected yet."""
    return Warehouse(
        parts.connect, settings.warehouse.db_schema, copy_authorization(settings), parts.clock
    )


class _Run:
    """One run."""

    def __init__(self, settings: config.Settings, parts: Parts, progress: Progress) -> None:
        self._settings = settings
        self._parts = parts
        self._progress = progress
        self._warehouse = warehouse_of(settings, parts)
        self._started = parts.clock()
        self._reports: dict[str, TableReport] = {}
        self._failure: LoaderError | None = None
        self.sync_id = self._new_id()

    def _new_id(self) -> str:
        return f"{self._started:%Y%m%dt%H%M%S}-{uuid.uuid4().hex[:8]}"

    def run(self, tables: Sequence[str]) -> SyncReport:
        try:
            self._warehouse.run(lambda session: prepare_schema(session, self._warehouse.schema))
            self._rounds(tables)
        except BaseException as error:
            with suppress(LoaderError):
                self._write_history("failed", str(error) or type(error).__name__)
            raise
        else:
            report = self._report()
            self._write_history(report.status, str(self._failure or ""))
        finally:
            self._warehouse.close()
        if self._failure is not None:
            raise self._failure
        return report

    def _report(self) -> SyncReport:
        return SyncReport(
            self.sync_id,
            self._warehouse.schema,
            "failed" if self._failure else "succeeded",
            self._started,
            self._parts.clock(),
            tuple(self._reports.values()),
        )

    def _rounds(self, tables: Sequence[str]) -> None:
        """Plan and run; plan anew where another run moved a table under us."""
        for last in (False,) * (ROUNDS - 1) + (True,):
            view = view_lake(self._settings, self._parts.store)
            ledger = self._warehouse.run(self._warehouse.ledger.read)
            plan = make_plan(self._warehouse.schema, view, self._settings.topics, ledger, tables)
            try:
                self._run_plan(plan, view, ledger)
            except LedgerMoved as moved:
                if last:
                    raise
                log.warning("sync.plan_again", why=moved.message)
                # What was written under the old id may belong to a table that is loaded by now.
                self.sync_id = self._new_id()
            else:
                return

    def _run_plan(self, plan: SyncPlan, view: LakeView, ledger: dict[str, Loaded]) -> None:
        due: list[TablePlan] = []
        for table in plan.tables:
            present = table
            before = ledger.get(table.key)
            if table.renamed_from:
                self._rename(table, plan)
                assert table.version is not None, "it is loaded"  # noqa: S101
                present = replace(table, version=table.version + 1, renamed_from=None)
            elif before and before.state != table.state and not table.reads:
                self._warehouse.mark(table, self.sync_id)
            if present.reads:
                due.append(present)
            else:
                rows = before.rows if before else 0
                self._reports.setdefault(
                    table.key, TableReport(table.table, table.action, rows=rows)
                )
        maker = Maker(
            view,
            self._settings.topics,
            self.sync_id,
            self._settings.sync.group_rows,
            self._parts.executor,
            self._progress,
        )
        state_key = ledger[USERS.name].state_key if USERS.name in ledger else ""
        for group in _groups(due):
            started = self._parts.clock()
            for made in maker.make(group, state_key):
                self._load(made, started)

    def _rename(self, table: TablePlan, plan: SyncPlan) -> None:
        """Rename; where two tables swap names, one goes by way of a name of its own."""
        rest = {t.renamed_from for t in plan.tables if t.key != table.key}
        held = table.table in rest and table.table in self._names_now()
        self._warehouse.rename(
            table,
            f"renaming_{self.sync_id.replace('-', '_')}" if held else table.table,
            self.sync_id,
        )
        if held:
            raise LedgerMoved(f"{table.renamed_from} made room for a swap of names.")
        log.info("table.renamed", table=table.table, was=table.renamed_from)

    def _names_now(self) -> set[str]:
        return {row.table for row in self._warehouse.run(self._warehouse.ledger.read).values()}

    def _load(self, made: Made, started: datetime) -> None:
        plan = made.plan
        work = Work(
            plan,
            made.spec,
            made.staged.custom,
            made.staged.manifests,
            self.sync_id,
            made.state_key,
            made.synced_to,
        )
        self._progress(f"load {plan.table}", 0, 1)
        report = TableReport(
            plan.table, plan.action, copies=made.staged.copies, cut=made.staged.cut
        )
        try:
            outcome = self._warehouse.load(work, started)
        except (LedgerMoved, ConnectionLost):
            raise
        except LoaderError as error:
            if isinstance(error, Transient):
                raise
            self._failure = self._failure or error
            report = replace(report, error=str(error))
            log.error("table.failed", table=plan.table, error=str(error))
        else:
            report = replace(
                report, inserted=outcome.inserted, deleted=outcome.deleted, rows=outcome.rows
            )
            log.info(
                "table.loaded",
                table=plan.table,
                action=plan.action.value,
                inserted=outcome.inserted,
                deleted=outcome.deleted,
                rows=outcome.rows,
            )
        seconds = (self._parts.clock() - started).total_seconds()
        self._reports[plan.key] = replace(report, seconds=seconds)
        self._progress(f"load {plan.table}", 1, 1)

    def _write_history(self, status: str, error: str) -> None:
        every = timedelta(seconds=self._settings.sync.every)
        row = {
            "status": status,
            "start_time": self._started.replace(tzinfo=None),
            "finish_time": self._parts.clock().replace(tzinfo=None),
            "error": error[:_ERROR_CHARACTERS] or None,
            "next_scheduled_sync_at": (self._started + every).replace(tzinfo=None),
        }
        place = Table(SYNC_HISTORY, self._warehouse.schema)
        same = {"start_time": row["start_time"], "status": status}

        def write(session: Session) -> None:
            # An insert whose answer was lost stands already.
            if not session.execute(SelectRows(place, ("status",), same)).rows:
                session.execute(InsertRow(place, row))

        self._warehouse.run(write)


def _groups(plans: Sequence[TablePlan]) -> list[list[TablePlan]]:
    """Tables that are made in one go: those of events that read the same range, others alone."""
    groups: dict[str, list[TablePlan]] = {}
    for plan in plans:
        alone = plan.key in {"users", "user_migrations"}
        key = plan.key if alone else f"{plan.action is Action.APPEND}{encode_cut(plan.since)}"
        groups.setdefault(key, []).append(plan)
    return list(groups.values())
