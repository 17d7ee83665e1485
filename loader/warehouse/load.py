"""Loads: from COPY files to a table, each in one transaction that ends with the table's ledger row.

A crash before the commit changes nothing, and one after it is known from the ledger. Content is
always replaced in place (``DELETE`` and ``INSERT`` in the same transaction, never a drop or a
TRUNCATE), so grants, views and readers are none the wiser.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from loader.errors import NeedsOperator
from loader.model.plans import Action, Loaded, TablePlan
from loader.model.tables import (
    ALL_EVENTS,
    ALL_EVENTS_COLUMNS,
    SYNC_INFO,
    Column,
    TableKind,
    TableSpec,
    bigint,
)
from loader.warehouse.credentials import CopyAuthorization
from loader.warehouse.ddl import CreateStage, CreateTable, CreateUnionView, DropStage, RenameTable
from loader.warehouse.dml import Copy, CopyCount, DeleteAll, DeleteMatching, InsertFromStage
from loader.warehouse.errors import DUPLICATE_TABLE, StatementRefused
from loader.warehouse.ledger import Ledger, LedgerMoved
from loader.warehouse.schema import add_columns, check_width, read_catalog
from loader.warehouse.session import Session, transaction
from loader.warehouse.sql import InsertRow, Table

#: Where a staged row came from: decides between copies of one event with equal times. Their leading
#: ``_`` keeps them apart from custom columns.
STAGE_LINEAGE: Final = (
    Column("_partition", "INTEGER", nullable=False),
    bigint("_offset", nullable=False),
)
_NOT_IN_SYNC_INFO: Final = frozenset({TableKind.USER_MIGRATIONS})
_IN_ALL_EVENTS: Final = frozenset({TableKind.PAGEVIEWS, TableKind.EVENT})


@dataclass(frozen=True, slots=True)
class Manifest:
    """COPY files with one order of columns.

    Attributes:
        key: the manifest's key in the lake.
        url: its URL for COPY.
        columns: the files' columns, in order.
        rows: rows in all files, at least 1.
    """

    key: str
    url: str
    columns: tuple[str, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class Work:
    """All that one table's transaction needs.

    Attributes:
        plan: what was decided.
        spec: the table's built-in columns and keys.
        custom: columns of custom properties, in the order they are added.
        manifests: what to COPY; none where nothing matched.
        sync_id: the sync.
        state_key: key of the folded state that goes with the rows (``users``).
        synced_to: the latest arrival among what was read; UTC without zone, None for nothing.
    """

    plan: TablePlan
    spec: TableSpec
    custom: tuple[Column, ...]
    manifests: tuple[Manifest, ...]
    sync_id: str
    state_key: str = ""
    synced_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a load did: rows inserted, rows it deleted (replaced ones included), rows now."""

    inserted: int
    deleted: int
    rows: int


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
        self._stages = 0

    def load(self, work: Work, started: datetime) -> Outcome:
        """Bring the staged files into the table.

        Args:
            work: the table and its files.
            started: when the sync of this table began, UTC with zone.

        Raises:
            LedgerMoved: another run changed the table since it was planned.
            NeedsOperator: a count does not add up, or the table is not ours.
        """
        plan = work.plan
        target = Table(plan.table, self._schema)
        if plan.version is not None:
            add_columns(self._session, self._schema, work.spec, work.custom)
        else:
            self._check_name_free(plan)
            check_width(self._schema, work.spec, work.custom)
        with transaction(self._session):
            before = self._begin_table(work, target)
            work = replace(work, synced_to=_latest(before.synced_to, work.synced_to))
            outcome = self._content(work, target, before)
            self._ledger.write(self._session, self._row(work, before, outcome), self._clock())
            if plan.kind not in _NOT_IN_SYNC_INFO:
                self._note(work, started, outcome)
        return outcome

    def _begin_table(self, work: Work, target: Table) -> Loaded:
        """Claim the ledger row, or make table and row; gives the row at its new version."""
        plan = work.plan
        if plan.version is not None:
            self._ledger.claim(self._session, plan.key, plan.version)
            before = self._ledger.read_one(self._session, plan.key)
            assert before is not None, "the row was claimed in this transaction"  # noqa: S101
            return before
        before = Loaded(plan.key, plan.table, plan.kind, 1, plan.state, {})
        self._ledger.insert(self._session, before, self._clock())
        try:
            self._session.execute(
                CreateTable(
                    target,
                    (*work.spec.columns, *work.custom),
                    work.spec.sort_key,
                    work.spec.dist_key,
                )
            )
        except StatementRefused as error:
            if error.sqlstate != DUPLICATE_TABLE:
                raise
            raise LedgerMoved(f"{self._schema}.{target.name} was made by another run.") from None
        if plan.kind in _IN_ALL_EVENTS:
            self._write_all_events()
        return before

    def _check_name_free(self, plan: TablePlan) -> None:
        if plan.table not in read_catalog(self._session, self._schema).tables:
            return
        if self._ledger.read_one(self._session, plan.key) is None:
            raise NeedsOperator(
                f"{self._schema}.{plan.table} stands already and is not the table of {plan.key}.",
                hint="Move it away, or rename the event; nothing else may live in the schema.",
            )

    def _write_all_events(self) -> None:
        """Make the view over the tables that the ledger names in this transaction."""
        rows = self._ledger.read(self._session).values()
        names = sorted(row.table for row in rows if row.kind in _IN_ALL_EVENTS)
        *columns, label = ALL_EVENTS_COLUMNS
        self._session.execute(
            CreateUnionView(
                Table(ALL_EVENTS, self._schema),
                tuple(Table(name, self._schema) for name in names),
                tuple(columns),
                label,
            )
        )

    def _content(self, work: Work, target: Table, before: Loaded) -> Outcome:
        everything = work.plan.action is not Action.APPEND
        deleted = 0
        if not work.manifests:
            if everything and work.plan.version is not None:
                deleted = self._session.execute(DeleteAll(target)).count
            return Outcome(0, deleted, 0 if everything else before.rows)
        stage = self._fill_stage(work)
        if everything:
            if work.plan.version is not None:
                deleted = self._session.execute(DeleteAll(target)).count
        else:
            deleted = self._session.execute(_make_room(work, target, stage)).count
        inserted = self._session.execute(_bring(work, target, stage, append=not everything)).count
        self._session.execute(DropStage(stage))
        rows = inserted if everything else before.rows - deleted + inserted
        return Outcome(inserted, deleted, rows)

    def _fill_stage(self, work: Work) -> str:
        """COPY every manifest into a temporary table and check that all rows arrived."""
        self._stages += 1
        stage = f"stage_{work.sync_id}_{self._stages}"
        columns = (*work.spec.columns, *work.custom, *_lineage(work.spec.kind))
        dist_key = work.spec.dist_key or columns[0].name
        self._session.execute(CreateStage(stage, columns, work.spec.sort_key, dist_key))
        for manifest in work.manifests:
            self._session.execute(
                Copy(Table(stage), manifest.columns, manifest.url, self._authorization)
            )
            loaded = int(self._session.execute(CopyCount()).rows[0][0])
            if loaded != manifest.rows:
                raise NeedsOperator(
                    f"{self._schema}.{work.spec.name}: COPY loaded {loaded} rows, the files of "
                    f"{manifest.url} hold {manifest.rows}.",
                    hint="Nothing was changed. Run the sync again; if it stays, keep the files.",
                )
        return stage

    def _row(self, work: Work, before: Loaded, outcome: Outcome) -> Loaded:
        plan = work.plan
        return replace(
            before,
            table=plan.table,
            version=1 if plan.version is None else plan.version + 1,
            state=plan.state,
            cut=plan.until,
            meaning=plan.meaning,
            people=plan.people,
            sync_id=work.sync_id,
            manifests=tuple(manifest.key for manifest in work.manifests),
            rows=outcome.rows,
            state_key=work.state_key,
            synced_to=work.synced_to,
        )

    def _note(self, work: Work, started: datetime, outcome: Outcome) -> None:
        self._session.execute(
            InsertRow(
                Table(SYNC_INFO, self._schema),
                {
                    "event_table_name": work.plan.table,
                    "sync_started": started.replace(tzinfo=None),
                    "sync_ended": self._clock().replace(tzinfo=None),
                    "synced_to_time": work.synced_to,
                    "inserted_row_count": outcome.inserted,
                },
            )
        )

    def rename(self, plan: TablePlan, to: str, sync_id: str) -> None:
        """Rename a table, with its ledger row.

        Raises:
            LedgerMoved: another run changed the table since it was planned.
        """
        assert plan.version is not None, "only a loaded table can be renamed"  # noqa: S101
        with transaction(self._session):
            self._ledger.claim(self._session, plan.key, plan.version)
            before = self._ledger.read_one(self._session, plan.key)
            assert before is not None, "the row was claimed in this transaction"  # noqa: S101
            self._session.execute(RenameTable(Table(before.table, self._schema), to))
            after = replace(before, table=to, sync_id=sync_id)
            self._ledger.write(self._session, after, self._clock())
            if before.kind in _IN_ALL_EVENTS:
                self._write_all_events()

    def mark(self, plan: TablePlan, sync_id: str) -> None:
        """Write down that a table is no longer kept up.

        Raises:
            LedgerMoved: another run changed the table since it was planned.
        """
        assert plan.version is not None, "only a loaded table can be marked"  # noqa: S101
        with transaction(self._session):
            self._ledger.claim(self._session, plan.key, plan.version)
            before = self._ledger.read_one(self._session, plan.key)
            assert before is not None, "the row was claimed in this transaction"  # noqa: S101
            after = replace(before, state=plan.state, sync_id=sync_id)
            self._ledger.write(self._session, after, self._clock())


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    known = [time for time in (one, other) if time is not None]
    return max(known, default=None)


def _lineage(kind: TableKind) -> tuple[Column, ...]:
    return () if kind in {TableKind.USERS, TableKind.USER_MIGRATIONS} else STAGE_LINEAGE


def _key(kind: TableKind) -> tuple[str, ...]:
    match kind:
        case TableKind.USERS:
            return ("user_id",)
        case TableKind.USER_MIGRATIONS:
            return ("from_user_id",)
    return ("user_id", "event_id")


def _make_room(work: Work, target: Table, stage: str) -> DeleteMatching:
    """Changed users are written anew; of an event only a later copy gives way to an earlier one."""
    kind = work.spec.kind
    return DeleteMatching(target, stage, _key(kind), "" if not _lineage(kind) else "time")


def _bring(work: Work, target: Table, stage: str, *, append: bool) -> InsertFromStage:
    kind = work.spec.kind
    events = bool(_lineage(kind))
    return InsertFromStage(
        target,
        stage,
        tuple(column.name for column in (*work.spec.columns, *work.custom)),
        _key(kind),
        ("time", *(column.name for column in STAGE_LINEAGE)) if events else (),
        work.spec.sort_key or "",
        absent_only=append and events,
    )
