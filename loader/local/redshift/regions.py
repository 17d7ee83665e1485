"""Notes what a statement wrote, so that the catalog can say which rows stand unsorted.

A write is noted once, behind it, by the number of rows that its command tag tells; no row is looked at.
The rules are in ``sql/81_regions.sql``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from loader.local.redshift.plan import Engine, Write
from loader.local.redshift.refs import relations
from loader.local.redshift.tokens import Token, literal, render


def write_of(tokens: Sequence[Token]) -> Write | None:
    """The table that an INSERT, UPDATE, DELETE or MERGE writes; None for other statements."""
    if not tokens or not tokens[0].is_word("insert", "update", "delete", "merge", "with"):
        return None
    for ref in relations(tokens):
        if ref.role in ("into", "update", "delete"):
            rest = tokens[ref.end :]
            bulk = ref.role == "into" and any(token.is_word("select", "with") for token in rest)
            merge = tokens[0].is_word("merge")
            return Write(render(tokens[ref.start : ref.end]), bulk and not merge, merge)
    return None


async def before_write(write: Write, engine: Engine) -> None:
    """Remember what a MERGE will be measured against; other writes need nothing."""
    if write.merge:
        oid = f"to_regclass({literal(write.table).text})"
        await engine.run(f"SELECT pg_stand_in.before_merge({oid})")


async def note_write(write: Write, tag: str, engine: Engine) -> None:
    """Note what a statement wrote.

    Args:
        write: where.
        tag: its command tag, which ends in the number of rows.
        engine: runs the note in the statement's own transaction.
    """
    kind, _, count = tag.partition(" ")
    rows = count.split(" ")[-1]
    oid = f"to_regclass({literal(write.table).text})"
    if not rows.isdigit() or rows == "0":
        return
    if kind == "MERGE":
        await note_merge(write, engine)
        return
    numbers = {"INSERT": f"{rows}, 0, 0", "UPDATE": f"0, {rows}, 0", "DELETE": f"0, 0, {rows}"}
    if kind in numbers:
        bulk = str(write.bulk).lower()
        await engine.run(f"SELECT pg_stand_in.note_write({oid}, {bulk}, {numbers[kind]})")


async def note_merge(write: Write, engine: Engine) -> None:
    """Note what a MERGE did since :func:`before_write`, by PostgreSQL's own counters."""
    oid = f"to_regclass({literal(write.table).text})"
    await engine.run(f"SELECT pg_stand_in.note_merge({oid})")


async def note_made(table: str, engine: Engine) -> None:
    """Note the rows of a table that a query made: filled in order, and analyzed (AWS docs: CTAS)."""
    await engine.run(f"SELECT pg_stand_in.note_made(to_regclass({literal(table).text}))")
    await note_analyze(table, engine)


async def note_analyze(table: str, engine: Engine) -> None:
    """Note an ANALYZE; an empty table name means all."""
    oid = f"to_regclass({literal(table).text})" if table else "NULL"
    await engine.run(f"SELECT pg_stand_in.note_analyze({oid})")


@dataclass(slots=True)
class KeyRange:
    """The lowest and the highest sort key of a COPY.

    Attributes:
        column: the sort key, as the client knows it; empty where the table's keys have no use for it.
        above: the greatest key in the table, if it had to be looked up; as text.
        pristine: the table was empty.
    """

    column: str = ""
    above: str | None = None
    pristine: bool = False
    _ends: list[object] = field(default_factory=list)

    def see(self, name: str, values: pa.Array) -> None:
        """Look at a batch of one column."""
        if name == self.column:
            ends = pc.min_max(values).as_py()
            self._ends += [end for end in ends.values() if end is not None]
            if self._ends:
                self._ends = [min(self._ends), max(self._ends)]  # type: ignore[type-var]

    def ends(self) -> tuple[str, str] | None:
        """Lowest and highest, as text; None where there was no row."""
        return (str(self._ends[0]), str(self._ends[-1])) if self._ends else None


async def before_copy(oid: int, engine: Engine) -> KeyRange:
    """What a COPY has to watch."""
    sql = f"SELECT key, above, pristine FROM pg_stand_in.before_copy({oid})"  # noqa: S608
    ((key, above, pristine),) = await engine.run(sql)
    return KeyRange(engine.names.restore(key or ""), above, pristine == "t")


async def after_copy(oid: int, rows: int, seen: KeyRange, engine: Engine) -> None:
    """Note the rows of a COPY."""
    ends = seen.ends() or (None, None)
    values = [*ends, seen.above]
    texts = ", ".join("NULL" if value is None else literal(value).text for value in values)
    await engine.run(f"SELECT pg_stand_in.note_write({oid}, true, {rows}, 0, 0, {texts})")
