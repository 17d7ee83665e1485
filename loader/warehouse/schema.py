"""The schema itself: made at the first sync, and recognised as ours ever after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loader.errors import NeedsOperator
from loader.model.tables import (
    SYNC_HISTORY,
    SYNC_INFO,
    SYNC_INFO_ALIAS,
    SYNC_LEDGER,
    Column,
    TableSpec,
    bigint,
    timestamp,
)
from loader.warehouse.ddl import AddColumn, CreateAlias, CreateSchema, CreateTable
from loader.warehouse.errors import DUPLICATE_COLUMN, DUPLICATE_TABLE, StatementRefused
from loader.warehouse.ledger import LEDGER_COLUMNS
from loader.warehouse.session import Session, transaction
from loader.warehouse.sql import SelectColumns, Table

#: AWS docs: CREATE TABLE, at most 1,600 columns; less the two that a stage has more.
MAX_COLUMNS: Final = 1598

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
    if check_schema(read_catalog(session, schema), schema):
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


def check_schema(catalog: Catalog, schema: str) -> bool:
    """Whether the schema is ours already; false where there is nothing in it.

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
    missing = [c.name for c in LEDGER_COLUMNS if c.name not in catalog.columns(SYNC_LEDGER)]
    if missing:
        raise NeedsOperator(
            f"{schema}.{SYNC_LEDGER} is not a ledger of this loader: no column {missing[0]}.",
            hint="Another version wrote it: run that one, or use another warehouse.schema.",
        )
    return True


def check_table(catalog: Catalog, schema: str, spec: TableSpec) -> None:
    """Make sure that a table that stands is the one that ``spec`` describes.

    Raises:
        NeedsOperator: a built-in column is missing, of another type, or shorter.
    """
    standing = catalog.columns(spec.name)
    for column in spec.columns if standing else ():
        found = standing.get(column.name)
        if found is None or found.kind != column.kind or found.length < column.length:
            shown = "missing" if found is None else found.sql_type
            raise NeedsOperator(
                f"{schema}.{spec.name} is not the loader's table: column {column.name} is {shown}, "
                f"not {column.sql_type}.",
                hint="Move that table out of the schema; nothing else may live in it.",
            )


def add_columns(
    session: Session,
    catalog: Catalog,
    schema: str,
    spec: TableSpec,
    columns: tuple[Column, ...],
) -> None:
    """Add the columns that the table lacks, each by a statement of its own, outside transactions.

    A column that another run added meanwhile is no error.

    Raises:
        NeedsOperator: the table is not ours, or would have too many columns.
    """
    check_table(catalog, schema, spec)
    standing = catalog.columns(spec.name)
    missing = [column for column in columns if column.name not in standing]
    others = [column for column in columns if column.name in standing]
    _check_width(schema, spec, len(standing) + len(missing), missing or others)
    for column in missing:
        try:
            session.execute(AddColumn(Table(spec.name, schema), column))
        except StatementRefused as error:
            if error.sqlstate != DUPLICATE_COLUMN:
                raise


def check_width(schema: str, spec: TableSpec, custom: Sequence[Column]) -> None:
    """Make sure that a table to be made does not have too many columns.

    Raises:
        NeedsOperator: it has, naming some of them.
    """
    _check_width(schema, spec, len(spec.columns) + len(custom), custom)


def _check_width(schema: str, spec: TableSpec, count: int, latest: Sequence[Column]) -> None:
    if count > MAX_COLUMNS:
        names = ", ".join(column.name for column in latest[-3:])
        raise NeedsOperator(
            f"{schema}.{spec.name} would have {count} columns; a table holds {MAX_COLUMNS}.",
            hint=f"Send fewer distinct properties. Some of those that need a column: {names}.",
        )
