"""Compiled: objects and lists inside a property, copied as canonical JSON text.

What is rare is left to Python: a number that is not written as ``repr`` writes it, a key that is
repeated, very many keys. Then only the end of the value is found.
"""

from __future__ import annotations

from typing import Any, Final

from loader.codec.compiled import inner
from loader.codec.json_bytes import (
    BACKSLASH,
    BLOCK,
    CLOSE_LIST,
    CLOSE_OBJECT,
    COLON,
    COMMA,
    FALS,
    NULL,
    OPEN_LIST,
    OPEN_OBJECT,
    QUOTE,
    TRUE,
    E,
    load32,
    lowest,
    marks,
    skip,
)
from loader.codec.json_numbers import number
from loader.codec.json_strings import NO_ROOM, REFUSED, rewrite, string_stop
from loader.codec.primitives import copy, is_utf8
from loader.codec.values import MAX_DEPTH

#: Instead of a place: Python must say what the canonical text is.
LEFT: Final = -3


@inner
def nested(
    source: Any, start: int, end: int, arena: Any, room: int, used: int, limit: int, scratch: Any
) -> tuple[int, int, bool]:
    """Write an object or a list into ``arena[used:room]``.

    Args:
        source: holds the value.
        start: where it begins.
        end: of the message.
        arena: takes the text; it has padding behind ``room``.
        room: where it ends.
        used: where to begin.
        limit: how deep the value may be nested, itself included; at most 63.
        scratch: int64 ``[more than limit + 1]``: takes how many keys are open at each depth, then the
            spans of these keys.

    Returns:
        The place behind it, or ``REFUSED``, ``NO_ROOM`` or ``LEFT``; the new ``used``; and whether the
        text is the one in the message, byte for byte.
    """
    if room - used < end - start:
        return NO_ROOM, used, False
    begin = used
    place = start
    same = True
    depth, objects, keys = 0, 0, limit + 1
    while True:
        if objects >> depth & 1:
            key = used
            place, used, plain = _string(source, place, end, arena, used)
            if place < 0:
                return place, used, False
            same = same and plain
            if keys == len(scratch) or _is_there(
                arena, scratch, scratch[depth], keys, key, used - key
            ):
                return LEFT, used, False
            scratch[keys] = key | (used - key) << 32
            keys += 1
            place = skip(source, place, end)
            if place >= end or source[place] != COLON:
                return REFUSED, used, False
            place = skip(source, place + 1, end)
            arena[used] = COLON
            used += 1
        if place >= end:
            return REFUSED, used, False
        byte = source[place]
        if byte == OPEN_OBJECT or byte == OPEN_LIST:
            depth += 1
            if depth > limit:
                return REFUSED, used, False
            arena[used] = byte
            used += 1
            scratch[depth] = keys
            objects &= ~(1 << depth)
            close = CLOSE_LIST
            if byte == OPEN_OBJECT:
                objects |= 1 << depth
                close = CLOSE_OBJECT
            place = skip(source, place + 1, end)
            if place >= end or source[place] != close:
                continue
        elif byte == QUOTE:
            place, used, plain = _string(source, place, end, arena, used)
            same = same and plain
        else:
            place, first, stop, canonical = scalar(source, place)
            if place >= 0 and not canonical:
                return LEFT, used, False
            if place >= 0 and place < end:
                copy(arena, used, source, first, stop - first)
                used += stop - first
        if place < 0:
            return place, used, False
        while depth > 0:
            place = skip(source, place, end)
            if place >= end:
                return REFUSED, used, False
            byte = source[place]
            arena[used] = byte
            used += 1
            place += 1
            if byte == COMMA:
                place = skip(source, place, end)
                break
            if byte != (CLOSE_OBJECT if objects >> depth & 1 else CLOSE_LIST):
                return REFUSED, used, False
            keys = scratch[depth]
            depth -= 1
        if depth == 0:
            return place, used, same and used - begin == place - start


@inner
def _string(source: Any, place: int, end: int, arena: Any, used: int) -> tuple[int, int, bool]:
    """Write a string with its quotes; returns as ``nested``."""
    if place >= end or source[place] != QUOTE:
        return REFUSED, used, False
    stop, high = string_stop(source, place + 1)
    if stop >= end:
        return REFUSED, used, False
    if source[stop] == QUOTE:
        if high != 0 and not is_utf8(source, place + 1, stop):
            return REFUSED, used, False
        copy(arena, used, source, place, stop + 1 - place)
        return stop + 1, used + stop + 1 - place, True
    if source[stop] != BACKSLASH:
        return REFUSED, used, False
    # There is room: what is written is never longer than what was read.
    place, used = rewrite(source, place + 1, end, arena, len(arena), used, True)
    return place, used, False


@inner
def _is_there(arena: Any, scratch: Any, since: int, until: int, key: int, size: int) -> bool:
    """True if one of the keys ``scratch[since:until]`` is ``arena[key:key + size]``."""
    for place in range(since, until):
        if scratch[place] >> 32 != size:
            continue
        other = scratch[place] & 0x7FFFFFFF
        step = 0
        while step < size and arena[other + step] == arena[key + step]:
            step += 1
        if step == size:
            return True
    return False


@inner
def scalar(source: Any, place: int) -> tuple[int, int, int, bool]:
    """A number, true, false or null.

    Returns:
        The place behind it, which may be beyond the message, or ``REFUSED``; from where to where its
        canonical text stands in the message; and whether it does.
    """
    word = load32(source, place)
    if word == NULL or word == TRUE:
        return place + 4, place, place + 4, True
    if word == FALS:
        if source[place + 4] != E:
            return REFUSED, place, place, False
        return place + 5, place, place + 5, True
    return number(source, place)


@inner
def nested_end(source: Any, place: int, end: int) -> int:
    """The place behind the object or list that begins at ``place``; what is in it is not judged."""
    depth = 0
    while place < end:
        found = marks(source, place)
        if found == 0:
            place += BLOCK
            continue
        place += lowest(found)
        if place >= end:
            break
        byte = source[place]
        place += 1
        if byte == QUOTE:
            place, _ = string_stop(source, place)
            while place + 2 < end and source[place] == BACKSLASH:
                place, _ = string_stop(source, place + 2)
            if place >= end or source[place] != QUOTE:
                break
            place += 1
        elif byte == OPEN_OBJECT or byte == OPEN_LIST:
            depth += 1
            if depth > MAX_DEPTH:
                break
        else:
            depth -= 1
            if depth == 0:
                return place
    return REFUSED
