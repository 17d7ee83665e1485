"""Compiled: reads Avro messages by their schemas' programs and notes where each value stands.

What it cannot prove to be what the reference decoder gives, it leaves: the row is not sure. It never
reads beyond a message, and its work is bounded by the message's size and ``MAX_EMPTY_ITEMS``.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from loader.codec.avro_limits import MAX_EMPTY_ITEMS
from loader.codec.avro_program import Kind, Target
from loader.codec.compiled import compiled, inner
from loader.codec.doubles import MAX_DOUBLE_TEXT, put_double, widened
from loader.codec.json_writing import (
    MAX_INTEGER_TEXT,
    NO_ROOM,
    put_integer,
    put_latin1,
    put_string,
)
from loader.codec.primitives import PADDING, copy, copy16, is_ascii, is_utf8, load64
from loader.codec.values import MAX_DEPTH, MAX_TIME_US, MIN_TIME_US

# The compiler knows plain integers.
_NULL: Final = int(Kind.NULL)
_BOOLEAN: Final = int(Kind.BOOLEAN)
_LONG: Final = int(Kind.LONG)
_FLOAT: Final = int(Kind.FLOAT)
_DOUBLE: Final = int(Kind.DOUBLE)
_STRING: Final = int(Kind.STRING)
_BYTES: Final = int(Kind.BYTES)
_FIXED: Final = int(Kind.FIXED)
_ENUM: Final = int(Kind.ENUM)
_ARRAY: Final = int(Kind.ARRAY)
_MAP: Final = int(Kind.MAP)
_RECORD: Final = int(Kind.RECORD)
_UNION: Final = int(Kind.UNION)
_ENTRIES: Final = -1  # a map that is a column, not a text

_TO_NUMBER: Final = int(Target.NUMBER)
_TO_TEXT: Final = int(Target.TEXT)
_TO_TEXTS: Final = int(Target.TEXTS)
_TO_EXTRA: Final = int(Target.EXTRA)
_NO_TEXT: Final = int(Target.NO_TEXT)
_NO_NUMBER: Final = int(Target.NO_NUMBER)

_FRAME: Final = 5
#: Instead of a place in the message, beside ``NO_ROOM``.
_UNSURE: Final = -1
_NO_ENTRY: Final = -3

#: What ``state`` holds.
ROW: Final = 0  # the row to go on with
USED: Final = 1  # bytes of the arena
STAMP: Final = 2  # counts the rows, and the rows that were begun again
SERIAL: Final = 3  # counts the maps
KEYS: Final = 4  # keys of the row's maps
BUDGET: Final = 5  # items without bytes that the row may still have
ENTRIES: Final = 6  # from here on: entries used of each map column
STATE: Final = 10

#: Why the scan stopped.
DONE: Final = 0
ARENA_FULL: Final = 1
ENTRIES_FULL: Final = 2

#: The room that a value of bounded size needs.
_ROOM: Final = MAX_DOUBLE_TEXT + MAX_INTEGER_TEXT
#: A null text: start 0 and size -1 in one word.
_NO_TEXT_SPAN: Final = -1 << 32
STACK: Final = MAX_DEPTH + 1
#: A row with more keys than half of these is left to the reference.
SEEN: Final = 2048
_SEEN_BITS: Final = 11


@compiled
def distinct_ids(source: Any, bounds: Any, ids: Any) -> Any:
    """The schema ids of framed messages, each once, in the order in which they come.

    Args:
        source: the messages' bytes.
        bounds: int64, where they begin and end.
        ids: int64, takes the ids; those for which there is no room are left out.

    Returns:
        How many there are in ``ids``.
    """
    count = 0
    last = np.int64(-1)
    for row in range(len(bounds) - 1):
        schema_id = _schema_id(source, bounds[row], bounds[row + 1])
        if schema_id < 0 or schema_id == last:
            continue
        last = schema_id
        known = False
        for place in range(count):
            known = known or ids[place] == schema_id
        if not known and count < len(ids):
            ids[count] = schema_id
            count += 1
    return count


@inner
def _schema_id(source: Any, start: Any, stop: Any) -> Any:
    if stop - start < _FRAME or source[start] != 0 or source[start + 1] >= 0x80:
        return np.int64(-1)
    return (
        np.int64(source[start + 1]) << 24
        | np.int64(source[start + 2]) << 16
        | np.int64(source[start + 3]) << 8
        | np.int64(source[start + 4])
    )


@inner
def _varint(data: Any, place: Any, stop: Any) -> tuple[Any, Any]:
    """A zigzag number and the place behind it; the place is negative if there is none."""
    if place >= stop:
        return np.int64(0), np.int64(_UNSURE)
    byte = np.uint64(data[place])
    value = byte & np.uint64(0x7F)
    place += 1
    shift = np.uint64(0)
    while byte >= np.uint64(0x80):
        if place >= stop or shift == np.uint64(63):
            return np.int64(0), np.int64(_UNSURE)
        byte = np.uint64(data[place])
        place += 1
        shift += np.uint64(7)
        value |= (byte & np.uint64(0x7F)) << shift
    if shift == np.uint64(63) and byte > np.uint64(1):
        return np.int64(0), np.int64(_UNSURE)
    return np.int64(value >> np.uint64(1)) ^ -np.int64(value & np.uint64(1)), place


@inner
def _sized(data: Any, place: Any, stop: Any) -> tuple[Any, Any]:
    """Where bytes behind their size begin and end; the end is negative if they do not fit."""
    size, place = _varint(data, place, stop)
    if place < 0 or size < 0 or size > stop - place:
        return np.int64(0), np.int64(_UNSURE)
    return place, place + size


@inner
def _decimal_id(data: Any, start: Any, stop: Any) -> Any:
    """An id written out, or -1."""
    size = stop - start
    if size < 1 or size > 19 or (data[start] == 48 and size > 1):
        return np.int64(-1)
    value = np.uint64(0)
    for place in range(start, stop):
        digit = np.uint64(data[place]) - np.uint64(48)  # wraps around below "0"
        if digit > np.uint64(9):
            return np.int64(-1)
        value = value * np.uint64(10) + digit
    return np.int64(value)  # beyond 2^63-1 it is negative


@inner
def _is_new(data: Any, start: Any, stop: Any, serial: Any, seen: Any, state: Any) -> bool:
    """False if the map ``serial`` already has this key, or the row too many to tell."""
    size = stop - start
    head = load64(data, start)
    if size >= 8:
        tail = load64(data, stop - 8)
    else:
        head &= (np.uint64(1) << np.uint64(8 * size)) - np.uint64(1)
        tail = head
    mixed = (head ^ (tail << np.uint64(1)) ^ np.uint64(size)) * np.uint64(0x9E3779B97F4A7C15)
    slot = np.int64(mixed >> np.uint64(64 - _SEEN_BITS))
    stamp = state[STAMP]
    while seen[slot, 0] == stamp:
        if seen[slot, 1] == serial and seen[slot, 3] == size:
            other = seen[slot, 2]
            same = True
            for place in range(size):
                if data[start + place] != data[other + place]:
                    same = False
                    break
            if same:
                return False
        slot = (slot + 1) & (SEEN - 1)
    state[KEYS] += 1
    if state[KEYS] > SEEN // 2:
        return False
    seen[slot, 0], seen[slot, 1], seen[slot, 2], seen[slot, 3] = stamp, serial, start, size
    return True


@inner
def _block(data: Any, place: Any, stop: Any, empty: Any, state: Any) -> tuple[Any, Any]:
    """Items of the block that begins at ``place``, and the place of the first one.

    Args:
        data: the messages.
        place: where the block begins.
        stop: where its message ends.
        empty: whether the items take no bytes; else each takes one at least.
        state: see above.
    """
    count, place = _varint(data, place, stop)
    if place >= 0 and count < 0:
        count = -count
        _, place = _varint(data, place, stop)  # the block's size, which nobody needs
    if place < 0 or count < 0:
        return np.int64(0), np.int64(_UNSURE)
    if empty:
        state[BUDGET] -= count
    if state[BUDGET] < 0 or (count > stop - place and not empty):
        return np.int64(0), np.int64(_UNSURE)
    return count, place


@inner
def _branch(
    data: Any, place: Any, stop: Any, node: Any, nodes: Any, branches: Any
) -> tuple[Any, Any]:
    """The node of the value at ``place``, which is of type ``node``, and where it begins."""
    if nodes[node, 0] != _UNION:
        return node, place
    tag, place = _varint(data, place, stop)
    if place < 0 or tag < 0 or tag >= nodes[node, 2]:
        return np.int64(0), np.int64(_UNSURE)
    return branches[nodes[node, 1] + tag, 0], place


@inner
def _is_text(data: Any, start: Any, stop: Any) -> bool:
    return is_ascii(data, start, stop) or is_utf8(data, start, stop)


@inner
def _put_constant(arena: Any, used: Any, capacity: Any, branches: Any, branch: Any) -> Any:
    size = branches[branch, 2]
    if used + size > capacity:
        return NO_ROOM
    copy(arena, used, arena, branches[branch, 1], size)
    return used + size


@inner
def _render(
    data: Any,
    place: Any,
    stop: Any,
    node: Any,
    column: Any,
    nodes: Any,
    branches: Any,
    entries: Any,
    arena: Any,
    state: Any,
    stack: Any,
    seen: Any,
) -> Any:
    """Write the JSON text of the value at ``place`` to the arena, or a map as entries of a column.

    Args:
        data: the messages.
        place: where the value begins.
        stop: where its message ends.
        node: its type, no union.
        column: the map column, or -1 for a text.
        nodes: see ``avro_program``.
        branches: the same.
        entries: see ``scan``.
        arena: takes the text at ``state[USED]``.
        state: see above.
        stack: int64 ``[STACK, 5]``: of each open array, map or record the kind, what is left of it,
            its node's first parameter, whether an item was written, and a map's number or
            whether an array's items take no bytes.
        seen: the keys of the row's maps.

    Returns:
        The place behind the value, ``_UNSURE``, ``NO_ROOM`` or ``_NO_ENTRY``.
    """
    base = len(data)
    capacity = len(arena) - PADDING
    used = state[USED]
    text = used
    height = 0
    number = np.int64(0)
    while True:
        kind = nodes[node, 0]
        if kind == _UNION:
            node, place = _branch(data, place, stop, node, nodes, branches)
            if place < 0:
                return _UNSURE
            kind = nodes[node, 0]
        if used + _ROOM > capacity:
            return NO_ROOM
        if kind == _STRING:
            start, place = _sized(data, place, stop)
            if place < 0:
                return _UNSURE
            used = put_string(arena, used, capacity, data, start, place)
            if used < 0:
                return used
        elif kind == _LONG:
            value, place = _varint(data, place, stop)
            if place < 0:
                return _UNSURE
            used = put_integer(arena, used, value)
        elif kind == _DOUBLE:
            if stop - place < 8:
                return _UNSURE
            used = put_double(arena, used, load64(data, place))
            if used < 0:
                return _UNSURE
            place += 8
        elif kind == _BOOLEAN:
            if place >= stop or data[place] > 1:
                return _UNSURE
            # "true" and "false" are constants at 4 and 8.
            size = 5 - np.int64(data[place])
            copy16(arena, used, arena, 4 * (size - 3))
            used += size
            place += 1
        elif kind == _NULL:
            # A null entry has no text.
            if height != 1 or column < 0:
                copy16(arena, used, arena, 0)
                used += 4
        elif kind == _FLOAT:
            if stop - place < 4:
                return _UNSURE
            used = put_double(arena, used, widened(load64(data, place)))
            if used < 0:
                return _UNSURE
            place += 4
        elif kind == _ENUM:
            symbol, place = _varint(data, place, stop)
            if place < 0 or symbol < 0 or symbol >= nodes[node, 2]:
                return _UNSURE
            used = _put_constant(arena, used, capacity, branches, nodes[node, 1] + symbol)
            if used < 0:
                return used
        elif kind == _BYTES or kind == _FIXED:
            if kind == _BYTES:
                start, place = _sized(data, place, stop)
            else:
                start = place
                place = place + nodes[node, 1] if nodes[node, 1] <= stop - place else _UNSURE
            if place < 0:
                return _UNSURE
            used = put_latin1(arena, used, capacity, data, start, place)
            if used < 0:
                return used
        else:
            # The members of a message have depth 2.
            if 2 + height > MAX_DEPTH:
                return _UNSURE
            state[SERIAL] += 1
            stack[height, 0] = kind
            stack[height, 1] = nodes[node, 2] if kind == _RECORD else 0
            stack[height, 2] = nodes[node, 1]
            stack[height, 3] = 0
            stack[height, 4] = nodes[node, 2] if kind == _ARRAY else state[SERIAL]
            if height == 0 and column >= 0:
                stack[height, 0] = _ENTRIES
            else:
                arena[used] = 91 if kind == _ARRAY else 123
                used += 1
            height += 1
        # On to the next value: the next item of what is open.
        while height > 0:
            top = height - 1
            kind = stack[top, 0]
            if kind == _ENTRIES and stack[top, 3] != 0:
                entries[column, number, 1, 0] = base + text
                entries[column, number, 1, 1] = used - text if used > text else -1
            if stack[top, 1] == 0 and kind != _RECORD:
                empty = kind == _ARRAY and stack[top, 4] != 0
                stack[top, 1], place = _block(data, place, stop, empty, state)
                if place < 0:
                    return _UNSURE
            if stack[top, 1] == 0:
                height -= 1
                if kind != _ENTRIES:
                    if used + _ROOM > capacity:
                        return NO_ROOM
                    arena[used] = 93 if kind == _ARRAY else 125
                    used += 1
                continue
            stack[top, 1] -= 1
            node = stack[top, 2]
            if kind == _ENTRIES:
                number = state[ENTRIES + column]
                if number >= entries.shape[1]:
                    return _NO_ENTRY
                start, place = _sized(data, place, stop)
                if place < 0 or not _is_text(data, start, place):
                    return _UNSURE
                if not _is_new(data, start, place, stack[top, 4], seen, state):
                    return _UNSURE
                entries[column, number, 0, 0] = start
                entries[column, number, 0, 1] = place - start
                state[ENTRIES + column] = number + 1
                stack[top, 3] = 1
                text = used
                break
            if used + _ROOM > capacity:
                return NO_ROOM
            if stack[top, 3] != 0:
                arena[used] = 44
                used += 1
            stack[top, 3] = 1
            if kind == _RECORD:
                stack[top, 2] += 1
                used = _put_constant(arena, used, capacity, branches, node)
                node = branches[node, 0]
            elif kind == _MAP:
                start, place = _sized(data, place, stop)
                if place < 0 or not _is_new(data, start, place, stack[top, 4], seen, state):
                    return _UNSURE
                used = put_string(arena, used, capacity - 1, data, start, place)
                if used >= 0:
                    arena[used] = 58
                    used += 1
            if used < 0:
                return used
            break
        if height == 0:
            state[USED] = used
            return place


@inner
def _number(data: Any, place: Any, stop: Any, kind: Any, unit: Any) -> tuple[Any, Any]:
    """An id, or a time in microseconds, and the place behind it.

    Args:
        data: the messages.
        place: where it begins.
        stop: where its message ends.
        kind: how it is written.
        unit: nanoseconds in a unit of the time; 0 for an id.
    """
    value = np.int64(-1)
    if kind == _LONG:
        value, place = _varint(data, place, stop)
    elif kind == _STRING and unit == 0:
        start, place = _sized(data, place, stop)
        if place >= 0:
            value = _decimal_id(data, start, place)
    else:
        place = _UNSURE
    if unit == 0:
        wrong = value < 0
    elif unit == 1000:
        wrong = value < MIN_TIME_US or value > MAX_TIME_US
    elif unit == 1_000_000:
        wrong = value < MIN_TIME_US // 1000 or value > MAX_TIME_US // 1000
        value = value * 1000
    else:
        wrong = unit != 1
        value = value // 1000
    return value, _UNSURE if wrong else place


@inner
def _text(
    data: Any, place: Any, stop: Any, node: Any, nodes: Any, branches: Any
) -> tuple[Any, Any]:
    """A text's span in one word, and the place behind it."""
    kind = nodes[node, 0]
    if kind == _STRING:
        start, place = _sized(data, place, stop)
        if place < 0 or not _is_text(data, start, place):
            return np.int64(0), np.int64(_UNSURE)
        return (place - start) << 32 | start, place
    if kind == _NULL:
        return np.int64(_NO_TEXT_SPAN), place
    if kind == _ENUM:
        symbol, place = _varint(data, place, stop)
        if place >= 0 and 0 <= symbol < nodes[node, 2]:
            quoted = nodes[node, 1] + symbol
            size = branches[quoted, 2] - 2
            return size << 32 | (len(data) + branches[quoted, 1] + 1), place
    return np.int64(0), np.int64(_UNSURE)


