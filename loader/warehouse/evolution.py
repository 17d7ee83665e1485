"""How a table's columns follow what the lake brings: added, grown, or left out and named.

Columns are only ever added. A built-in or custom text column that is shorter than it should be grows.
Of custom properties those that the table has no room for are left out, the least used first, and so
is one whose column is of another type. Each change is a statement of its own, outside transactions:
the table is locked for a moment only, and what another run did meanwhile is as good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loader.errors import NeedsOperator
from loader.model.tables import Column, TableSpec
from loader.warehouse.ddl import AddColumn, GrowColumn
from loader.warehouse.errors import DUPLICATE_COLUMN, StatementRefused
from loader.warehouse.schema import Catalog
from loader.warehouse.session import Session
from loader.warehouse.sql import Table

#: AWS docs: CREATE TABLE, at most 1,600 columns; less the two that a stage has more.
MAX_COLUMNS: Final = 1598

NO_ROOM: Final = f"the table has {MAX_COLUMNS:,} columns already"


@dataclass(frozen=True, slots=True)
class Fit:
    """Custom columns of a table.

    Attributes:
        keep: those that it takes, ascending.
        left_out: those that it does not, with the reason.
    """

    keep: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...] = ()


def fit(standing: Mapping[str, Column], spec: TableSpec, used: Mapping[str, int]) -> Fit:
    """Choose the custom columns of a table.

    Args:
        standing: the table's columns now; empty where it is to be made.
        spec: its built-in columns.
        used: how many values each custom column would get.
    """
    left_out = {
        name: f"the table's column is {standing[name].sql_type}, not VARCHAR"
        for name in used
        if name in standing and standing[name].kind != "VARCHAR"
    }
    names = {*standing, *spec.column_names}
    new = sorted((name for name in used if name not in names), key=lambda n: (-used[n], n))
    left_out |= dict.fromkeys(new[max(0, MAX_COLUMNS - len(names)) :], NO_ROOM)
    return Fit(
        tuple(sorted(name for name in used if name not in left_out)),
        tuple(sorted(left_out.items())),
    )


def evolve(
    session: Session, catalog: Catalog, schema: str, spec: TableSpec, custom: Sequence[Column]
) -> None:
    """Bring a standing table's columns up to what is to be loaded.

    Raises:
        NeedsOperator: the table is not ours, or a column cannot grow.
    """
    table = Table(spec.name, schema)
    standing = catalog.columns(spec.name)
    check_table(standing, schema, spec)
    for column in (*spec.columns, *custom):
        found = standing.get(column.name)
        if found is None:
            _add(session, table, column)
        elif found.kind == "VARCHAR" and found.length < column.length:
            _grow(session, table, column, found)


def check_table(standing: Mapping[str, Column], schema: str, spec: TableSpec) -> None:
    """Make sure that a table that stands is the one that ``spec`` describes.

    Raises:
        NeedsOperator: a built-in column is missing or of another type.
    """
    for column in spec.columns:
        found = standing.get(column.name)
        if found is None or found.kind != column.kind:
            shown = "missing" if found is None else found.sql_type
            raise NeedsOperator(
                f"{schema}.{spec.name} is not the loader's table: column {column.name} is {shown}, "
                f"not {column.sql_type}.",
                hint="Move that table out of the schema; nothing else may live in it.",
            )


def _add(session: Session, table: Table, column: Column) -> None:
    try:
        session.execute(AddColumn(table, column))
    except StatementRefused as error:
        if error.sqlstate != DUPLICATE_COLUMN:
            raise


def _grow(session: Session, table: Table, column: Column, found: Column) -> None:
    try:
        session.execute(GrowColumn(table, column))
    except StatementRefused as error:
        raise NeedsOperator(
            f"{table.schema}.{table.name}.{column.name} is {found.sql_type} and cannot become "
            f"{column.sql_type}: {error.message}",
            hint="A view that is bound to the column holds it: make it anew WITH NO SCHEMA BINDING.",
        ) from None
