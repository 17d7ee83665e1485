# ruff: noqa: S608 - text is put together here and in ddl and dml, from quoted names only
"""SQL as typed statements: each one is data, rendered in one way, with values as bind parameters.

Nothing but this module, `ddl` and `dml` writes SQL text. Identifiers pass through :func:`quote`;
values travel beside the text, but for COPY's credentials and paths and the names in a view's text,
which the server takes as literals only. :attr:`Rendered.shown` is the text that may be logged: no secret.

The rules of what a loader never sends (COPY by prefix or without a column list, TRUNCATE in a
transaction, several columns in one ADD, a DELETE with an alias) hold because no statement here can
express it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from loader.model.names import MAX_IDENTIFIER_BYTES

Value = object


@dataclass(frozen=True, slots=True)
class Rendered:
    """What goes to the server.

    Attributes:
        text: the statement; ``%s`` for each parameter.
        parameters: the values, in order.
        shown: ``text`` without secrets, for logs and errors.
    """

    text: str = field(repr=False)
    parameters: tuple[Value, ...] = ()
    shown: str = ""


class Statement(Protocol):
    """One statement, as data."""

    def render(self) -> Rendered:
        """The text and its parameters."""
        ...


def quote(identifier: str) -> str:
    """An identifier in double quotes: the only way a name gets into SQL.

    The driver looks for ``%s`` outside of quotes only, so a name may hold that, too.

    Raises:
        ValueError: empty, longer than 127 bytes, or with a NUL.
    """
    size = len(identifier.encode())
    if not 0 < size <= MAX_IDENTIFIER_BYTES or "\0" in identifier:
        raise ValueError(f"not an identifier: {identifier!r}")
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string literal, for the places where the server takes no parameter.

    Backslash is an escape in Redshift's literals, so it is doubled like the quote.

    Raises:
        ValueError: it holds a NUL.
    """
    if "\0" in text:
        raise ValueError("a literal cannot hold a NUL")
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def plain(text: str, *parameters: Value) -> Rendered:
    """A statement without secrets."""
    return Rendered(text, parameters, text)


def columns(names: Sequence[str], prefix: str = "") -> str:
    """Quoted names with commas between, each behind ``prefix``."""
    return ", ".join(prefix + quote(name) for name in names)


@dataclass(frozen=True, slots=True)
class Table:
    """A table's place; a temporary one has no schema."""

    name: str
    schema: str = ""

    @property
    def sql(self) -> str:
        """Quoted, with the schema where there is one."""
        return f"{quote(self.schema)}.{quote(self.name)}" if self.schema else quote(self.name)


@dataclass(frozen=True, slots=True)
class Begin:
    """Starts a transaction."""

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        return plain("BEGIN")


@dataclass(frozen=True, slots=True)
class Commit:
    """Ends it; the one point at which a load comes to be."""

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        return plain("COMMIT")


@dataclass(frozen=True, slots=True)
class Rollback:
    """Drops it."""

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        return plain("ROLLBACK")


@dataclass(frozen=True, slots=True)
class SetQueryGroup:
    """Labels the session's queries in the server's own history (``query_label``)."""

    label: str

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        return plain(f"SET query_group TO {literal(self.label)}")


@dataclass(frozen=True, slots=True)
class InsertRow:
    """One row of the loader's own bookkeeping. Never for data."""

    table: Table
    values: Mapping[str, Value]

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        marks = ", ".join("%s" for _ in self.values)
        return plain(
            f"INSERT INTO {self.table.sql} ({columns(tuple(self.values))}) VALUES ({marks})",
            *self.values.values(),
        )


@dataclass(frozen=True, slots=True)
class UpdateRow:
    """Sets columns of the bookkeeping rows whose ``where`` columns have these values."""

    table: Table
    values: Mapping[str, Value]
    where: Mapping[str, Value]

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        sets = ", ".join(f"{quote(name)} = %s" for name in self.values)
        tests = " AND ".join(f"{quote(name)} = %s" for name in self.where)
        return plain(
            f"UPDATE {self.table.sql} SET {sets} WHERE {tests}",
            *self.values.values(),
            *self.where.values(),
        )


@dataclass(frozen=True, slots=True)
class SelectRows:
    """Columns of a table, whole or where columns have given values, in a stated order."""

    table: Table
    columns: tuple[str, ...]
    where: Mapping[str, Value] = field(default_factory=dict)
    order_by: tuple[str, ...] = ()
    descending: bool = False
    limit: int | None = None

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        text = f"SELECT {columns(self.columns)} FROM {self.table.sql}"
        if self.where:
            text += " WHERE " + " AND ".join(f"{quote(name)} = %s" for name in self.where)
        if self.order_by:
            text += f" ORDER BY {columns(self.order_by)}" + (" DESC" if self.descending else "")
        if self.limit is not None:
            text += f" LIMIT {int(self.limit)}"
        return plain(text, *self.where.values())


@dataclass(frozen=True, slots=True)
class SelectColumns:
    """All columns of all tables of a schema: table, column, type, length, in the tables' order."""

    schema: str

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        return plain(
            "SELECT table_name, column_name, data_type, character_maximum_length "
            "FROM svv_columns WHERE table_schema = %s ORDER BY table_name, ordinal_position",
            self.schema,
        )


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """Rows and the smallest and largest value of one column."""

    table: Table
    column: str

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        name = quote(self.column)
        return plain(f"SELECT COUNT(*), MIN({name}), MAX({name}) FROM {self.table.sql}")


@dataclass(frozen=True, slots=True)
class TableInfo:
    """Size in 1 MB blocks, keys and rows as the server counts them. Needs SELECT on svv_table_info."""

    schema: str

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        return plain(
            'SELECT "table", size, diststyle, sortkey1, tbl_rows FROM svv_table_info '
            'WHERE "schema" = %s',
            self.schema,
        )
