"""ISO 8601 text to microseconds, a column at a time.

Accepts a subset of what ``values.time_us`` accepts, with the same result; the rest is left to that.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

_DAYS_BEFORE_EPOCH: Final = 719_468  # from 0000-03-01 to 1970-01-01
_MONTH_DAYS: Final = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_FRACTION_AT: Final = 20
_MAX_FRACTION: Final = 9


def parse_iso(
    data: Bytes, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Parse many texts that lie in one buffer.

    Args:
        data: the bytes of all texts.
        starts: where each text starts.
        lengths: how long each text is.

    Returns:
        Microseconds since the epoch, and the mask of the texts that were understood (the others'
        number means nothing).
    """
    micros = np.zeros(len(starts), np.int64)
    good = np.zeros(len(starts), np.bool_)
    for zone in (1, 6):
        for fraction in (0, *range(1, _MAX_FRACTION + 1)):
            size = 19 + (fraction + 1 if fraction else 0) + zone
            at = np.flatnonzero(lengths == size)
            if len(at) == 0:
                continue
            texts = data[starts[at][:, None] + np.arange(size)]
            value, ok = _parse_matrix(texts, fraction, zone)
            at, value = at[ok], value[ok]
            micros[at] = value
            good[at] = True
    return micros, good


def _parse_matrix(
    texts: Bytes, fraction: int, zone: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Parse texts of one layout: a matrix with one text a row."""
    ok = np.ones(len(texts), np.bool_)

    def literal(at: int, characters: bytes) -> None:
        nonlocal ok
        ok &= np.isin(texts[:, at], np.frombuffer(characters, np.uint8))

    def number(at: int, size: int) -> npt.NDArray[np.int64]:
        nonlocal ok
        total = np.zeros(len(texts), np.int64)
        for place in range(at, at + size):
            digit = texts[:, place] - np.uint8(ord("0"))  # wraps around for smaller bytes
            ok &= digit <= 9
            total = total * 10 + digit
        return total

    year, month, day = number(0, 4), number(5, 2), number(8, 2)
    hour, minute, second = number(11, 2), number(14, 2), number(17, 2)
    for at, character in ((4, b"-"), (7, b"-"), (10, b"T"), (13, b":"), (16, b":")):
        literal(at, character)
    micro = np.zeros(len(texts), np.int64)
    if fraction:
        literal(19, b".")
        used = min(fraction, 6)
        micro = number(_FRACTION_AT, used) * 10 ** (6 - used)
        number(_FRACTION_AT + used, fraction - used)
    offset = np.zeros(len(texts), np.int64)
    end = texts.shape[1] - zone
    if zone == 1:
        literal(end, b"Z")
    else:
        literal(end, b"+-")
        literal(end + 3, b":")
        hours, minutes = number(end + 1, 2), number(end + 4, 2)
        ok &= (hours <= 23) & (minutes <= 59)
        offset = (hours * 60 + minutes) * np.where(texts[:, end] == ord("-"), -1, 1)
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    ok &= (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    ok &= day <= _MONTH_DAYS[np.where(ok, month, 0)] + (leap & (month == 2))
    ok &= (hour <= 23) & (minute <= 59) & (second <= 59)
    seconds = _days(year, month, day) * 86_400 + (hour * 60 + minute - offset) * 60 + second
    return seconds * 1_000_000 + micro, ok


def _days(
    year: npt.NDArray[np.int64], month: npt.NDArray[np.int64], day: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Days since the epoch in the proleptic Gregorian calendar, counting years from March."""
    year = year - (month <= 2)
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    days: npt.NDArray[np.int64] = era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100
    return days + of_year - _DAYS_BEFORE_EPOCH
