"""Dates and times in COPY's format strings (AWS docs: DATEFORMAT and TIMEFORMAT strings).

``auto`` knows the forms that AWS lists for it. Results are days or microseconds since 1970, in UTC.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache

_UTC = dt.UTC
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=_UTC)
_DAY_ONE = _EPOCH.date().toordinal()
_PIECES = {
    "YYYY": r"(?P<year>\d{4})", "YY": r"(?P<short>\d{2})", "MM": r"(?P<month>\d{1,2})",
    "MON": r"(?P<name>[A-Za-z]{3,9})", "MONTH": r"(?P<name>[A-Za-z]{3,9})",
    "DD": r"(?P<day>\d{1,2})", "HH24": r"(?P<hour>\d{1,2})", "HH12": r"(?P<hour>\d{1,2})",
    "HH": r"(?P<hour>\d{1,2})", "MI": r"(?P<minute>\d{1,2})",
    "SS": r"(?P<second>\d{1,2})(?:\.(?P<fraction>\d{1,9}))?",
    "AM": r"(?P<half>[AaPp]\.?[Mm]\.?)", "PM": r"(?P<half>[AaPp]\.?[Mm]\.?)",
    "OF": r"(?P<offset>Z|[+-]\d{2}(?::?\d{2})?)", "TZ": r"(?P<offset>Z|UTC|GMT)",
    "T": "T",
}  # fmt: skip
_WORDS = re.compile("|".join(sorted(_PIECES, key=len, reverse=True)))
_AUTO_DATES = (
    "YYYY-MM-DD", "YYYYMMDD", "MM/DD/YYYY", "MON DD, YYYY", "MON DD YYYY", "DD-MON-YYYY",
    "DD.MM.YYYY", "YYYY/MM/DD", "YYYY-MON-DD", "MM-DD-YYYY", "YYYY.MM.DD", "MON-DD-YYYY",
)  # fmt: skip
_AUTO_CLOCKS = (
    "HH24:MI:SSOF", "HH24:MI:SS OF", "HH24:MI:SS TZ", "HH24:MI:SSTZ", "HH24:MI:SS", "HH24:MI",
    "HH12:MI:SS AM", "HH12:MI AM", "HH24MISS",
)  # fmt: skip
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


class DateError(ValueError):
    """A text is no date or time of the format; the message is what Redshift says."""


@lru_cache(maxsize=256)
def _pattern(form: str) -> re.Pattern[str]:
    """The format as a regular expression. A field that comes twice in a format is none of Redshift's.

    Raises:
        DateError: the format repeats a field.
    """
    out, at = [], 0
    for match in _WORDS.finditer(form.upper()):
        out.append(re.escape(form[at : match.start()]))
        out.append(_PIECES[match.group()])
        at = match.end()
    out.append(re.escape(form[at:]))
    try:
        return re.compile("".join(out))
    except re.error:
        raise DateError(f"Invalid format string [{form}]") from None


def _read(text: str, form: str) -> dt.datetime | None:
    match = _pattern(form).fullmatch(text)
    if match is None:
        return None
    found = {key: value for key, value in match.groupdict().items() if value is not None}
    month = int(found.get("month", 1))
    if "name" in found:
        name = found["name"][:3].lower()
        if name not in _MONTHS:
            return None
        month = _MONTHS.index(name) + 1
    year = int(found.get("year", 1970))
    if "short" in found:
        year = int(found["short"])
        year += 2000 if year < 70 else 1900
    hour = int(found.get("hour", 0))
    if "half" in found:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (found["half"][0] in "pP")
    micros = int((found.get("fraction", "") + "000000")[:6])
    try:
        at = dt.datetime(
            year, month, int(found.get("day", 1)), hour, int(found.get("minute", 0)),
            int(found.get("second", 0)), micros, tzinfo=_UTC,
        )  # fmt: skip
        return at - _offset(found.get("offset", "Z"))
    except (ValueError, OverflowError):
        return None


def _offset(text: str) -> dt.timedelta:
    if text[0] not in "+-":
        return dt.timedelta()
    digits = text[1:].replace(":", "").ljust(4, "0")
    size = dt.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -size if text[0] == "-" else size


def parse_date(text: str, form: str) -> int:
    """Days since 1970-01-01.

    Raises:
        DateError: the text does not have the form.
    """
    if form.lower() == "auto":
        for known in _AUTO_DATES:
            if at := _read(text, known):
                return at.date().toordinal() - _DAY_ONE
        return parse_timestamp(text, "auto", "date") // 86_400_000_000
    at = _read(text, form)
    if at is None:
        if len(text) < 10 and form == "YYYY-MM-DD":
            raise DateError("Invalid Date Format - length must be 10 or more")
        raise DateError(f"Invalid date format or value [{form}]")
    return at.date().toordinal() - _DAY_ONE


def parse_timestamp(text: str, form: str, what: str = "timestamp") -> int:
    """Microseconds since 1970-01-01 00:00 UTC; a text without zone is taken as UTC.

    Raises:
        DateError: the text does not have the form.
    """
    kind = form.lower()
    if kind in ("epochsecs", "epochmillisecs"):
        if not re.fullmatch(r"-?\d+(\.\d+)?", text):
            raise DateError(f"Invalid timestamp format or value [{form}]")
        whole, _, part = text.partition(".")
        unit = 1_000_000 if kind == "epochsecs" else 1_000
        micros = int((part + "000000")[:6]) * unit // 1_000_000
        return int(whole) * unit + (-micros if text.startswith("-") else micros)
    for known in _timestamp_forms(kind, form):
        if at := _read(text, known):
            return _micros(at)
    raise DateError(f"Invalid {what} format or value [{form}]")


@lru_cache(maxsize=64)
def _timestamp_forms(kind: str, form: str) -> tuple[str, ...]:
    if kind == "auto":
        joined = [f"{d}{gap}{c}" for d in _AUTO_DATES for gap in " T" for c in _AUTO_CLOCKS]
        return (*joined, *_AUTO_DATES)
    if form == "YYYY-MM-DD HH:MI:SS":  # the default, where an offset may follow for TIMESTAMPTZ
        return (form, f"{form}OF", f"{form} OF", f"{form} TZ", "YYYY-MM-DD")
    return (form,)


def _micros(at: dt.datetime) -> int:
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def parse_time(text: str, form: str) -> int:
    """Microseconds since midnight.

    Raises:
        DateError: the text is no time of day.
    """
    own = form.lower() not in ("auto", "yyyy-mm-dd hh:mi:ss", "epochsecs", "epochmillisecs")
    for known in (form,) if own else _AUTO_CLOCKS:
        if at := _read(text, known):
            return _micros(at) % 86_400_000_000
    raise DateError(f"Invalid time format or value [{form}]")
