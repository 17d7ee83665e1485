"""Loads: from COPY files to tables, in transactions that end with the tables' ledger rows.

A crash before the commit changes nothing, and one after it is known from the ledger. Content is
always replaced in place (``DELETE`` and ``INSERT`` in the same transaction, never a drop or a
TRUNCATE), so grants, views and readers are none the wiser.

Commits queue up for the whole cluster (AWS docs: managing the commit queue), so the tables of a sync
share transactions. What takes long, COPY into the stages, goes first: the ledger's lock is held only
while rows are merged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from loader.errors import LoaderError, NeedsOperator
from loader.model.plans import Action, Loaded, TablePlan
from loader.model.tables import ALL_EVENTS, ALL_EVENTS_COLUMNS, SYNC_INFO
from loader.warehouse.credentials import CopyAuthorization
from loader.warehouse.ddl import CreateStage, CreateTable, CreateUnionView, DropStage, RenameTable
from loader.warehouse.dml import Copy, CopyCount, DeleteAll, DeleteMatching, InsertFromStage
from loader.warehouse.errors import DUPLICATE_TABLE, LoadRefused, StatementRefused
from loader.warehouse.evolution import evolve
from loader.warehouse.ledger import Ledger, LedgerMoved
from loader.warehouse.load_errors import explain
from loader.warehouse.schema import Catalog, read_catalog
from loader.warehouse.session import Session, transaction
from loader.warehouse.sql import InsertRow, Table
from loader.warehouse.work import (
    IN_ALL_EVENTS,
    NOT_IN_SYNC_INFO,
    STAGE_LINEAGE,
    Outcome,
    Work,
)


class TableLoader:
    """Runs the transactions of one sync.

    Args:
        session: an open session.
        schema: the warehouse schema.
        authorization: how COPY reads the lake.
        clock: the present time, UTC with zone.
    """

    def __init__(
        self,
        session: Session,
        schema: str,
        authorization: CopyAuthorization,
        clock: Callable[[], datetime],
    ) -> None:
        self._session = session
        self._schema = schema
        self._authorization = authorization
        self._clock = clock
        self._ledger = Ledger(schema)

    def load(self, works: Sequence[Work]) -> list[Outcome]:
        """Bring the staged files into their tables, all of them in one transaction.

        Args:
            works: tables and their files; each table once.

        Returns:
            What was done, in the order of ``works``.

        Raises:
            LedgerMoved: another run changed one of the tables since it was planned.
            NeedsOperator: a count does not add up, or a table is not ours.
        """
        # Claimed in one order by everybody: two runs that meet queue up instead of locking each
        # other out.
        ordered = sorted(works, key=lambda work: work.plan.key)
        catalog = read_catalog(self._session, self._schema)
        for work in ordered:
            with _about(work):
                self._make_ready(work, catalog)
        try:
            done = self._load_all(ordered)
        except LoadRefused as error:
            # Asked outside the transaction, which is over.
            explain(self._session, error)
            raise
        return [done[work.plan.key] for work in works]

    def _load_all(self, ordered: Sequence[Work]) -> dict[str, Outcome]:
        with transaction(self._session):
            stages = {work.plan.key: self._stage(n, work) for n, work in enumerate(ordered)}
            self._claim(ordered)
            ledger = self._ledger.read(self._session)
            done: dict[str, Outcome] = {}
            for work in ordered:
                with _about(work):
                    before = ledger[work.plan.key]
                    done[work.plan.key] = self._merge(work, stages[work.plan.key], before)
            if any(w.plan.version is None and w.plan.kind in IN_ALL_EVENTS for w in ordered):
                self._write_all_events(ledger)
        return done

    def _make_ready(self, work: Work, catalog: Catalog) -> None:
        """Columns are added outside the transaction, each by a statement of its own."""
        if work.plan.version is not None:
            evolve(self._session, catalog, self._schema, work.spec, work.custom)
            return
        if work.plan.table in catalog.tables:
            if self._ledger.read_one(self._session, work.plan.key) is not None:
                raise LedgerMoved(f"{self._schema}.{work.plan.table} was made by another run.")
            raise NeedsOperator(
                f"{self._schema}.{work.plan.table} stands already and is not the table of "
                f"{work.plan.key}.",
                hint="Move it away, or rename the event; nothing else may live in the schema.",
            )

    def _stage(self, number: int, work: Work) -> str:
        """COPY every manifest into a temporary table and check that all rows arrived.

        Returns:
            The stage's name; empty where there is nothing to stage.
        """
        if not work.manifests:
            return ""
        with _about(work):
            stage = f"stage_{work.sync_id}_{number}"
            lineage = STAGE_LINEAGE if work.is_events else ()
            columns = (*work.spec.columns, *work.custom, *lineage)
            dist_key = work.spec.dist_key or columns[0].name
            self._session.execute(CreateStage(stage, columns, work.spec.sort_key, dist_key))
            for manifest in work.manifests:
                self._session.execute(
                    Copy(Table(stage), manifest.columns, manifest.url, self._authorization)
                )
                loaded = int(self._session.execute(CopyCount()).rows[0][0])
                if loaded != manifest.rows:
                    raise NeedsOperator(
                        f"COPY loaded {loaded} rows, the files of {manifest.url} hold "
                        f"{manifest.rows}.",
                        hint="Nothing was changed. Run the sync again; if it stays, keep the "
                        "files.",
                    )
            return stage

    def _claim(self, ordered: Sequence[Work]) -> None:
        """Move each ledger row to its next version, or make table and row."""
        for work in ordered:
            plan = work.plan
            if plan.version is not None:
                self._ledger.claim(self._session, plan.key, plan.version)
                continue
            row = Loaded(plan.key, plan.table, plan.kind, 1, plan.state, {})
            self._ledger.insert(self._session, row, self._clock())
            self._create(work)

    def _create(self, work: Work) -> None:
        columns = (*work.spec.columns, *work.custom)
        target = Table(work.plan.table, self._schema)
        with _about(work):
            try:
                self._session.execute(
                    CreateTable(target, columns, work.spec.sort_key, work.spec.dist_key)
                )
            except StatementRefused as error:
                if error.sqlstate != DUPLICATE_TABLE:
                    raise
                raise LedgerMoved(
                    f"{self._schema}.{target.name} was made by another run."
                ) from None

    def _merge(self, work: Work, stage: str, before: Loaded) -> Outcome:
        """Bring the stage into the table, and write down what is in it now."""
        if before.synced_to is not None:
            latest = max(before.synced_to, work.synced_to or before.synced_to)
            work = replace(work, synced_to=latest)
        outcome = self._content(work, stage, before)
        self._ledger.write(self._session, _row(work, before, outcome), self._clock())
        if work.plan.kind not in NOT_IN_SYNC_INFO:
            self._note(work, outcome)
        return outcome

    def _content(self, work: Work, stage: str, before: Loaded) -> Outcome:
        target = Table(work.plan.table, self._schema)
        append = work.plan.action is Action.APPEND
        deleted = inserted = 0
        if not append and work.plan.version is not None:
            deleted = self._session.execute(DeleteAll(target)).count
        if stage:
            if append:
                deleted = self._session.execute(_make_room(work, target, stage)).count
            inserted = self._session.execute(_bring(work, target, stage, append=append)).count
            self._session.execute(DropStage(stage))
        return Outcome(inserted, deleted, (before.rows - deleted if append else 0) + inserted)

    def _note(self, work: Work, outcome: Outcome) -> None:
        self._session.execute(
            InsertRow(
                Table(SYNC_INFO, self._schema),
                {
                    "event_table_name": work.plan.table,
                    "sync_started": work.started.replace(tzinfo=None),
                    "sync_ended": self._clock().replace(tzinfo=None),
                    "synced_to_time": work.synced_to,
                    "inserted_row_count": outcome.inserted,
                },
            )
        )

    def _write_all_events(self, ledger: Mapping[str, Loaded]) -> None:
        """Make the view over the tables that the ledger names in this transaction."""
        names = sorted(row.table for row in ledger.values() if row.kind in IN_ALL_EVENTS)
        *columns, label = ALL_EVENTS_COLUMNS
        self._session.execute(
            CreateUnionView(
                Table(ALL_EVENTS, self._schema),
                tuple(Table(name, self._schema) for name in names),
                tuple(columns),
                label,
            )
        )

    def rename(self, plan: TablePlan, to: str, sync_id: str) -> None:
        """Rename a table, with its ledger row.

        Raises:
            LedgerMoved: another run changed the table since it was planned.
        """
        with transaction(self._session):
            before = self._claim_one(plan)
            self._session.execute(RenameTable(Table(before.table, self._schema), to))
            after = replace(before, table=to, sync_id=sync_id)
            self._ledger.write(self._session, after, self._clock())
            if before.kind in IN_ALL_EVENTS:
                self._write_all_events(self._ledger.read(self._session))

    def mark(self, plan: TablePlan, sync_id: str) -> None:
        """Write down that a table is no longer kept up.

        Raises:
            LedgerMoved: another run changed the table since it was planned.
        """
        with transaction(self._session):
            after = replace(self._claim_one(plan), state=plan.state, sync_id=sync_id)
            self._ledger.write(self._session, after, self._clock())

    def _claim_one(self, plan: TablePlan) -> Loaded:
        assert plan.version is not None, "only a loaded table can be changed"  # noqa: S101
        self._ledger.claim(self._session, plan.key, plan.version)
        before = self._ledger.read_one(self._session, plan.key)
        assert before is not None, "the row was claimed in this transaction"  # noqa: S101
        return before


@contextmanager
def _about(work: Work) -> Iterator[None]:
    """Say in an error which table and sync it was about."""
    try:
        yield
    except LoaderError as error:
        where = f"Table {work.plan.table}, sync {work.sync_id}: "
        if not error.message.startswith(where):
            error.message = where + error.message
            error.args = (error.message,)
        raise


def _row(work: Work, before: Loaded, outcome: Outcome) -> Loaded:
    """The ledger row; ``before`` is at the claimed version already."""
    plan = work.plan
    return replace(
        before,
        table=plan.table,
        state=plan.state,
        cut=plan.until,
        meaning=plan.meaning,
        people=plan.people,
        sync_id=work.sync_id,
        manifests=tuple(manifest.key for manifest in work.manifests),
        rows=outcome.rows,
        state_key=work.state_key,
        synced_to=work.synced_to,
        left_out=_left_out(work, before),
    )


def _left_out(work: Work, before: Loaded) -> tuple[str, ...]:
    """Properties that the table lacks: those of earlier loads stay left out while their rows stand."""
    earlier = before.left_out if work.plan.action is Action.APPEND else ()
    loaded = {column.name for column in work.custom}
    return tuple(sorted({*earlier, *(name for name, _ in work.left_out)} - loaded))


def _make_room(work: Work, target: Table, stage: str) -> DeleteMatching:
    """Changed users are written anew; of an event only a later copy gives way to an earlier one."""
    return DeleteMatching(target, stage, work.key, "time" if work.is_events else "")


def _bring(work: Work, target: Table, stage: str, *, append: bool) -> InsertFromStage:
    return InsertFromStage(
        target,
        stage,
        tuple(column.name for column in (*work.spec.columns, *work.custom)),
        work.key,
        ("time", *(column.name for column in STAGE_LINEAGE)) if work.is_events else (),
        work.spec.sort_key or "",
        absent_only=append and work.is_events,
    )
