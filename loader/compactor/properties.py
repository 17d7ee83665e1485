"""Open-ended properties to text columns, without a Python object per value.

A property becomes the column that :func:`loader.model.names.column_name` gives it. Of several that
give one column the first by level (event before session), then by name, that has a value. JSON texts
lose their quotes, numbers and truth values stay as sent, a list is its JSON text, and an object
becomes one column a leaf, the path joined by ``_``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loader.model.json_text import texts_of
from loader.model.names import column_name

Indices = npt.NDArray[np.int64]

#: Columns that PostgreSQL and Redshift keep for themselves in every table.
SYSTEM_COLUMNS: Final = frozenset(
    {
        "cmax",
        "cmin",
        "ctid",
        "deletexid",
        "insertxid",
        "oid",
        "tableoid",
        "xmax",
        "xmin",
    }
)


@dataclass(frozen=True, slots=True)
class Entries:
    """Properties of many rows, one entry a property: parallel arrays.

    Attributes:
        rows: which row has it.
        names: string array, never null.
        values: string array of texts (JSON where the value is an object or a list), never null.
    """

    rows: Indices
    names: pa.Array
    values: pa.Array


def entries_of(column: pa.ChunkedArray, first_row: int = 0) -> Iterator[Entries]:
    """The entries of a ``map<string, string>`` column whose values are JSON, objects as leaves.

    Null values are left out. One item a chunk; rows count from ``first_row``.
    """
    for chunk in column.chunks:
        yield _flatten(_entries(chunk, first_row))
        first_row += len(chunk)


def decoded(rows: Indices, names: pa.Array, values: pa.Array) -> Entries:
    """Entries of JSON ``values`` (never null), objects as leaves; JSON nulls are left out."""
    values = texts_of(values)
    present = pc.is_valid(values)
    mask = present.to_numpy(zero_copy_only=False)
    return _flatten(Entries(rows[mask], names.filter(present), values.filter(present)))


def _entries(column: pa.MapArray, first_row: int) -> Entries:
    offsets = column.offsets.to_numpy()
    start, end = (int(offsets[0]), int(offsets[-1])) if len(offsets) else (0, 0)
    rows = np.repeat(np.arange(first_row, first_row + len(column)), np.diff(offsets))
    names = column.keys.slice(start, end - start)
    values = texts_of(column.items.slice(start, end - start))
    present = pc.is_valid(values)
    if column.null_count:
        held = np.repeat(pc.is_valid(column).to_numpy(zero_copy_only=False), np.diff(offsets))
        present = pc.and_(present, pa.array(held))
    if pc.all(present).as_py():
        return Entries(rows, names, values)
    mask = present.to_numpy(zero_copy_only=False)
    return Entries(rows[mask], names.filter(present), values.filter(present))


def _flatten(entries: Entries) -> Entries:
    """Replace entries that are objects by one entry a leaf."""
    is_object = pc.starts_with(entries.values, pattern="{")
    if not pc.any(is_object).as_py():
        return entries
    mask = is_object.to_numpy(zero_copy_only=False)
    objects = entries.values.filter(is_object).dictionary_encode()
    leaves = [_leaves(text) for text in objects.dictionary.to_pylist()]
    codes = objects.indices.to_numpy()
    heads = entries.names.filter(is_object).to_pylist()
    rows, names, values = [], [], []
    for row, head, code in zip(entries.rows[mask].tolist(), heads, codes.tolist(), strict=True):
        for path, value in leaves[code]:
            rows.append(row)
            names.append(f"{head}_{path}" if path else head)
            values.append(value)
    rest = pc.invert(is_object)
    return Entries(
        np.concatenate([entries.rows[~mask], np.array(rows, np.int64)]),
        pa.concat_arrays([entries.names.filter(rest), pa.array(names, pa.string())]),
        pa.concat_arrays([entries.values.filter(rest), pa.array(values, pa.string())]),
    )


def _leaves(text: str) -> list[tuple[str, str]]:
    """The leaves of one JSON object as ``(path joined by _, text)``; no path if it is no object."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return [("", text)]
    found: list[tuple[str, str]] = []
    waiting: list[tuple[str, object]] = [("", value)]
    while waiting:
        path, item = waiting.pop()
        if isinstance(item, dict):
            waiting += [(f"{path}_{key}" if path else key, inner) for key, inner in item.items()]
        elif isinstance(item, str):
            found.append((path, item.encode(errors="replace").decode()))
        elif item is not None:
            found.append((path, json.dumps(item, separators=(",", ":"), ensure_ascii=False)))
    return sorted(found)


