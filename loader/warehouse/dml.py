# ruff: noqa: S608 - see sql
"""Statements that bring rows from the lake's files to a table."""

from __future__ import annotations

from dataclasses import dataclass

from loader.warehouse.credentials import CopyAuthorization
from loader.warehouse.sql import Rendered, Table, columns, literal, plain, quote


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY of Parquet files by a manifest, with the columns in the files' own order.

    Columnar COPY maps by position (AWS docs: COPY from columnar formats), so the list is never left
    out.
    """

    into: Table
    columns: tuple[str, ...]
    manifest_url: str
    authorization: CopyAuthorization

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        head = f"COPY {self.into.sql} ({columns(self.columns)}) FROM {literal(self.manifest_url)} "
        tail = " FORMAT AS PARQUET MANIFEST"
        return Rendered(
            head + self.authorization.clause() + tail, (), head + self.authorization.shown() + tail
        )


@dataclass(frozen=True, slots=True)
class CopyCount:
    """Rows that the session's last COPY loaded."""

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        return plain("SELECT pg_last_copy_count()")


@dataclass(frozen=True, slots=True)
class DeleteAll:
    """Empties a table inside a transaction (TRUNCATE would commit it)."""

    table: Table

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        return plain(f"DELETE FROM {self.table.sql}")


@dataclass(frozen=True, slots=True)
class DeleteMatching:
    """Deletes the target's rows whose key is in the stage.

    Attributes:
        later_by: where set, only rows whose value of this column is later than the stage's.
    """

    table: Table
    stage: str
    key: tuple[str, ...]
    later_by: str = ""

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        target, stage = self.table.sql, quote(self.stage)
        tests = [f"{target}.{quote(name)} = {stage}.{quote(name)}" for name in self.key]
        if self.later_by:
            name = quote(self.later_by)
            tests.append(f"{target}.{name} > {stage}.{name}")
            # A loaded row that is later than some staged one is later than the earliest of them:
            # a bound that lets the server skip blocks.
            tests.append(f"{target}.{name} > (SELECT MIN({name}) FROM {stage})")
        return plain(f"DELETE FROM {target} USING {stage} WHERE {' AND '.join(tests)}")


@dataclass(frozen=True, slots=True)
class InsertFromStage:
    """Brings the stage into the target, one row per key, in sort-key order.

    Attributes:
        table: the target.
        stage: the temporary table.
        columns: what is brought.
        key: of staged rows with one key the first by ``first_by`` is taken.
        first_by: columns; empty where the stage holds each key once.
        order_by: the sort key; empty for none.
        absent_only: leaves out rows whose key the target has.
    """

    table: Table
    stage: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    first_by: tuple[str, ...] = ()
    order_by: str = ""
    absent_only: bool = False

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        source, tests = quote(self.stage), []
        if self.first_by:
            number = (
                f"ROW_NUMBER() OVER (PARTITION BY {columns(self.key)} "
                f"ORDER BY {columns(self.first_by)})"
            )
            source = f'(SELECT {columns(self.columns)}, {number} AS "_copy" FROM {source})'
            tests.append('s."_copy" = 1')
        join = ""
        if self.absent_only:
            on = " AND ".join(f"t.{quote(name)} = s.{quote(name)}" for name in self.key)
            join = f" LEFT JOIN {self.table.sql} t ON {on}"
            tests.append(f"t.{quote(self.key[0])} IS NULL")
        text = (
            f"INSERT INTO {self.table.sql} ({columns(self.columns)}) "
            f"SELECT {columns(self.columns, 's.')} FROM {source} s{join}"
        )
        if tests:
            text += " WHERE " + " AND ".join(tests)
        if self.order_by:
            text += f" ORDER BY s.{quote(self.order_by)}"
        return plain(text)
