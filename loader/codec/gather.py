"""Compiled: from spans to the buffers of Arrow columns, rows in any order, each byte copied once.

Row by row and not column by column: the spans of a row stand side by side, and so do its texts, so a
row costs a few cache lines instead of one for each of its values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from loader.codec.compiled import compiled
from loader.codec.primitives import copy


@compiled
def sizes(spans: Any, order: Any, totals: Any, nulls: Any) -> None:
    """Bytes and nulls of each text column over the rows of ``order``; both zeroed before."""
    for row in range(len(order)):
        which = order[row]
        for column in range(spans.shape[1]):
            size = spans[which, column, 1]
            if size >= 0:
                totals[column] += size
            else:
                nulls[column] += 1


@compiled
def copy_texts(
    source: Any,
    arena: Any,
    spans: Any,
    order: Any,
    places: Any,
    out: Any,
    offsets: Any,
    valid: Any,
) -> None:
    """Copy the texts of the rows of ``order``.

    Args:
        source: bytes that spans point to.
        arena: bytes that spans point to from ``len(source)`` on.
        spans: int32 ``[rows, columns, 2]``: start and size; size -1 is a null.
        order: int64, the rows to copy.
        places: int64 ``[columns]``: where in ``out`` each column begins; changed.
        out: takes the texts, with padding behind each column.
        offsets: int32 ``[columns, len(order) + 1]``, zeroed before; takes the columns' offsets.
        valid: uint8 ``[columns, at least len(order) / 8]``, zeroed before; takes the validity bits.
    """
    base = len(source)
    columns = spans.shape[1]
    for row in range(len(order)):
        which = order[row]
        bit = np.uint8(1 << (row & 7))
        byte = row >> 3
        for column in range(columns):
            size = spans[which, column, 1]
            offset = offsets[column, row]
            if size >= 0:
                valid[column, byte] |= bit
                if size > 0:
                    start = spans[which, column, 0]
                    if start < base:
                        copy(out, places[column] + offset, source, start, size)
                    else:
                        copy(out, places[column] + offset, arena, start - base, size)
                    offset += size
            offsets[column, row + 1] = offset


@compiled
def map_offsets(counts: Any, order: Any, offsets: Any, valid: Any) -> int:
    """Fill the offsets (zeroed before) and validity bits of a map column; returns the nulls.

    Args:
        counts: int32, entries of each row; -1 is a null.
        order: int64, the rows.
        offsets: int32, one more than ``order``.
        valid: uint8, zeroed before.
    """
    nulls = 0
    for row in range(len(order)):
        count = counts[order[row]]
        if count >= 0:
            valid[row >> 3] |= np.uint8(1 << (row & 7))
        else:
            nulls += 1
            count = 0
        offsets[row + 1] = offsets[row] + count
    return nulls


@compiled
def map_entries(firsts: Any, counts: Any, order: Any, entries: Any) -> None:
    """The numbers of the entries of ``order``'s rows, one after the other, into ``entries``."""
    place = 0
    for row in range(len(order)):
        which = order[row]
        first = firsts[which]
        for entry in range(counts[which]):
            entries[place] = first + entry
            place += 1
