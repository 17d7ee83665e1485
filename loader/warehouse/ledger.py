"""The ledger: one row per table that says what is in it. Changed in the table's own transaction.

A transaction that changes a table first moves its row from version ``v`` to ``v + 1``. Zero rows
updated, or a conflict: somebody else did, and the plan has to be made anew. So the compactor and
the reconciler never write one table at once, with no lock to take and none to expire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from loader.errors import Transient
from loader.model.plans import Cut, Loaded
from loader.model.tables import SYNC_LEDGER, Column, TableKind, bigint, timestamp
from loader.warehouse.session import Session
from loader.warehouse.sql import InsertRow, SelectRows, Table, UpdateRow


def _text(name: str, length: int) -> Column:
    return Column(name, "VARCHAR", length)


MANIFESTS_BYTES: Final = 65535
LEFT_OUT_BYTES: Final = 65535

LEDGER_COLUMNS: Final = (
    Column("table_key", "VARCHAR", 256, nullable=False),
    Column("table_name", "VARCHAR", 127, nullable=False),
    Column("kind", "VARCHAR", 32, nullable=False),
    bigint("version", nullable=False),
    Column("state", "VARCHAR", 32, nullable=False),
    Column("cut", "VARCHAR", 65535, nullable=False),
    _text("definition_hash", 128),
    _text("migration_version", 128),
    _text("sync_id", 64),
    _text("manifests", MANIFESTS_BYTES),
    bigint("row_count"),
    _text("state_key", 1024),
    timestamp("synced_to_time"),
    timestamp("updated_at"),
    _text("left_out", LEFT_OUT_BYTES),
)
_NAMES: Final = tuple(column.name for column in LEDGER_COLUMNS)


class LedgerMoved(Transient):
    """Another run changed the table since it was planned."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger of one schema."""

    schema: str

    @property
    def table(self) -> Table:
        """Its place."""
        return Table(SYNC_LEDGER, self.schema)

    def read(self, session: Session) -> dict[str, Loaded]:
        """Every row, by table key."""
        answer = session.execute(SelectRows(self.table, _NAMES, order_by=("table_key",)))
        rows = (_loaded(dict(zip(_NAMES, row, strict=True))) for row in answer.rows)
        return {row.key: row for row in rows}

    def read_one(self, session: Session, key: str) -> Loaded | None:
        """One row; None where the table was never loaded."""
        answer = session.execute(SelectRows(self.table, _NAMES, {"table_key": key}))
        if not answer.rows:
            return None
        return _loaded(dict(zip(_NAMES, answer.rows[0], strict=True)))

    def claim(self, session: Session, key: str, version: int) -> None:
        """Move the row from ``version`` to the next one: the first statement of a transaction.

        Raises:
            LedgerMoved: the row is at another version, or gone.
        """
        answer = session.execute(
            UpdateRow(self.table, {"version": version + 1}, {"table_key": key, "version": version})
        )
        if answer.count != 1:
            raise LedgerMoved(
                f"{self.schema}: another run changed {key} since it was planned at version "
                f"{version}.",
                hint="It is planned anew.",
            )

    def insert(self, session: Session, row: Loaded, now: datetime) -> None:
        """The first row of a table. The table's own CREATE makes sure that there is only one."""
        session.execute(
            InsertRow(self.table, {"table_key": row.key, "version": row.version, **_set(row, now)})
        )

    def write(self, session: Session, row: Loaded, now: datetime) -> None:
        """What is in the table now. ``row.version`` is the version that :meth:`claim` moved to.

        Raises:
            LedgerMoved: the row is not the claimed one.
        """
        answer = session.execute(
            UpdateRow(self.table, _set(row, now), {"table_key": row.key, "version": row.version})
        )
        if answer.count != 1:
            raise LedgerMoved(f"{self.schema}: the ledger row of {row.key} is not ours.")


def _set(row: Loaded, now: datetime) -> dict[str, object]:
    return {
        "table_name": row.table,
        "kind": row.kind.value,
        "state": row.state,
        "cut": encode_cut(row.cut),
        "definition_hash": row.meaning,
        "migration_version": row.people,
        "sync_id": row.sync_id,
        "manifests": _encode_manifests(row.manifests),
        "row_count": row.rows,
        "state_key": row.state_key,
        "synced_to_time": row.synced_to,
        "updated_at": now.astimezone(UTC).replace(tzinfo=None),
        "left_out": _encode_names(row.left_out),
    }


def _encode_manifests(keys: tuple[str, ...]) -> str:
    """The keys, or where they do not fit the folders that hold them."""
    text = orjson.dumps(keys).decode()
    if len(text) > MANIFESTS_BYTES:
        text = orjson.dumps(sorted({key.rpartition("/")[0] + "/" for key in keys})).decode()
    return text


def _encode_names(names: tuple[str, ...]) -> str:
    """As many of the names as fit: thousands. They are for people, nothing is decided by them."""
    shown = list(names)
    while len(text := orjson.dumps(shown).decode()) > LEFT_OUT_BYTES:
        shown = shown[: len(shown) // 2]
    return text


def _loaded(fields: Mapping[str, Any]) -> Loaded:
    return Loaded(
        key=fields["table_key"],
        table=fields["table_name"],
        kind=TableKind(fields["kind"]),
        version=int(fields["version"]),
        state=fields["state"],
        cut=decode_cut(fields["cut"]),
        meaning=fields["definition_hash"] or "",
        people=fields["migration_version"] or "",
        sync_id=fields["sync_id"] or "",
        manifests=tuple(orjson.loads(fields["manifests"] or "[]")),
        rows=int(fields["row_count"] or 0),
        state_key=fields["state_key"] or "",
        synced_to=fields["synced_to_time"],
        updated=fields["updated_at"],
        left_out=tuple(orjson.loads(fields["left_out"] or "[]")),
    )


def encode_cut(cut: Cut) -> str:
    """``{"heap.events": {"0": 17}}``, keys sorted: equal cuts are equal texts."""
    document = {
        topic: {str(partition): offsets[partition] for partition in sorted(offsets)}
        for topic, offsets in sorted(cut.items())
    }
    return orjson.dumps(document).decode()


def decode_cut(text: str) -> dict[str, dict[int, int]]:
    """Read a cut back."""
    document = orjson.loads(text)
    return {
        topic: {int(partition): next_ for partition, next_ in offsets.items()}
        for topic, offsets in document.items()
    }
