"""From raw events to the rows of one table: built-in columns, then custom ones, then the lineage."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from loader.compactor.properties import Naming, columns_of, entries_of, pivot
from loader.compactor.text import fit
from loader.model import times
from loader.model.events import TIME
from loader.model.json_text import texts_of
from loader.model.tables import CUSTOM_BYTES, TableKind, TableSpec

_ARROW: Final = {"BIGINT": pa.int64(), "TIMESTAMP": TIME, "INTEGER": pa.int32()}
#: A visitor who typed the address has no referrer, whatever the tracker writes there.
_DIRECT: Final = pa.array(["", "direct"])


_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")
#: Years 1 to 9999, as for every other time.
_FIRST: Final = times.micros(datetime.min.replace(tzinfo=UTC))
_LAST: Final = times.micros(datetime.max.replace(tzinfo=UTC))


def table_schema(spec: TableSpec, custom: tuple[str, ...]) -> pa.Schema:
    """The schema of a table's COPY files."""
    return pa.schema(
        [
            *(
                pa.field(column.name, _ARROW.get(column.kind, pa.string()), column.nullable)
                for column in spec.columns
            ),
            *(pa.field(name, pa.string()) for name in custom),
            pa.field("_partition", pa.int32(), nullable=False),
            pa.field("_offset", pa.int64(), nullable=False),
        ]
    )


class Projection:
    """Makes one table's rows. All rows are shown to it first, so that every part has one schema.

    Args:
        spec: the table.
        rows: every raw row that will be projected.
        keep: the only custom columns that the table takes; None takes all.
    """

    def __init__(self, spec: TableSpec, rows: pa.Table, keep: frozenset[str] | None = None) -> None:
        self._spec = spec
        self._naming = Naming(frozenset(spec.column_names))
        # An event's own property goes before its session's of the same column.
        own = () if spec.kind is TableKind.SESSIONS else ("properties",)
        self._levels = (*own, "session_properties")
        found = columns_of(
            [list(entries_of(rows.column(level))) for level in self._levels], self._naming
        )
        self.custom = tuple(name for name in found if keep is None or name in keep)
        #: Values in each custom column so far.
        self.used: dict[str, int] = dict.fromkeys(self.custom, 0)
        #: Values cut so far, by column.
        self.cut: dict[str, int] = {}

    def table(self, rows: pa.Table, schema: pa.Schema) -> pa.Table:
        """The table's rows for raw ``rows``, in the same order, with :func:`table_schema`'s schema."""
        columns = []
        for column in self._spec.columns:
            values = self._built_in(column.name, rows)
            columns.append(
                self._fit(column.name, values, column.length) if column.length else values
            )
        levels = [list(entries_of(rows.column(level))) for level in self._levels]
        for name, values in zip(
            self.custom, pivot(levels, self._naming, self.custom, rows.num_rows), strict=True
        ):
            self.used[name] += len(values) - values.null_count
            columns.append(self._fit(name, values, CUSTOM_BYTES))
        columns += [rows.column("_partition"), rows.column("_offset")]
        return pa.table(columns, schema=schema)

    def _built_in(self, name: str, rows: pa.Table) -> pa.Array:
        if name == "session_time":
            return session_times(rows)
        values = rows.column(name)
        if name == "type":
            own = pc.and_(pc.equal(values, "custom"), pc.is_valid(rows.column("name")))
            values = pc.if_else(own, rows.column("name"), values)
        elif name == "referrer":
            direct = pc.is_in(values, value_set=_DIRECT)
            values = pc.if_else(direct, pa.scalar(None, pa.string()), values)
        return values.combine_chunks()

    def _fit(self, name: str, values: pa.Array, length: int) -> pa.Array:
        fitted, changed = fit(values, length)
        if changed:
            self.cut[name] = self.cut.get(name, 0) + changed
        return fitted


def session_times(rows: pa.Table) -> pa.Array:
    """``session_time`` of events that carry it: ISO 8601 text or integer microseconds; else null."""
    count = rows.num_rows
    found = pa.nulls(count, TIME)
    start = 0
    for chunk in rows.column("extra").chunks:
        keys = pc.map_lookup(chunk, query_key="session_time", occurrence="first")
        if keys.null_count < len(keys):
            texts = texts_of(keys.cast(pa.string())).dictionary_encode()
            micros = pa.array([_micros(text) for text in texts.dictionary.to_pylist()], pa.int64())
            part = micros.take(texts.indices).cast(TIME)
            found = pa.concat_arrays([found.slice(0, start), part, found.slice(start + len(chunk))])
        start += len(chunk)
    return found


def _micros(text: str) -> int | None:
    parsed = times.parse_time(text)
    if parsed is None and _INTEGER.fullmatch(text) and _FIRST <= int(text) <= _LAST:
        return int(text)
    return parsed
