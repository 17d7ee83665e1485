"""The schema itself: made at the first sync, and recognised as ours ever after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from loader.errors import NeedsOperator
from loader.model.tables import (
    SYNC_HISTORY,
    SYNC_INFO,
    SYNC_INFO_ALIAS,
    SYNC_LEDGER,
    Column,
    bigint,
    timestamp,
)
from loader.warehouse.ddl import AddColumn, CreateAlias, CreateSchema, CreateTable
from loader.warehouse.errors import DUPLICATE_TABLE, StatementRefused
from loader.warehouse.ledger import LEDGER_COLUMNS
from loader.warehouse.session import Session, transaction
from loader.warehouse.sql import SelectColumns, Table

SYNC_INFO_COLUMNS: Final = (
    Column("event_table_name", "VARCHAR", 127, nullable=False),
    timestamp("sync_started", nullable=False),
    timestamp("sync_ended", nullable=False),
    timestamp("synced_to_time"),
    bigint("inserted_row_count", nullable=False),
)
SYNC_HISTORY_COLUMNS: Final = (
    Column("status", "VARCHAR", 32, nullable=False),
    timestamp("start_time", nullable=False),
    timestamp("finish_time"),
    Column("error", "VARCHAR", 4096),
    timestamp("next_scheduled_sync_at"),
)

#: The server's own names of what :class:`~loader.model.tables.Column` calls by its SQL name.
_TYPES: Final = {
    "bigint": "BIGINT",
    "integer": "INTEGER",
    "timestamp without time zone": "TIMESTAMP",
    "character varying": "VARCHAR",
}


@dataclass(frozen=True, slots=True)
class Catalog:
    """What stands in the schema: for each table its columns, in order."""

    tables: Mapping[str, Mapping[str, Column]]

    def columns(self, table: str) -> Mapping[str, Column]:
        """The table's columns by name; empty where it does not stand."""
        return self.tables.get(table, {})


def read_catalog(session: Session, schema: str) -> Catalog:
    """Ask the server what stands in the schema."""
    tables: dict[str, dict[str, Column]] = {}
    for table, name, kind, length in session.execute(SelectColumns(schema)).rows:
        column = Column(name, _TYPES.get(kind, kind), int(length or 0) if "char" in kind else 0)
        tables.setdefault(table, {})[name] = column
    return Catalog(tables)


def prepare_schema(session: Session, schema: str) -> None:
    """Make the schema and the loader's own tables where they are missing.

    Raises:
        NeedsOperator: the schema holds tables and no ledger of ours: somebody else's.
    """
    catalog = read_catalog(session, schema)
    if check_schema(catalog, schema, upgrade=True):
        for column in _later_columns(catalog):
            session.execute(AddColumn(Table(SYNC_LEDGER, schema), column))
        return
    session.execute(CreateSchema(schema))
    info = Table(SYNC_INFO, schema)
    try:
        with transaction(session):
            session.execute(CreateTable(Table(SYNC_LEDGER, schema), LEDGER_COLUMNS))
            session.execute(CreateTable(info, SYNC_INFO_COLUMNS, sort_key="sync_started"))
            session.execute(
                CreateTable(
                    Table(SYNC_HISTORY, schema), SYNC_HISTORY_COLUMNS, sort_key="start_time"
                )
            )
            names = tuple(column.name for column in SYNC_INFO_COLUMNS)
            session.execute(CreateAlias(Table(SYNC_INFO_ALIAS, schema), info, names))
    except StatementRefused as error:
        # Two first syncs at once: the other one's tables are as good as ours.
        if error.sqlstate != DUPLICATE_TABLE:
            raise
        check_schema(read_catalog(session, schema), schema)


def _later_columns(catalog: Catalog) -> list[Column]:
    """Columns that the ledger got since it was made: all of them may be null."""
    standing = catalog.columns(SYNC_LEDGER)
    return [column for column in LEDGER_COLUMNS if column.name not in standing]


def check_schema(catalog: Catalog, schema: str, *, upgrade: bool = False) -> bool:
    """Whether the schema is ours already; false where there is nothing in it.

    Args:
        catalog: what stands in it.
        schema: its name.
        upgrade: the caller adds what an earlier version's ledger lacks.

    Raises:
        NeedsOperator: it holds tables and no ledger of ours, or a ledger of another version.
    """
    if SYNC_LEDGER not in catalog.tables:
        if catalog.tables:
            raise NeedsOperator(
                f"The schema {schema} holds tables that are not the loader's: "
                f"{', '.join(sorted(catalog.tables)[:5])}.",
                hint="Set warehouse.schema to one that does not exist yet; nothing else may live "
                "in it.",
            )
        return False
    missing = _later_columns(catalog)
    if upgrade and all(column.nullable for column in missing):
        return True
    if missing:
        raise NeedsOperator(
            f"{schema}.{SYNC_LEDGER} is not this version's ledger: no column {missing[0].name}.",
            hint="A sync of this version adds it. Where that refuses too, another version wrote it: "
            "run that one, or use another warehouse.schema.",
        )
    return True
