"""Compiled: the end of a JSON string, and strings with escapes written anew."""

from __future__ import annotations

from typing import Any, Final

from loader.codec.compiled import inner
from loader.codec.json_bytes import (
    BACKSLASH,
    BLOCK,
    QUOTE,
    lowest,
    signed,
    stops,
    wide,
)
from loader.codec.json_writing import put_escaped
from loader.codec.primitives import copy, is_utf8

#: Instead of a place: the message is not what it should be, or nothing that this code is for.
REFUSED: Final = -1
#: Instead of a place: the arena has no room for what is left of the message.
NO_ROOM: Final = -2

_SLASH: Final = 0x2F


@inner
def string_stop(source: Any, place: int) -> tuple[int, int]:
    """The first quote, backslash or control character from ``place`` on, wherever it stands.

    Returns:
        Its place, and something other than 0 if a byte before it is not ASCII.
    """
    high = 0
    while True:
        found = stops(source, place)
        if found != 0:
            size = lowest(found)
            return place + size, high | (wide(source, place) & ((1 << size) - 1))
        high |= wide(source, place)
        place += BLOCK


@inner
def rewrite(
    source: Any, start: int, end: int, arena: Any, room: int, used: int, quoted: bool
) -> tuple[int, int]:
    r"""Write a string with escapes into ``arena[used:room]``.

    Args:
        source: holds the string.
        start: the first byte inside its quotes.
        end: of the message.
        arena: takes the text; it has padding behind ``room``.
        room: where it ends.
        used: where to begin.
        quoted: true for canonical JSON text (``\"``, ``\n``, ``\u001B``, the quotes too), false for the
            text itself. Neither is longer than the string was with its quotes.

    Returns:
        The place behind the closing quote, or ``REFUSED`` or ``NO_ROOM``; and the new ``used``.
    """
    if room - used < end - start + 2:
        return NO_ROOM, used
    if quoted:
        arena[used] = QUOTE
        used += 1
    place = start
    while place < end:
        stop, _ = string_stop(source, place)
        if stop + 1 >= end:
            break
        copy(arena, used, source, place, stop - place)
        used += stop - place
        if source[stop] == QUOTE:
            if not is_utf8(source, start, stop):
                break
            if quoted:
                arena[used] = QUOTE
                used += 1
            return stop + 1, used
        if source[stop] != BACKSLASH:
            break
        place, code = _escape(source, stop + 1, end)
        if place < 0:
            break
        used = _write(arena, used, code, quoted)
    return REFUSED, used


@inner
def _escape(source: Any, place: int, end: int) -> tuple[int, int]:
    """The place behind an escape whose backslash is before ``place``, or ``REFUSED``; its code point."""
    byte = source[place]
    if byte != 0x75:
        code = REFUSED
        if byte == QUOTE or byte == BACKSLASH or byte == _SLASH:
            code = signed(byte)
        elif byte == 0x62:
            code = 0x08
        elif byte == 0x66:
            code = 0x0C
        elif byte == 0x6E:
            code = 0x0A
        elif byte == 0x72:
            code = 0x0D
        elif byte == 0x74:
            code = 0x09
        return (place + 1 if code >= 0 else REFUSED), code
    code = _hex(source, place + 1, end)
    place += 5
    if code < 0xD800 or code > 0xDFFF:
        return (place if code >= 0 else REFUSED), code
    if code > 0xDBFF or place + 1 >= end:
        return REFUSED, code
    if source[place] != BACKSLASH or source[place + 1] != 0x75:
        return REFUSED, code
    low = _hex(source, place + 2, end)
    if low < 0xDC00 or low > 0xDFFF:
        return REFUSED, code
    return place + 6, 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)


@inner
def _hex(source: Any, place: int, end: int) -> int:
    """Four hexadecimal digits, or ``REFUSED``."""
    if place + 4 > end:
        return REFUSED
    code = 0
    for step in range(4):
        byte = signed(source[place + step])
        if 0x30 <= byte <= 0x39:
            digit = byte - 0x30
        elif 0x41 <= (byte & 0xDF) <= 0x46:
            digit = (byte & 0xDF) - 0x37
        else:
            return REFUSED
        code = code << 4 | digit
    return code


@inner
def _write(arena: Any, used: int, code: int, quoted: bool) -> int:
    """Write one code point, as a character of canonical JSON if ``quoted``; returns the new ``used``."""
    if code >= 0x80:
        return _write_wide(arena, used, code)
    if quoted:
        return signed(put_escaped(arena, used, code))
    arena[used] = code
    return used + 1


@inner
def _write_wide(arena: Any, used: int, code: int) -> int:
    """Write a code point of more than one byte in UTF-8."""
    if code < 0x800:
        arena[used] = 0xC0 | (code >> 6)
        size = 2
    elif code < 0x10000:
        arena[used] = 0xE0 | (code >> 12)
        size = 3
    else:
        arena[used] = 0xF0 | (code >> 18)
        size = 4
    for step in range(1, size):
        arena[used + step] = 0x80 | ((code >> (6 * (size - 1 - step))) & 0x3F)
    return used + size