@compiled
def scan(
    data: Any,
    bounds: Any,
    ids: Any,
    programs: Any,
    steps: Any,
    nodes: Any,
    branches: Any,
    numbers: Any,
    texts: Any,
    firsts: Any,
    counts: Any,
    entries: Any,
    arena: Any,
    sure: Any,
    schema_ids: Any,
    state: Any,
    stack: Any,
    seen: Any,
) -> Any:
    """Read messages, from ``state[ROW]`` on.

    Args:
        data: their bytes, with padding behind.
        bounds: int64, where they begin and end.
        ids: int64, schema ids.
        programs: int64 ``[ids, 2]``: of each its first step and the one behind its last; or -1.
        steps: int64 ``[steps, 5]``: see ``avro_program``.
        nodes: int64 ``[nodes, 3]``: the same.
        branches: int64 ``[branches, 3]``: the same.
        numbers: int64 ``[columns, rows]``, taken.
        texts: int64 ``[rows, columns]``, taken: the start, and the size in the upper half.
        firsts: int32 ``[maps, rows]``, taken.
        counts: int32 ``[maps, rows]``, taken.
        entries: int32 ``[maps, room, 2, 2]``, taken.
        arena: bytes with padding behind, the constants at its beginning.
        sure: bool, taken.
        schema_ids: int32, taken.
        state: int64 ``[STATE]``.
        stack: int64 ``[STACK, 5]``.
        seen: int64 ``[SEEN, 4]``.

    Returns:
        ``DONE``; or what is full, with ``state[ROW]`` the row that has to be read again.
    """
    base = len(data)
    maps = len(counts)
    which = 0
    for row in range(state[ROW], len(bounds) - 1):
        state[ROW] = row
        sure[row] = False
        stop = bounds[row + 1]
        schema_id = _schema_id(data, bounds[row], stop)
        if schema_id < 0 or len(ids) == 0:
            continue
        if ids[which] != schema_id:
            for number in range(len(ids)):
                if ids[number] == schema_id:
                    which = number
        if ids[which] != schema_id or programs[which, 0] < 0:
            continue
        place = bounds[row] + _FRAME
        used = state[USED]
        state[STAMP] += 1
        state[KEYS] = 0
        state[BUDGET] = MAX_EMPTY_ITEMS
        for column in range(maps):
            firsts[column, row] = state[ENTRIES + column]
            counts[column, row] = -1
        for step in range(programs[which, 0], programs[which, 1]):
            target, column = steps[step, 0], steps[step, 1]
            if target == _TO_TEXTS:
                for text in range(column, column + steps[step, 2]):
                    if place >= stop:
                        place = _UNSURE
                        break
                    tag = np.int64(data[place])
                    if tag == steps[step, 4]:
                        place += 1
                        texts[row, text] = _NO_TEXT_SPAN
                        continue
                    if tag != steps[step, 3]:
                        place = _UNSURE
                        break
                    start, place = _sized(data, place + 1, stop)
                    if place < 0:
                        break
                    if not _is_text(data, start, place):
                        place = _UNSURE
                        break
                    texts[row, text] = (place - start) << 32 | start
                if place < 0:
                    break
                continue
            if target == _NO_TEXT:
                texts[row, column] = steps[step, 4] << 32 | (base + steps[step, 3])
                continue
            if target == _NO_NUMBER:
                numbers[column, row] = steps[step, 3]
                continue
            node, place = _branch(data, place, stop, steps[step, 2], nodes, branches)
            if place < 0:
                break
            kind = nodes[node, 0]
            if target == _TO_NUMBER:
                numbers[column, row], place = _number(data, place, stop, kind, steps[step, 3])
            elif target == _TO_TEXT:
                if kind == _NULL and steps[step, 3] != 0:
                    place = _UNSURE
                    break
                texts[row, column], place = _text(data, place, stop, node, nodes, branches)
            else:
                plane = column
                text = state[USED]
                if target == _TO_EXTRA:
                    plane = -1
                    if state[ENTRIES + column] >= entries.shape[1]:
                        place = _NO_ENTRY
                        break
                elif kind != _MAP and kind != _NULL:
                    place = _UNSURE
                    break
                if kind != _NULL:
                    place = _render(
                        data,
                        place,
                        stop,
                        node,
                        plane,
                        nodes,
                        branches,
                        entries,
                        arena,
                        state,
                        stack,
                        seen,
                    )
                if place < 0:
                    break
                if target == _TO_EXTRA:
                    number = state[ENTRIES + column]
                    size = state[USED] - text
                    state[ENTRIES + column] += 1
                    entries[column, number, 0, 0] = base + steps[step, 3]
                    entries[column, number, 0, 1] = steps[step, 4]
                    entries[column, number, 1, 0] = base + text
                    entries[column, number, 1, 1] = size if size > 0 else -1
                    counts[column, row] = state[ENTRIES + column] - firsts[column, row]
                elif kind == _MAP:
                    counts[column, row] = state[ENTRIES + column] - firsts[column, row]
            if place < 0:
                break
        if place == stop:
            sure[row] = True
            schema_ids[row] = schema_id
            continue
        state[USED] = used
        for column in range(maps):
            state[ENTRIES + column] = firsts[column, row]
        if place == NO_ROOM:
            return ARENA_FULL
        if place == _NO_ENTRY:
            return ENTRIES_FULL
    state[ROW] = len(bounds) - 1
    return DONE
