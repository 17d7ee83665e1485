"""What a load is given and what it gives back: plain data, no statements."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from loader.model.plans import TablePlan
from loader.model.tables import Column, TableKind, TableSpec, bigint

#: Where a staged row came from: decides between copies of one event with equal times. Their leading
#: ``_`` keeps them apart from custom columns.
STAGE_LINEAGE: Final = (
    Column("_partition", "INTEGER", nullable=False),
    bigint("_offset", nullable=False),
)
NOT_IN_SYNC_INFO: Final = frozenset({TableKind.USER_MIGRATIONS})
IN_ALL_EVENTS: Final = frozenset({TableKind.PAGEVIEWS, TableKind.EVENT})


@dataclass(frozen=True, slots=True)
class Manifest:
    """COPY files with one order of columns.

    Attributes:
        key: the manifest's key in the lake.
        url: its URL for COPY.
        columns: the files' columns, in order.
        rows: rows in all files, at least 1.
        bytes: bytes of all files.
    """

    key: str
    url: str
    columns: tuple[str, ...]
    rows: int
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Work:
    """All that one table's part of a transaction needs.

    Attributes:
        plan: what was decided.
        spec: the table's built-in columns and keys.
        custom: columns of custom properties, in the order they are added.
        manifests: what to COPY; none where nothing matched.
        sync_id: the sync.
        started: when the sync of this table began, UTC with zone.
        state_key: key of the folded state that goes with the rows (``users``).
        synced_to: the latest arrival among what was read; UTC without zone, None for nothing.
        left_out: custom columns that the table does not take, with the reason.
    """

    plan: TablePlan
    spec: TableSpec
    custom: tuple[Column, ...]
    manifests: tuple[Manifest, ...]
    sync_id: str
    started: datetime
    state_key: str = ""
    synced_to: datetime | None = None
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def rows(self) -> int:
        """Rows to be staged."""
        return sum(manifest.rows for manifest in self.manifests)

    @property
    def is_events(self) -> bool:
        """Whether its rows are events: copies are told apart by where they came from."""
        return self.spec.kind not in {TableKind.USERS, TableKind.USER_MIGRATIONS}

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of which the table holds each combination once."""
        match self.spec.kind:
            case TableKind.USERS:
                return ("user_id",)
            case TableKind.USER_MIGRATIONS:
                return ("from_user_id",)
        return ("user_id", "event_id")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a load did: rows inserted, rows it deleted (replaced ones included), rows now."""

    inserted: int
    deleted: int
    rows: int
