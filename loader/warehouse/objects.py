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

#: What the loader keeps beside the tables that its ledger names.
BOOKKEEPING: Final = frozenset({ALL_EVENTS, SYNC_HISTORY, SYNC_INFO, SYNC_INFO_ALIAS, SYNC_LEDGER})


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or a view.

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


def relations(session: Session, schema: str) -> list[Relation]:
    """Every table and view of a schema, by name. Outside a transaction: it reads the catalog."""
    return [
        Relation(str(name), "view" if _text(kind) == "v" else "table", str(owner or ""))
        for name, kind, owner in session.execute(SelectRelations(schema)).rows
    ]


def foreign_objects(session: Session, schema: str, tables: Iterable[str]) -> list[Relation]:
    """What stands in the schema besides our bookkeeping and ``tables``, by name.

    Args:
        session: an open session, outside a transaction.
        schema: our schema.
        tables: names of the tables that the ledger holds.
    """
    ours = BOOKKEEPING | set(tables)
    return [relation for relation in relations(session, schema) if relation.name not in ours]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
