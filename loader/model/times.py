"""Numbers and times written as text: which text is one, one value at a time.

The same two patterns drive the vectorised readers in `loader.model.predicates`, so they hold only
what Python's `re` and RE2 (Arrow's engine) read alike.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

#: A JSON number (RFC 8259, section 6).
NUMBER_PATTERN: Final = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
NUMBER: Final = re.compile(NUMBER_PATTERN)

#: ISO 8601: a date, or a date and a time of day with or without an offset. Without one it is UTC.
#: Years 0001 to 9999, no leap second, at most microseconds.
TIME_PATTERN: Final = (
    r"(?P<date>[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01]))"
    r"(?:[T ](?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9])"
    r"(?::(?P<second>[0-5][0-9])(?:\.(?P<fraction>[0-9]{1,6}))?)?"
    r"(?P<zone>Z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])?)?"
)
_TIME: Final = re.compile(TIME_PATTERN)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """Microseconds since the epoch; a time without a zone is UTC."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def parse_time(text: str) -> int | None:
    """Microseconds since the epoch, or None where ``text`` is no time of `TIME_PATTERN`."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    try:
        day = datetime.fromisoformat(match["date"]).replace(tzinfo=UTC)
    except ValueError:
        return None
    clock = int(match["hour"] or 0) * 3600 + int(match["minute"] or 0) * 60
    clock += int(match["second"] or 0)
    total = micros(day) + clock * 1_000_000 + int((match["fraction"] or "0").ljust(6, "0"))
    zone = match["zone"]
    if zone and zone != "Z":
        minutes = int(zone[1:3]) * 60 + int(zone[-2:])
        total -= (1 if zone[0] == "+" else -1) * minutes * 60_000_000
    return total


def format_time(value: int) -> str:
    """``value`` microseconds since the epoch as ISO 8601 in UTC; `parse_time` reads it back.

    Empty outside the years 1 to 9999.
    """
    try:
        moment = _EPOCH + timedelta(microseconds=value)
    except OverflowError:
        return ""
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
