r"""The rules for single values, in plain Python: what a decoder accepts and what it writes.

These functions are the specification. The vectorised decoders must give what these give, or hand
the message over to them.

Rules:
    * JSON is RFC 8259 in UTF-8: no NaN, no Infinity, no trailing commas, no lone surrogates, nested
      at most ``MAX_DEPTH`` deep. Of a key that is repeated in one object the last value stands, as in
      every common JSON library.
    * JSON text of a property value: integers as their digits, however many; other numbers as Python's
      ``repr`` of the nearest double; strings with only ``"``, ``\`` and control characters
      escaped (``\b \f \n \r \t``, else ``\u00XX`` with upper-case digits); no spaces;
      keys in the order in which they first came.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from loader.codec.contract import Reason
from loader.errors import Terminal
from loader.model.events import MAX_ID

#: A JSON value may be nested this deep; the message itself is depth 1.
MAX_DEPTH: Final = 64

#: Longer integers are refused: no producer means them, and reading one takes quadratic time.
MAX_INTEGER_DIGITS: Final = 1000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

#: Microseconds since the epoch of 0001-01-01T00:00:00Z and of the last microsecond of 9999.
MIN_TIME_US: Final = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND
MAX_TIME_US: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND

_ISO: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
_ID: Final = re.compile(r"0|[1-9][0-9]*")

_ESCAPES: Final = {
    **{code: f"\\u{code:04X}" for code in range(0x20)},
    0x08: "\\b",
    0x09: "\\t",
    0x0A: "\\n",
    0x0C: "\\f",
    0x0D: "\\r",
    0x22: '\\"',
    0x5C: "\\\\",
}
_CONSTANTS: Final = {None: "null", True: "true", False: "false"}
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class Refused(Terminal):
    """One message cannot be used; the others can.

    Args:
        reason: the class of fault, the ``dl-reason`` of a dead letter.
        error: names the field and the fault, never the value.
    """

    def __init__(self, reason: Reason, error: str) -> None:
        super().__init__(error)
        self.reason = reason
        self.error = error

    def __reduce__(self) -> tuple[object, ...]:
        return (Refused, (self.reason, self.error))


def quote(text: str) -> str:
    """``text`` as a JSON string, escaping only what RFC 8259 says must be."""
    return f'"{text.translate(_ESCAPES)}"'


def parse_json(value: bytes) -> Any:
    """Parse one JSON document strictly, every integer exact.

    Raises:
        Refused: ``NOT_DECODABLE``, with the place of the fault.
    """
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise Refused(Reason.NOT_DECODABLE, f"not UTF-8 at byte {fault.start}") from None
    try:
        document = json.loads(text, parse_int=_integer, parse_constant=_no_constant)
    except json.JSONDecodeError as fault:
        raise Refused(
            Reason.NOT_DECODABLE, f"not JSON at character {fault.pos}: {fault.msg}"
        ) from None
    except RecursionError:
        raise Refused(Reason.NOT_DECODABLE, f"nested deeper than {MAX_DEPTH}") from None
    if "\\u" in text:
        _no_lone_surrogates(document)
    return document


def json_text(value: Any, *, field: str, depth: int) -> str:
    """The canonical JSON text of a decoded value.

    Args:
        value: None, bool, int, float, str, bytes (an Avro value; its bytes become U+0000 .. U+00FF
            as in Avro's own JSON encoding), or a list or dict of these.
        field: the top-level field, named in an error.
        depth: how deep the value sits; the members of the message have depth 2.

    Raises:
        Refused: ``OUT_OF_RANGE`` for a number that JSON cannot write, ``NOT_DECODABLE`` for too
            deep a nesting, ``WRONG_TYPE`` for a value that has no JSON form.
    """
    if isinstance(value, str):
        return quote(value)
    if value is None or isinstance(value, bool):
        return _CONSTANTS[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Refused(Reason.OUT_OF_RANGE, f"{field}: a number that is not finite")
        return repr(value)
    if isinstance(value, bytes):
        return quote(value.decode("latin-1"))
    return _nested_text(value, field=field, depth=depth)


def _nested_text(value: Any, *, field: str, depth: int) -> str:
    if depth > MAX_DEPTH:
        raise Refused(Reason.NOT_DECODABLE, f"{field}: nested deeper than {MAX_DEPTH}")
    if isinstance(value, Mapping):
        members = (
            f"{quote(key)}:{json_text(member, field=field, depth=depth + 1)}"
            for key, member in value.items()
        )
        return "{" + ",".join(members) + "}"
    if isinstance(value, Sequence):
        items = (json_text(item, field=field, depth=depth + 1) for item in value)
        return "[" + ",".join(items) + "]"
    raise Refused(Reason.WRONG_TYPE, f"{field}: a value that JSON cannot write")


def identifier(value: Any, *, field: str) -> int:
    """An id in 0 .. 2^63-1 from an integer or a decimal string (no sign, no leading zeros).

    Raises:
        Refused: ``MISSING_FIELD``, ``WRONG_TYPE`` or ``OUT_OF_RANGE``.
    """
    if value is None:
        raise Refused(Reason.MISSING_FIELD, f"{field}: missing or null")
    if isinstance(value, str):
        if not _ID.fullmatch(value):
            raise Refused(Reason.WRONG_TYPE, f"{field}: text that is not a decimal id")
        number = int(value) if len(value) <= len(str(MAX_ID)) else MAX_ID + 1
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        raise Refused(Reason.WRONG_TYPE, f"{field}: neither an integer nor a decimal string")
    if not 0 <= number <= MAX_ID:
        raise Refused(Reason.OUT_OF_RANGE, f"{field}: outside 0 .. 2^63-1")
    return number


def time_us(value: Any, *, field: str) -> int:
    """Microseconds since the epoch, from an integer of that unit or ISO 8601 text with an offset.

    The text is ``YYYY-MM-DDThh:mm:ss[.fraction]`` and ``Z`` or ``+hh:mm`` / ``-hh:mm``. Of a fraction the
    first six digits count. Years 1 .. 9999 in UTC: what a date partition can be named for.

    Raises:
        Refused: ``MISSING_FIELD``, ``WRONG_TYPE`` or ``BAD_TIME``.
    """
    if value is None:
        raise Refused(Reason.MISSING_FIELD, f"{field}: missing or null")
    if isinstance(value, str):
        micros = _iso_us(value, field=field)
    elif isinstance(value, int) and not isinstance(value, bool):
        micros = value
    else:
        raise Refused(Reason.WRONG_TYPE, f"{field}: neither ISO 8601 text nor integer microseconds")
    if not MIN_TIME_US <= micros <= MAX_TIME_US:
        raise Refused(Reason.BAD_TIME, f"{field}: outside the years 1 .. 9999")
    return micros


def text(value: Any, *, field: str, required: bool) -> str | None:
    """A text field.

    Raises:
        Refused: ``MISSING_FIELD`` where it is required, ``WRONG_TYPE`` for anything but a string.
    """
    if value is None:
        if required:
            raise Refused(Reason.MISSING_FIELD, f"{field}: missing or null")
        return None
    if not isinstance(value, str):
        raise Refused(Reason.WRONG_TYPE, f"{field}: not a string")
    return value


def properties(value: Any, *, field: str) -> dict[str, str | None] | None:
    """A map of open-ended properties, name to JSON text; a null property has no text.

    Raises:
        Refused: ``WRONG_TYPE`` for anything but an object, and what ``json_text`` raises.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise Refused(Reason.WRONG_TYPE, f"{field}: not an object")
    return {
        name: None if member is None else json_text(member, field=field, depth=3)
        for name, member in value.items()
    }


def _iso_us(value: str, *, field: str) -> int:
    match = _ISO.fullmatch(value)
    if match is None:
        raise Refused(Reason.BAD_TIME, f"{field}: not ISO 8601 with an offset")
    *parts, fraction, sign, hours, minutes = match.groups()
    year, month, day, hour, minute, second = (int(part) for part in parts)
    offset = timedelta()
    if sign:
        if int(hours) > 23 or int(minutes) > 59:
            raise Refused(Reason.BAD_TIME, f"{field}: no such offset")
        offset = timedelta(hours=int(hours), minutes=int(minutes))
    micro = int(fraction[:6].ljust(6, "0")) if fraction else 0
    try:
        local = datetime(year, month, day, hour, minute, second, micro, tzinfo=UTC)
    except ValueError:
        raise Refused(Reason.BAD_TIME, f"{field}: no such date or time") from None
    return (local - _EPOCH - (-offset if sign == "-" else offset)) // _MICROSECOND


def _integer(digits: str) -> int:
    if len(digits) > MAX_INTEGER_DIGITS:
        raise Refused(Reason.NOT_DECODABLE, f"an integer of more than {MAX_INTEGER_DIGITS} digits")
    return int(digits)


def _no_constant(name: str) -> None:
    raise Refused(Reason.NOT_DECODABLE, f"{name} is not JSON")


def _no_lone_surrogates(value: Any) -> None:
    """Refuse what UTF-8 cannot write; iterative, since ``value`` may be nested deeply."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            if _SURROGATE.search(item):
                raise Refused(Reason.NOT_DECODABLE, "half of a surrogate pair in a string")
        elif isinstance(item, dict):
            pending.extend(item)
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
