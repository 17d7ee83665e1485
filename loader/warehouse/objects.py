"""Tables and views in our schema that are not ours: found and named, and otherwise left alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from loader.model.tables import (
    ALL_EVENTS,
    SYNC_HISTORY,
    SYNC_INFO,
    SYNC_INFO_ALIAS,
    SYNC_LEDGER,
)
from loader.warehouse.session import Session
from loader.warehouse.system import SelectRelations

_BOOKKEEPING: Final = frozenset({ALL_EVENTS, SYNC_HISTORY, SYNC_INFO, SYNC_INFO_ALIAS, SYNC_LEDGER})


@dataclass(frozen=True, slots=True)
class Foreign:
    """Something of somebody else's in our schema.

    Attributes:
        name: its name.
        kind: ``table`` or ``view``.
        owner: whose it is; empty where that user is gone.
    """

    name: str
    kind: str
    owner: str

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"name": self.name, "kind": self.kind, "owner": self.owner}


def foreign_objects(session: Session, schema: str, tables: Iterable[str]) -> list[Foreign]:
    """What stands in the schema besides our bookkeeping and ``tables``, by name.

    Args:
        session: an open session, outside a transaction.
        schema: our schema.
        tables: names of the tables that the ledger holds.
    """
    ours = _BOOKKEEPING | set(tables)
    rows = session.execute(SelectRelations(schema)).rows
    return [
        Foreign(str(name), "view" if _text(kind) == "v" else "table", str(owner or ""))
        for name, kind, owner in rows
        if name not in ours
    ]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
