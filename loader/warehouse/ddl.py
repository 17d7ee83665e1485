# ruff: noqa: S608 - see sql
"""Statements that make and change tables and views."""

from __future__ import annotations

from dataclasses import dataclass

from loader.model.tables import Column
from loader.warehouse.sql import Rendered, Table, columns, literal, plain, quote


@dataclass(frozen=True, slots=True)
class CreateSchema:
    """Makes the schema where there is none."""

    schema: str

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        return plain(f"CREATE SCHEMA IF NOT EXISTS {quote(self.schema)}")


@dataclass(frozen=True, slots=True)
class CreateTable:
    """Makes a permanent table; fails with 42P07 where the name is taken."""

    table: Table
    columns: tuple[Column, ...]
    sort_key: str | None = None
    dist_key: str | None = None

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        parts = [f"CREATE TABLE {self.table.sql} ({', '.join(map(_declare, self.columns))})"]
        if self.dist_key:
            parts.append(f"DISTSTYLE KEY DISTKEY ({quote(self.dist_key)})")
        if self.sort_key:
            parts.append(f"COMPOUND SORTKEY ({quote(self.sort_key)})")
        return plain(" ".join([*parts, "ENCODE AUTO"]))


@dataclass(frozen=True, slots=True)
class CreateStage:
    """Makes a temporary table with fixed encodings: COPY need not look at the data to choose them."""

    name: str
    columns: tuple[Column, ...]
    sort_key: str | None
    dist_key: str

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        declared = ", ".join(
            f"{_declare(column)} ENCODE {_encoding(column, self.sort_key)}"
            for column in self.columns
        )
        text = (
            f"CREATE TEMP TABLE {quote(self.name)} ({declared}) "
            f"DISTSTYLE KEY DISTKEY ({quote(self.dist_key)})"
        )
        if self.sort_key:
            text += f" COMPOUND SORTKEY ({quote(self.sort_key)})"
        return plain(text)


def _declare(column: Column) -> str:
    suffix = "" if column.nullable else " NOT NULL"
    return f"{quote(column.name)} {column.sql_type}{suffix}"


def _encoding(column: Column, sort_key: str | None) -> str:
    if column.name == sort_key:
        return "RAW"
    return "LZO" if column.kind == "VARCHAR" else "AZ64"


@dataclass(frozen=True, slots=True)
class DropStage:
    """Drops a temporary table."""

    name: str

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        return plain(f"DROP TABLE {quote(self.name)}")


@dataclass(frozen=True, slots=True)
class AddColumn:
    """Adds one column (the server takes one a statement); 42701 where it is there already."""

    table: Table
    column: Column

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        return plain(f"ALTER TABLE {self.table.sql} ADD COLUMN {_declare(self.column)}")


@dataclass(frozen=True, slots=True)
class GrowColumn:
    """Makes a VARCHAR longer; never inside a transaction (AWS docs: ALTER TABLE)."""

    table: Table
    column: Column

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        return plain(
            f"ALTER TABLE {self.table.sql} ALTER COLUMN {quote(self.column.name)} "
            f"TYPE {self.column.sql_type}"
        )


@dataclass(frozen=True, slots=True)
class RenameTable:
    """Renames a table; grants and rows stay with it."""

    table: Table
    to: str

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        return plain(f"ALTER TABLE {self.table.sql} RENAME TO {quote(self.to)}")


@dataclass(frozen=True, slots=True)
class CreateAlias:
    """A late-binding view that shows another table whole."""

    view: Table
    table: Table
    columns: tuple[str, ...]

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        return plain(
            f"CREATE OR REPLACE VIEW {self.view.sql} AS SELECT {columns(self.columns)} "
            f"FROM {self.table.sql} WITH NO SCHEMA BINDING"
        )


@dataclass(frozen=True, slots=True)
class CreateUnionView:
    """A late-binding view over the common columns of several tables, each row with its table's name.

    Attributes:
        view: its place.
        tables: at least one.
        columns: the columns that all of them have.
        label: the name of the column that holds the table's name.
    """

    view: Table
    tables: tuple[Table, ...]
    columns: tuple[str, ...]
    label: str

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        selects = " UNION ALL ".join(
            f"SELECT {columns(self.columns)}, "
            f"CAST({literal(table.name)} AS VARCHAR(127)) AS {quote(self.label)} FROM {table.sql}"
            for table in self.tables
        )
        return plain(f"CREATE OR REPLACE VIEW {self.view.sql} AS {selects} WITH NO SCHEMA BINDING")
