"""Compiled: one pass over JSON messages, straight into spans.

The grammar is RFC 8259's, and only what a message of the contract may be: an object whose members are
numbers, strings, null or, in a map and in an unknown field, any value. A message that is anything else
is not sure, and its row holds anything. Nothing here is read as it stands behind a message's end: what
is found there is thrown away when the place turns out to be beyond it.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from loader.codec.compiled import compiled, inner
from loader.codec.json_bytes import (
    BACKSLASH,
    CLOSE_OBJECT,
    COLON,
    COMMA,
    NULL,
    OPEN_LIST,
    OPEN_OBJECT,
    QUOTE,
    load32,
    signed,
    skip,
)
from loader.codec.json_fields import (
    CLEARS,
    ID,
    KIND,
    MAP,
    PLACE,
    TEXT,
    UNKNOWN,
    find,
    key_word,
)
from loader.codec.json_nested import LEFT, nested, nested_end, scalar
from loader.codec.json_numbers import identifier, moment
from loader.codec.json_strings import NO_ROOM, rewrite, string_stop
from loader.codec.primitives import is_utf8
from loader.codec.values import MAX_DEPTH

#: The planes of ``entries``: those of the contract's maps, and those of ``extra``.
OWN: Final = 0
EXTRA: Final = 1

#: The places in ``used``: entries of both planes, pending entries, bytes of the arena.
PENDING: Final = 2
ARENA: Final = 3

#: A map of more entries is left to the reference: a repeated key is looked for among all of them.
_MOST_ENTRIES: Final = 1024

#: A span of size -1.
_NO_TEXT: Final = -1 << 32
_TOP: Final = -1
_HASH: Final = np.uint64(0x9E3779B97F4A7C15)
_HASH_SHIFT: Final = np.uint64(58)


@compiled
def scan(
    source: Any,
    bounds: Any,
    first: int,
    fields: Any,
    words: Any,
    slots: Any,
    factor: Any,
    required: int,
    numbers: Any,
    texts: Any,
    firsts: Any,
    counts: Any,
    cleared: Any,
    entries: Any,
    pending: Any,
    arena: Any,
    used: Any,
    filling: Any,
    scratch: Any,
    sure: Any,
) -> int:
    """Find the values of the messages from number ``first`` on.

    Args:
        source: the messages, with padding.
        bounds: where they begin and end, as in ``Messages``.
        first: the first message to read.
        fields: see ``FieldTable``; so are ``words``, ``slots``, ``factor`` and ``required``.
        words: see there.
        slots: see there.
        factor: see there.
        required: see there.
        numbers: int64 ``[numbers, rows]``.
        texts: int64 ``[rows, texts]``, spans: the start, and the size times 2^32.
        firsts: int32 ``[maps and extra, rows]``, the first entry of each map; ``extra`` comes last.
        counts: int32 like that, entries of each map, -1 for none.
        cleared: uint8 ``[rows]``.
        entries: int64 ``[2, room, 2]``, spans of a key and of a value; ``extra`` has a plane of its own.
        pending: int64 ``[room, 3]``: row, plane and entry whose value is yet to be made canonical.
        arena: uint8, takes texts that are in no message; padded.
        used: int64 ``[4]``, how much of these three is filled; changed.
        filling: int64 ``[2]``, for the pass's own use.
        scratch: int64, for ``nested``.
        sure: bool ``[rows]``; changed.

    Returns:
        The number of the first message that was not read because there is no room left for it.
    """
    rows = len(bounds) - 1
    base = len(source)
    maps = len(counts)
    room = entries.shape[1]
    arena_room = len(arena) - 32

    for row in range(first, rows):
        place, end = bounds[row], bounds[row + 1]
        for column in range(texts.shape[1]):
            texts[row, column] = _NO_TEXT
        for column in range(maps):
            counts[column, row] = -1
        filling[OWN], filling[EXTRA] = used[OWN], used[EXTRA]
        waiting, written = used[PENDING], used[ARENA]
        first_extra, first_entry = filling[EXTRA], filling[OWN]
        seen, filled, marks = 0, 0, 0
        inside = _TOP
        own_keys, extra_keys = 0, 0
        good = False
        full = False
        place = skip(source, place, end)
        opened = place < end and source[place] == OPEN_OBJECT
        place = skip(source, place + 1, end) if opened else end
        while place < end and source[place] == QUOTE:
            # A key.
            start = place + 1
            stop, high = string_stop(source, start)
            if stop >= end:
                break
            field = UNKNOWN
            if source[stop] == QUOTE:
                key, size = start, stop - start
                if high != 0 and not is_utf8(source, start, stop):
                    break
                place = stop + 1
                if inside == _TOP:
                    field = find(source, start, size, fields, words, slots, factor)
                hashed = key_word(source, start, size)
            elif source[stop] == BACKSLASH:
                place, after = rewrite(source, start, end, arena, arena_room, written, False)
                if place < 0:
                    full = place == NO_ROOM
                    break
                key, size = base + written, after - written
                if inside == _TOP:
                    field = find(arena, written, size, fields, words, slots, factor)
                hashed = key_word(arena, written, size)
                written = after
            else:
                break
            place = skip(source, place, end)
            if place >= end or source[place] != COLON:
                break
            place = skip(source, place + 1, end)
            if place >= end:
                break
            byte = source[place]
            if field >= 0:
                # A field of the contract.
                bit = 1 << field
                if seen & bit:
                    break
                seen |= bit
                kind, column = fields[field, KIND], fields[field, PLACE]
                if load32(source, place) == NULL:
                    marks |= fields[field, CLEARS]
                    place += 4
                elif kind == TEXT:
                    if byte != QUOTE:
                        break
                    start = place + 1
                    stop, high = string_stop(source, start)
                    if stop >= end:
                        break
                    if source[stop] == QUOTE:
                        if high != 0 and not is_utf8(source, start, stop):
                            break
                        texts[row, column] = start | (stop - start) << 32
                        place = stop + 1
                    elif source[stop] == BACKSLASH:
                        place, after = rewrite(
                            source, start, end, arena, arena_room, written, False
                        )
                        if place < 0:
                            full = place == NO_ROOM
                            break
                        texts[row, column] = (base + written) | (after - written) << 32
                        written = after
                    else:
                        break
                    filled |= bit
                elif kind == MAP:
                    if byte != OPEN_OBJECT:
                        break
                    firsts[column, row] = filling[OWN]
                    counts[column, row] = 0
                    place = skip(source, place + 1, end)
                    if place >= end:
                        break
                    if source[place] != CLOSE_OBJECT:
                        inside = column
                        own_keys = 0
                        first_entry = filling[OWN]
                        continue
                    place += 1
                else:
                    if kind == ID:
                        place, value = identifier(source, place)
                    else:
                        place, value = moment(source, place)
                    if place < 0:
                        break
                    numbers[column, row] = value
                    filled |= bit
            else:
                # An entry of a map, or an unknown field.
                plane = EXTRA if inside == _TOP else OWN
                since = first_extra if inside == _TOP else first_entry
                entry = filling[plane]
                if entry >= room or waiting >= len(pending):
                    full = True
                    break
                flag = 1 << signed((hashed + np.uint64(size)) * _HASH >> _HASH_SHIFT)
                keys = extra_keys if inside == _TOP else own_keys
                if keys & flag and (
                    entry - since > _MOST_ENTRIES
                    or _is_there(source, arena, entries, plane, since, entry, key, size)
                ):
                    break
                if inside == _TOP:
                    extra_keys |= flag
                else:
                    own_keys |= flag
                entries[plane, entry, 0] = key | size << 32
                start = place
                if byte == QUOTE:
                    stop, high = string_stop(source, start + 1)
                    if stop >= end:
                        break
                    if source[stop] == QUOTE:
                        if high != 0 and not is_utf8(source, start, stop):
                            break
                        place = stop + 1
                        entries[plane, entry, 1] = start | (place - start) << 32
                    elif source[stop] == BACKSLASH:
                        place, after = rewrite(
                            source, start + 1, end, arena, arena_room, written, True
                        )
                        if place < 0:
                            full = place == NO_ROOM
                            break
                        entries[plane, entry, 1] = (base + written) | (after - written) << 32
                        written = after
                    else:
                        break
                else:
                    limit = MAX_DEPTH + 1 - (2 if inside == _TOP else 3)
                    place, span, written, canonical = _other(
                        source, place, end, arena, arena_room, written, limit, scratch
                    )
                    if place < 0 or place >= end:
                        full = place == NO_ROOM
                        break
                    entries[plane, entry, 1] = span
                    if not canonical:
                        pending[waiting, 0] = row
                        pending[waiting, 1] = plane
                        pending[waiting, 2] = entry
                        waiting += 1
                filling[plane] = entry + 1
            # What follows a value.
            place = skip(source, place, end)
            if place >= end:
                break
            byte = source[place]
            if byte == CLOSE_OBJECT and inside != _TOP:
                counts[inside, row] = filling[OWN] - firsts[inside, row]
                inside = _TOP
                place = skip(source, place + 1, end)
                if place >= end:
                    break
                byte = source[place]
            if byte == COMMA:
                place = skip(source, place + 1, end)
            else:
                good = (
                    byte == CLOSE_OBJECT
                    and inside == _TOP
                    and skip(source, place + 1, end) == end
                    and filled & required == required
                )
                break
        if full:
            return row
        sure[row] = good
        if good:
            if filling[EXTRA] > first_extra:
                firsts[maps - 1, row] = first_extra
                counts[maps - 1, row] = filling[EXTRA] - first_extra
            cleared[row] = marks
            used[OWN], used[EXTRA] = filling[OWN], filling[EXTRA]
            used[PENDING], used[ARENA] = waiting, written
    return rows


@inner
def _is_there(
    source: Any,
    arena: Any,
    entries: Any,
    plane: int,
    since: int,
    until: int,
    key: int,
    size: int,
) -> bool:
    """True if one of some entries has this key."""
    base = len(source)
    for entry in range(since, until):
        span = entries[plane, entry, 0]
        if span >> 32 != size:
            continue
        other = span & 0x7FFFFFFF
        same = True
        for step in range(size):
            byte = source[key + step] if key < base else arena[key - base + step]
            if byte != (source[other + step] if other < base else arena[other - base + step]):
                same = False
                break
        if same:
            return True
    return False


@inner
def _other(
    source: Any, place: int, end: int, arena: Any, room: int, used: int, limit: int, scratch: Any
) -> tuple[int, int, int, bool]:
    """A value that is no string.

    Returns:
        The place behind it, which may be beyond the message, or ``REFUSED`` or ``NO_ROOM``; the span of
        its text; the new ``used``; and whether that text is canonical.
    """
    start = place
    byte = source[place]
    if byte == OPEN_OBJECT or byte == OPEN_LIST:
        place, after, same = nested(source, start, end, arena, room, used, limit, scratch)
        if place == LEFT:
            place = nested_end(source, start, end)
            return place, start | (place - start) << 32, used, False
        if same or place < 0:
            return place, start | (place - start) << 32, used, True
        return place, (len(source) + used) | (after - used) << 32, after, True
    if load32(source, place) == NULL:
        return place + 4, _NO_TEXT, used, True
    place, start, stop, canonical = scalar(source, place)
    return place, start | (stop - start) << 32, used, canonical
