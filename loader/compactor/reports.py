"""What a sync did, for people and for scripts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from loader.model.plans import Action
from loader.warehouse.maintenance import Done


@dataclass(frozen=True, slots=True)
class TableReport:
    """One table.

    Attributes:
        table: its name.
        action: what was done.
        inserted: rows inserted.
        deleted: rows deleted, those that were written anew included.
        rows: rows now.
        copies: staged rows that were copies of other staged rows.
        cut: values cut to their column's length, by column.
        left_out: custom columns that the table does not take, with the reason.
        seconds: from the start of its compaction to its commit.
        error: why it failed; empty where it did not.
    """

    table: str
    action: Action
    inserted: int = 0
    deleted: int = 0
    rows: int = 0
    copies: int = 0
    cut: tuple[tuple[str, int], ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0
    error: str = ""

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.table,
            "action": self.action.value,
            "inserted": self.inserted,
            "deleted": self.deleted,
            "rows": self.rows,
            "copies": self.copies,
            "cut": dict(self.cut),
            "left_out": dict(self.left_out),
            "seconds": round(self.seconds, 3),
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class SyncReport:
    """One run. ``status`` is ``succeeded`` or ``failed``; times are UTC with zone.

    ``statements`` were sent to the warehouse, ``commits`` of them took a place in its commit queue.
    """

    sync_id: str
    schema: str
    status: str
    started: datetime
    finished: datetime
    tables: tuple[TableReport, ...] = field(default=())
    statements: int = 0
    commits: int = 0
    maintenance: tuple[Done, ...] = ()

    @property
    def idle(self) -> bool:
        """Whether nothing was to be done."""
        return all(table.action is Action.NOTHING for table in self.tables)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "sync_id": self.sync_id,
            "schema": self.schema,
            "status": self.status,
            "started": self.started.isoformat(),
            "finished": self.finished.isoformat(),
            "seconds": round((self.finished - self.started).total_seconds(), 3),
            "statements": self.statements,
            "commits": self.commits,
            "tables": [table.document() for table in self.tables],
            "maintenance": [done.document() for done in self.maintenance],
        }
