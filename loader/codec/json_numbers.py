"""Compiled: JSON numbers, ids and times."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from loader.codec.compiled import inner
from loader.codec.json_bytes import COLON, DOT, MINUS, NINE, QUOTE, ZERO, E, digits_at, signed
from loader.codec.json_strings import REFUSED
from loader.codec.primitives import load64
from loader.codec.values import MAX_INTEGER_DIGITS, MAX_TIME_US, MIN_TIME_US
from loader.model.events import MAX_ID

#: A decimal of so many significant digits is the shortest text of its double (IEEE 754: DBL_DIG).
_EXACT_DIGITS: Final = 15

_SECOND: Final = 1_000_000
_DAY: Final = 86_400 * _SECOND
_Z: Final = 0x5A
_PLUS: Final = 0x2B

# What "YYYY-MM-", "DDThh:mm" and ":ss" hold where there is no digit.
_DATE: Final = np.uint64(int.from_bytes(b"\0\0\0\0-\0\0-", "little"))
_DATE_AT: Final = np.uint64(int.from_bytes(b"\0\0\0\0\xff\0\0\xff", "little"))
_CLOCK: Final = np.uint64(int.from_bytes(b"\0\0T\0\0:\0\0", "little"))
_CLOCK_AT: Final = np.uint64(int.from_bytes(b"\0\0\xff\0\0\xff\0\0", "little"))
_SECONDS: Final = np.uint64(int.from_bytes(b":\0\0", "little"))
_SECONDS_AT: Final = np.uint64(0xFF)
_SECONDS_LEFT: Final = np.uint64(0xFFFFFFFFFF000000)

_SIXES: Final = np.uint64(0x0606060606060606)
_HIGH_HALVES: Final = np.uint64(0xF0F0F0F0F0F0F0F0)
_LOW_HALVES: Final = np.uint64(0x0F0F0F0F0F0F0F0F)
_ZEROS: Final = np.uint64(0x3030303030303030)
_FOUR_ZEROS: Final = np.uint64(0x30303030)
_TEN: Final = np.uint64(10)
_BYTE: Final = np.uint64(8)
_NOT_A_DATE: Final = -1


@inner
def integer(source: Any, place: int) -> tuple[int, int]:
    """An integer of at most 19 digits, in 0 .. 2^63-1, without leading zeros.

    Returns:
        The place behind it, which may be beyond the message, or ``REFUSED``; and the integer.
    """
    count = digits_at(source, place)
    if count == 0 or (count > 1 and source[place] == ZERO):
        return REFUSED, 0
    if count <= 8:
        value = _few_digits(source, place, count)
    else:
        value = _few_digits(source, place, count - 8) * 100_000_000
        value += _few_digits(source, place + count - 8, 8)
    place += count
    if count == 16:
        while ZERO <= source[place] <= NINE:
            digit = signed(source[place]) - ZERO
            if value > (MAX_ID - digit) // 10:
                return REFUSED, 0
            value = value * 10 + digit
            place += 1
    return place, value


@inner
def _few_digits(source: Any, place: int, count: int) -> int:
    """The number that ``count`` digits, 1 to 8 of them, write."""
    # Zeros in front: then it is eight digits, added up in three steps.
    word = load64(source, place) << np.uint64(64 - 8 * count)
    word &= _LOW_HALVES
    word = word * np.uint64(2561) >> np.uint64(8)
    word = (word & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601) >> np.uint64(16)
    word = (word & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001) >> np.uint64(32)
    return signed(word)


@inner
def number(source: Any, place: int) -> tuple[int, int, int, bool]:
    """A JSON number.

    Returns:
        The place behind it, which may be beyond the message, or ``REFUSED``; from where to where its
        canonical text stands in the message, without a minus before zero and zeros that end a fraction;
        and whether it does.
    """
    start = place
    if source[place] == MINUS:
        place += 1
    first = place
    place = _digits_end(source, place)
    whole = place - first
    zero = source[first] == ZERO
    if whole == 0 or (zero and whole > 1):
        return REFUSED, start, start, False
    byte = source[place]
    if byte != DOT and byte | 0x20 != E:
        if place - start > MAX_INTEGER_DIGITS:
            return REFUSED, start, start, False
        return place, (first if zero else start), place, True
    stop = place
    canonical = False
    if byte == DOT:
        point = place
        place = _digits_end(source, place + 1)
        if place == point + 1:
            return REFUSED, start, start, False
        stop = place
        while stop > point + 2 and source[stop - 1] == ZERO:
            stop -= 1
        decimals = stop - point - 1
        canonical = decimals + (0 if zero else whole) <= _EXACT_DIGITS
        if zero and decimals > 4:
            # Below 0.0001 repr writes an exponent.
            canonical &= load64(source, point + 1) & np.uint64(0xFFFFFFFF) != _FOUR_ZEROS
        byte = source[place]
    if byte | 0x20 == E:
        canonical = False
        place += 1
        if source[place] == MINUS or source[place] == _PLUS:
            place += 1
        exponent = place
        place = _digits_end(source, place)
        if place == exponent:
            return REFUSED, start, start, False
    if not canonical:
        stop = place
    return place, start, stop, canonical


@inner
def _digits_end(source: Any, place: int) -> int:
    while True:
        count = digits_at(source, place)
        place += count
        if count < 16:
            return place


@inner
def identifier(source: Any, place: int) -> tuple[int, int]:
    """An id, as digits or as digits in quotes; returns as ``integer``."""
    if source[place] != QUOTE:
        return integer(source, place)
    place, value = integer(source, place + 1)
    if place < 0 or source[place] != QUOTE:
        return REFUSED, 0
    return place + 1, value


@inner
def moment(source: Any, place: int) -> tuple[int, int]:
    """A time, as microseconds or as ISO 8601 text in quotes.

    Returns:
        The place behind it, which may be beyond the message, or ``REFUSED``; and the microseconds since
        the epoch.
    """
    if source[place] == QUOTE:
        place, micros = _iso(source, place + 1)
    elif source[place] == MINUS:
        place, micros = integer(source, place + 1)
        micros = -micros
        if micros == 0:
            return REFUSED, 0
    else:
        place, micros = integer(source, place)
    if micros < MIN_TIME_US or micros > MAX_TIME_US:
        return REFUSED, 0
    return place, micros


@inner
def _iso(source: Any, place: int) -> tuple[int, int]:
    """ISO 8601 text up to its closing quote; returns as ``moment``."""
    date = _pairs(load64(source, place), _DATE, _DATE_AT)
    clock = _pairs(load64(source, place + 8), _CLOCK, _CLOCK_AT)
    ending = load64(source, place + 16) & ~_SECONDS_LEFT
    ending = _pairs(ending | (_ZEROS & _SECONDS_LEFT), _SECONDS, _SECONDS_AT)
    if date < 0 or clock < 0 or ending < 0:
        return REFUSED, 0
    day = _days((date & 0xFF) * 100 + (date >> 16 & 0xFF), date >> 40 & 0xFF, clock & 0xFF)
    hour, minute, second = clock >> 24 & 0xFF, clock >> 48 & 0xFF, ending >> 8 & 0xFF
    if day == _NO_DAY or hour > 23 or minute > 59 or second > 59:
        return REFUSED, 0
    micros = day * _DAY + ((hour * 60 + minute) * 60 + second) * _SECOND
    place += 19
    if source[place] == DOT:
        stop = _digits_end(source, place + 1)
        if stop == place + 1:
            return REFUSED, 0
        unit = _SECOND // 10
        for step in range(place + 1, min(stop, place + 7)):
            micros += (signed(source[step]) - ZERO) * unit
            unit //= 10
        place = stop
    return _offset(source, place, micros)


@inner
def _offset(source: Any, place: int, micros: int) -> tuple[int, int]:
    """``Z`` or the distance from UTC, and the closing quote; ``micros`` in UTC."""
    sign = 0
    if source[place] != _Z:
        sign = 1 if source[place] == _PLUS else -1
        if sign < 0 and source[place] != MINUS:
            return REFUSED, 0
        if digits_at(source, place + 1) != 2 or digits_at(source, place + 4) != 2:
            return REFUSED, 0
        hours, minutes = _few_digits(source, place + 1, 2), _few_digits(source, place + 4, 2)
        if source[place + 3] != COLON or hours > 23 or minutes > 59:
            return REFUSED, 0
        micros -= sign * (hours * 60 + minutes) * 60 * _SECOND
    place += 1 if sign == 0 else 6
    if source[place] != QUOTE:
        return REFUSED, 0
    return place + 1, micros


@inner
def _pairs(word: Any, other: Any, other_at: Any) -> int:
    """Eight characters, digits but for ``other``: in each byte of the result the two digits from there.

    Returns:
        That, or a negative number if a character is not as it should be.
    """
    if word & other_at != other:
        return _NOT_A_DATE
    word = (word & ~other_at) | (_ZEROS & other_at)
    # A digit's upper half is 3, and stays 3 when 6 is added.
    if word & _HIGH_HALVES != _ZEROS or (word + _SIXES) & _HIGH_HALVES != _ZEROS:
        return _NOT_A_DATE
    word &= _LOW_HALVES
    # The last byte has no digit behind it: without it the result is not negative.
    return signed((word * _TEN + (word >> _BYTE)) & np.uint64(0x00FFFFFFFFFFFFFF))


#: No day: further away than any.
_NO_DAY: Final = 1 << 40


@inner
def _days(year: int, month: int, day: int) -> int:
    """Days from the epoch to a date of the years 0 .. 9999, or ``_NO_DAY`` if there is none."""
    if year < 1 or month < 1 or month > 12 or day < 1:
        return _NO_DAY
    last = 30 + ((month + (month >> 3)) & 1)
    if month == 2:
        leap = (year & 3) == 0 and (year % 100 != 0 or year % 400 == 0)
        last = 29 if leap else 28
    if day > last:
        return _NO_DAY
    # Years begin in March, so that the leap day is a year's last.
    if month <= 2:
        year -= 1
        month += 12
    return (
        year * 365 + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day
    ) - 719469