class Naming:
    """From property names to columns, for one table; each distinct name is looked at once."""

    def __init__(self, built_in: frozenset[str]) -> None:
        self._taken = built_in | SYSTEM_COLUMNS
        self._known: dict[str, str] = {}

    def column(self, name: str) -> str:
        """The column of a property."""
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = column_name(name, self._taken)
        return found


def columns_of(levels: Sequence[Sequence[Entries]], naming: Naming) -> tuple[str, ...]:
    """Every column that the entries give, ascending."""
    return tuple(
        sorted(
            {
                naming.column(name)
                for level in levels
                for entries in level
                for name in entries.names.unique().to_pylist()
            }
        )
    )


def pivot(
    levels: Sequence[Sequence[Entries]], naming: Naming, columns: Sequence[str], count: int
) -> list[pa.Array]:
    """One string array of length ``count`` for each of ``columns``, null where there is no value.

    Args:
        levels: entries by level, the one that goes first in front; rows are 0 .. ``count - 1``.
        naming: of the table.
        columns: as :func:`columns_of` gives them, or more, or fewer.
        count: rows.
    """
    place = {name: number for number, name in enumerate(columns)}
    rows, ids, ranks, values = _sources(levels, naming, place)
    # Weakest first: an assignment to one row twice leaves the later, stronger one.
    order = np.lexsort((-ranks, ids))
    bounds = np.searchsorted(ids[order], np.arange(len(columns) + 1))
    result = []
    for start, end in pairwise(bounds):
        chosen = order[start:end]
        source = np.full(count, -1, np.int64)
        source[rows[chosen]] = chosen
        result.append(values.take(pa.array(source, mask=source < 0)))
    return result


def _only(entries: Entries, naming: Naming, place: dict[str, int]) -> Entries:
    """The entries whose column is asked for."""
    names = entries.names.unique().to_pylist()
    kept = [name for name in names if naming.column(name) in place]
    if len(kept) == len(names):
        return entries
    chosen = pc.is_in(entries.names, value_set=pa.array(kept, pa.string()))
    mask = chosen.to_numpy(zero_copy_only=False)
    return Entries(entries.rows[mask], entries.names.filter(chosen), entries.values.filter(chosen))


def _sources(
    levels: Sequence[Sequence[Entries]], naming: Naming, place: dict[str, int]
) -> tuple[Indices, Indices, Indices, pa.Array]:
    """All entries as rows, column numbers, ranks (small goes first) and values."""
    rows: list[Indices] = [np.empty(0, np.int64)]
    ids: list[Indices] = [np.empty(0, np.int64)]
    ranks: list[Indices] = [np.empty(0, np.int64)]
    values: list[pa.Array] = [pa.array([], pa.string())]
    every = [
        (level, _only(entries, naming, place))
        for level, group in enumerate(levels)
        for entries in group
    ]
    distinct = {
        (level, name) for level, entries in every for name in entries.names.unique().to_pylist()
    }
    rank = {key: number for number, key in enumerate(sorted(distinct))}
    for level, entries in every:
        encoded = entries.names.dictionary_encode()
        names = encoded.dictionary.to_pylist()
        codes = encoded.indices.to_numpy()
        rows.append(entries.rows)
        ids.append(np.array([place[naming.column(n)] for n in names], np.int64)[codes])
        ranks.append(np.array([rank[level, n] for n in names], np.int64)[codes])
        values.append(entries.values)
    return (
        np.concatenate(rows),
        np.concatenate(ids),
        np.concatenate(ranks),
        pa.concat_arrays(values),
    )
