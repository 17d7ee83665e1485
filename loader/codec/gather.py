"""Compiled: from spans to the buffers of Arrow columns, rows in any order, each byte copied once.

Row by row and not column by column: the spans of a row stand side by side, and so do its texts, so a
row costs a few cache lines instead of one for each of its values. Which row comes when is known, so
those lines are asked for some rows ahead: waiting for them was more than half of the work.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from loader.codec.compiled import compiled, inner
from loader.codec.primitives import LINE, MOST_AHEAD, copy, prefetch

#: Spans (int32) in a cache line.
_SPANS: Final = LINE // 4
#: Texts that are asked for ahead. Few rows of an event, or many entries of a map: measured with 44 columns
#: from 1 to 8 rows, which is flat, and with 2 columns from 1 to 16, which is not.
_TEXTS_AHEAD: Final = 32
_ROWS_AHEAD: Final = 3
#: Behind the end of every array: spans are int32.
_END: Final = (1 << 31) - 1


@inner
def _rows_ahead(columns: int) -> int:
    return max(_ROWS_AHEAD, _TEXTS_AHEAD // columns)


@inner
def _ask_for_spans(flat: Any, width: int, row: int) -> None:
    for place in range(row * width, (row + 1) * width, _SPANS):
        prefetch(flat, place)


@inner
def _ask_for_texts(data: Any, low: int, high: int) -> None:
    for place in range(low, min(high, low + MOST_AHEAD), LINE):
        prefetch(data, place)


@compiled
def sizes(spans: Any, order: Any, base: int, totals: Any, nulls: Any, reach: Any) -> None:
    """What the rows of ``order`` come to.

    Args:
        spans: int32 ``[rows, columns, 2]``, contiguous: start and size; size -1 is a null.
        order: int64, the rows.
        base: spans from here on are not of the source.
        totals: int64 ``[columns]``, zeroed before; takes the bytes of each column.
        nulls: int64 ``[columns]``, zeroed before; takes the nulls of each column.
        reach: int32 ``[len(order), 4]``; takes which bytes of the source each row's texts lie in, and
            which of the arena. Where there are none, the first is not below the second.
    """
    columns = spans.shape[1]
    flat = spans.reshape(-1)
    ahead = 2 * _rows_ahead(columns)
    for row in range(len(order)):
        which = order[row]
        if row + ahead < len(order):
            _ask_for_spans(flat, 2 * columns, order[row + ahead])
        low, high, arena_low, arena_high = base, 0, _END, 0
        for column in range(columns):
            size = spans[which, column, 1]
            if size >= 0:
                totals[column] += size
                start = spans[which, column, 0]
                if start < base:
                    low = min(low, start)
                    high = max(high, start + size)
                else:
                    arena_low = min(arena_low, start - base)
                    arena_high = max(arena_high, start - base + size)
            else:
                nulls[column] += 1
        reach[row, 0] = low
        reach[row, 1] = high
        reach[row, 2] = arena_low
        reach[row, 3] = arena_high


@compiled
def copy_texts(
    source: Any,
    arena: Any,
    spans: Any,
    order: Any,
    reach: Any,
    places: Any,
    out: Any,
    offsets: Any,
    valid: Any,
) -> None:
    """Copy the texts of the rows of ``order``.

    Args:
        source: bytes that spans point to.
        arena: bytes that spans point to from ``len(source)`` on.
        spans: int32 ``[rows, columns, 2]``, contiguous: start and size; size -1 is a null.
        order: int64, the rows to copy.
        reach: as :func:`sizes` gave it.
        places: int64 ``[columns]``: where in ``out`` each column begins; changed.
        out: takes the texts, with padding behind each column.
        offsets: int32 ``[columns, len(order) + 1]``, zeroed before; takes the columns' offsets.
        valid: uint8 ``[columns, at least len(order) / 8]``, zeroed before; takes the validity bits.
    """
    base = len(source)
    columns = spans.shape[1]
    flat = spans.reshape(-1)
    ahead = _rows_ahead(columns)
    for row in range(len(order)):
        which = order[row]
        if row + 2 * ahead < len(order):
            _ask_for_spans(flat, 2 * columns, order[row + 2 * ahead])
        if row + ahead < len(order):
            _ask_for_texts(source, reach[row + ahead, 0], reach[row + ahead, 1])
            _ask_for_texts(arena, reach[row + ahead, 2], reach[row + ahead, 3])
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
