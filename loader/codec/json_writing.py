"""Compiled: JSON text of strings and integers, by the rules of ``loader.codec.values``.

Each function writes to ``to[at:]`` and returns the place behind what it wrote.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from loader.codec.compiled import inner
from loader.codec.doubles import digit_count, put_digits
from loader.codec.primitives import copy, is_utf8, load64

#: Instead of a place: the bytes are not UTF-8, or there is no room for the text.
NOT_UTF8: Final = -1
NO_ROOM: Final = -2

#: The longest text of an integer of 64 bits, and what it may write behind it.
MAX_INTEGER_TEXT: Final = 20

_ONES: Final = np.uint64(0x0101010101010101)
_HIGH: Final = np.uint64(0x8080808080808080)
_SPACES: Final = np.uint64(0x2020202020202020)
_QUOTES: Final = np.uint64(0x2222222222222222)
_BACKSLASHES: Final = np.uint64(0x5C5C5C5C5C5C5C5C)

#: For each byte below 0x20 the letter of its short escape, or 0.
_LETTERS: Final = np.zeros(32, np.uint8)
_LETTERS[[0x08, 0x09, 0x0A, 0x0C, 0x0D]] = np.frombuffer(b"btnfr", np.uint8)


@inner
def is_plain(data: Any, start: Any, stop: Any) -> bool:
    """True if ``data[start:stop]`` is ASCII that a JSON string holds as it is.

    Reads up to seven bytes behind ``stop``.
    """
    found = np.uint64(0)
    place = start
    while place < stop:
        word = load64(data, place)
        left = stop - place
        if left < 8:
            mask = (np.uint64(1) << np.uint64(8 * left)) - np.uint64(1)
            word = (word & mask) | (_SPACES & ~mask)
        quotes = word ^ _QUOTES
        slashes = word ^ _BACKSLASHES
        found |= word | ((word - _SPACES) & ~word)
        found |= ((quotes - _ONES) & ~quotes) | ((slashes - _ONES) & ~slashes)
        place += 8
    return bool((found & _HIGH) == np.uint64(0))


@inner
def put_string(to: Any, at: Any, capacity: Any, data: Any, start: Any, stop: Any) -> Any:
    """``data[start:stop]`` as a JSON string.

    Args:
        to: bytes, with padding behind ``capacity``.
        at: where to write.
        capacity: the text must end before it.
        data: bytes, with padding behind.
        start: where the string's own bytes begin.
        stop: where they end.

    Returns:
        The place behind, ``NOT_UTF8`` or ``NO_ROOM``.
    """
    if at + stop - start + 2 > capacity:
        return NO_ROOM
    if is_plain(data, start, stop):
        to[at] = 34
        copy(to, at + 1, data, start, stop - start)
        end = at + 1 + stop - start
        to[end] = 34
        return end + 1
    if not is_utf8(data, start, stop):
        return NOT_UTF8
    if at + 6 * (stop - start) + 2 > capacity:
        return NO_ROOM
    to[at] = 34
    at += 1
    for place in range(start, stop):
        at = put_escaped(to, at, np.int64(data[place]))
    to[at] = 34
    return at + 1


@inner
def put_latin1(to: Any, at: Any, capacity: Any, data: Any, start: Any, stop: Any) -> Any:
    """``data[start:stop]`` as a JSON string of one character a byte, U+0000 .. U+00FF."""
    if at + 6 * (stop - start) + 2 > capacity:
        return NO_ROOM
    to[at] = 34
    at += 1
    for place in range(start, stop):
        byte = np.int64(data[place])
        if byte >= 0x80:
            to[at] = 0xC0 | byte >> 6
            to[at + 1] = 0x80 | byte & 0x3F
            at += 2
        else:
            at = put_escaped(to, at, byte)
    to[at] = 34
    return at + 1


@inner
def put_escaped(to: Any, at: Any, byte: Any) -> Any:
    """One byte of a JSON string, escaped where it must be."""
    if byte >= 0x20 and byte not in (34, 92):
        to[at] = byte
        return at + 1
    to[at] = 92
    if byte >= 0x20:
        to[at + 1] = byte
        return at + 2
    if _LETTERS[byte] != 0:
        to[at + 1] = _LETTERS[byte]
        return at + 2
    to[at + 1], to[at + 2], to[at + 3] = 117, 48, 48
    low = byte & 15
    to[at + 4] = 48 + (byte >> 4)
    to[at + 5] = 48 + low if low < 10 else 55 + low
    return at + 6


@inner
def put_integer(to: Any, at: Any, value: Any) -> Any:
    """An int64, at most ``MAX_INTEGER_TEXT`` bytes."""
    amount = np.uint64(value)
    if value < 0:
        to[at] = 45
        at += 1
        amount = np.uint64(0) - amount
    return put_digits(to, at, amount, digit_count(amount))
