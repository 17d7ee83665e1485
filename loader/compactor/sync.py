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
from loader.compactor.room import Room, check_room, planned_needs, read_room, staged_needs
from loader.compactor.sharing import Sharing
from loader.errors import LoaderError, Transient
from loader.lake.s3 import S3Store
from loader.lake.store import ObjectStore
from loader.logs import bound, log
from loader.maintenance_window import parse_window
from loader.model.plans import Action, Loaded, SyncPlan, TablePlan
from loader.model.tables import SYNC_HISTORY, USERS
from loader.warehouse.connection import connect
from loader.warehouse.credentials import copy_authorization
from loader.warehouse.errors import ConnectionLost
from loader.warehouse.handle import Warehouse
from loader.warehouse.ledger import LedgerMoved, encode_cut
from loader.warehouse.maintenance import Done, maintain, read_health
from loader.warehouse.schema import check_schema, prepare_schema, read_catalog
from loader.warehouse.session import Connect, Session
from loader.warehouse.sql import InsertRow, SelectRows, Table
from loader.warehouse.work import Outcome, Work

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
        self._room: Room | None = None
        self._taken = 0
        self._maintained: list[Done] = []
        self.sync_id = self._new_id()

    def _new_id(self) -> str:
        return f"{self._started:%Y%m%dt%H%M%S}-{uuid.uuid4().hex[:8]}"

    def run(self, tables: Sequence[str]) -> SyncReport:
        try:
            self._warehouse.run(lambda session: prepare_schema(session, self._warehouse.schema))
            self._room = read_room(self._warehouse)
            self._rounds(tables)
            self._maintain()
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

    def _maintain(self) -> None:
        """VACUUM and ANALYZE what needs it, in the window; never a reason to fail."""
        text = self._settings.sync.maintenance_window
        if text is None:
            return
        window = parse_window(text)
        self._maintained = maintain(
            self._warehouse,
            self._names_now,
            self._settings.warehouse.user,
            lambda: window.holds(self._parts.clock().astimezone(UTC)),
        )

    def _report(self) -> SyncReport:
        return SyncReport(
            self.sync_id,
            self._warehouse.schema,
            "failed" if self._failure else "succeeded",
            self._started,
            self._parts.clock(),
            tuple(self._reports.values()),
            self._warehouse.traffic.statements,
            self._warehouse.traffic.commits,
            tuple(self._maintained),
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
        if self._room is not None and due:
            check_room(planned_needs(due, read_health(self._warehouse)), self._room, self._taken)
        maker = Maker(
            view,
            self._settings.topics,
            self.sync_id,
            self._settings.sync.group_rows,
            self._parts.executor,
            self._progress,
            self._warehouse.run(lambda session: read_catalog(session, self._warehouse.schema)),
        )
        state_key = ledger[USERS.name].state_key if USERS.name in ledger else ""
        waiting = Sharing()
        for group in _groups(due):
            if waiting.holds_up(group):
                self._load(waiting.take())
            started = self._parts.clock()
            for made in maker.make(group, state_key):
                waiting.add(made, self._work(made, started))
                if waiting.full:
                    self._load(waiting.take())
        self._load(waiting.take())

    def _work(self, made: Made, started: datetime) -> Work:
        return Work(
            made.plan,
            made.spec,
            made.staged.custom,
            made.staged.manifests,
            self.sync_id,
            started,
            made.state_key,
            made.synced_to,
            made.staged.left_out,
        )

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

    def _load(self, batch: Sequence[tuple[Made, Work]]) -> None:
        """Load tables in one transaction; where that is refused, each by itself."""
        if not batch:
            return
        names = ", ".join(work.plan.table for _, work in batch)
        self._progress(f"load {names}", 0, 1)
        needs = staged_needs([work for _, work in batch])
        check_room(needs, self._room, self._taken)
        try:
            outcomes = self._warehouse.load([work for _, work in batch])
        except (LedgerMoved, ConnectionLost):
            raise
        except LoaderError as error:
            if isinstance(error, Transient):
                raise
            if len(batch) > 1:
                # One table's trouble is not to hold up the others.
                for one in batch:
                    self._load([one])
                return
            self._failed(*batch[0], error)
        else:
            # The stage's half is free again.
            self._taken += sum(needs.values()) // 2
            for (made, work), outcome in zip(batch, outcomes, strict=True):
                self._loaded(made, work, outcome)
        self._progress(f"load {names}", 1, 1)

    def _loaded(self, made: Made, work: Work, outcome: Outcome) -> None:
        self._reports[work.plan.key] = replace(
            self._table_report(made, work),
            inserted=outcome.inserted,
            deleted=outcome.deleted,
            rows=outcome.rows,
        )
        if work.left_out:
            log.warning(
                "table.properties_left_out",
                table=work.plan.table,
                columns=len(work.left_out),
                first=work.left_out[0][0],
                why=work.left_out[0][1],
            )
        log.info(
            "table.loaded",
            table=work.plan.table,
            action=work.plan.action.value,
            inserted=outcome.inserted,
            deleted=outcome.deleted,
            rows=outcome.rows,
        )

    def _failed(self, made: Made, work: Work, error: LoaderError) -> None:
        self._failure = self._failure or error
        self._reports[work.plan.key] = replace(self._table_report(made, work), error=str(error))
        log.error("table.failed", table=work.plan.table, error=str(error))

    def _table_report(self, made: Made, work: Work) -> TableReport:
        seconds = (self._parts.clock() - work.started).total_seconds()
        staged = made.staged
        return TableReport(
            work.plan.table,
            work.plan.action,
            copies=staged.copies,
            cut=staged.cut,
            left_out=staged.left_out,
            seconds=seconds,
        )

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
