"""The text of one field as a value of its column (AWS docs: COPY, Data conversion parameters).

Values go on to Arrow: numbers, strings, and times as microseconds.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal, InvalidOperation

from loader.local.redshift.copy_dates import DateError, parse_date, parse_time, parse_timestamp
from loader.local.redshift.copy_statement import TextRules
from loader.local.redshift.copy_types import Target

Value = int | float | bool | str | bytes | Decimal | None

_INTEGERS = {"smallint": (15, "Short"), "integer": (31, "Integer"), "bigint": (63, "Long")}
_DIGITS = re.compile(r"[+-]?\d+")
_WIDE = Context(prec=80)
_TRUE = frozenset(("true", "t", "yes", "y", "1"))
_FALSE = frozenset(("false", "f", "no", "n", "0"))
_TEXTS = ("character varying", "character")
MAX_SUPER = 16_000_000


class FieldError(Exception):
    """One field that cannot be loaded.

    Args:
        code: Redshift's load error code (AWS docs: Load error reference).
        reason: what ``err_reason`` says.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def convert(text: str | None, target: Target, rules: TextRules, *, quoted: bool = False) -> Value:
    """The value of a field.

    Args:
        text: the field; None = NULL already.
        target: its column.
        rules: how text is read.
        quoted: it stood in quotes, so it is no NULL marker.

    Raises:
        FieldError: the field does not fit.
    """
    value = None if text is None or (text == rules.null_as and not quoted) else text
    if value is not None and _is_null(value, target, rules):
        value = None
    if value is None:
        if target.not_null:
            raise FieldError(1213, "Missing data for not-null field")
        return None
    return _CONVERT[target.type_name](value, target, rules)


def _is_null(text: str, target: Target, rules: TextRules) -> bool:
    """Empty and blank fields: NULL for everything but text, and for text if an option says so."""
    if target.type_name not in _TEXTS:
        return not text.strip()
    if not text:
        return "emptyasnull" in rules.flags
    return "blanksasnull" in rules.flags and not text.strip()


def _integer(text: str, target: Target, _rules: TextRules) -> int:
    bits, shown = _INTEGERS[target.type_name]
    stripped = text.strip()
    if not _DIGITS.fullmatch(stripped):
        raise _digit(stripped, shown)
    value = int(stripped)
    if not -(2**bits) <= value < 2**bits:
        raise FieldError(1222, f"Overflow, Column type: {shown}")
    return value


def _digit(text: str, shown: str) -> FieldError:
    at = next((i for i, c in enumerate(text) if not (c.isdigit() or (i == 0 and c in "+-"))), 0)
    bad = text[at : at + 1]
    return FieldError(1207, f"Invalid digit, Value '{bad}', Pos {at}, Type: {shown}")


def _float(text: str, target: Target, _rules: TextRules) -> float:
    try:
        value = float(text)
    except ValueError:
        shown = "Real" if target.type_name == "real" else "Double"
        raise FieldError(1208, f"Invalid float format, Type: {shown}") from None
    if target.type_name == "real" and math.isfinite(value) and abs(value) > 3.4028235677973366e38:
        raise FieldError(1222, "Overflow, Column type: Real")
    return value


def _decimal(text: str, target: Target, rules: TextRules) -> Decimal:
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        raise FieldError(1209, _digit(text.strip(), "Decimal").reason) from None
    if not value.is_finite():
        raise FieldError(1209, _digit(text.strip(), "Decimal").reason)
    rounding = ROUND_HALF_UP if "roundec" in rules.flags else ROUND_DOWN
    unit = Decimal((0, (1,), -target.scale))
    try:
        value = value.quantize(unit, rounding, _WIDE)
    except InvalidOperation:
        raise FieldError(1209, "Overflow, Column type: Decimal") from None
    if value.adjusted() >= target.precision - target.scale and value:
        raise FieldError(1209, "Overflow, Column type: Decimal")
    return value


def _boolean(text: str, _target: Target, _rules: TextRules) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise FieldError(1210, "Unknown boolean format")
    return word in _TRUE


def _dated(read: Callable[[str, str], int], code: int, *, date: bool) -> Callable[..., Value]:
    def one(text: str, _target: Target, rules: TextRules) -> Value:
        try:
            return read(text.strip(), rules.date_format if date else rules.time_format)
        except DateError as error:
            if "acceptanydate" in rules.flags:
                return None
            raise FieldError(code, str(error)) from None

    return one


def _utf8(text: str, rules: TextRules) -> str:
    """Replace or refuse what was not UTF-8 in the file, or is half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        if rules.invalid:
            return "".join(rules.invalid if "\ud800" <= c <= "\udfff" else c for c in text)
        bad = " ".join(
            f"{ord(c) & 0xFF:02x}" if "\udc80" <= c <= "\udcff" else f"{ord(c):x}"
            for c in text[error.start : error.end]
        )
        reason = "String contains invalid or unsupported UTF8 codepoints. Bad UTF8 hex sequence: "
        raise FieldError(1220, f"{reason}{bad} (error 2)") from None
    return text


def _text(text: str, target: Target, rules: TextRules) -> str:
    text = _utf8(text, rules)
    if "trimblanks" in rules.flags and target.type_name == "character varying":
        text = text.rstrip(" ")
    if target.type_name == "character":
        text = text.rstrip(" ")
    raw = text.encode()
    if len(raw) > target.limit:
        if "truncatecolumns" not in rules.flags:
            raise FieldError(1204, "String length exceeds DDL length")
        text = raw[: target.limit].decode("utf-8", "ignore")
    if "\0" in text:
        raise FieldError(1218, "String contains invalid byte 0x00")
    if target.type_name == "character" and not text.isascii():
        bad = next(c for c in text if not c.isascii()).encode().hex(" ")
        reason = "Multibyte character not supported for CHAR (Hint: try using VARCHAR). "
        raise FieldError(1215, f"{reason}Invalid char: {bad}")
    return text


def _super(text: str, _target: Target, rules: TextRules) -> str:
    text = _utf8(text, rules)
    try:
        json.loads(text)
    except ValueError:
        raise FieldError(1224, "Invalid JSON format for SUPER") from None
    if len(text.encode()) > MAX_SUPER:
        raise FieldError(1224, f"SUPER value exceeds the maximum size of {MAX_SUPER} bytes")
    return text


def _varbyte(text: str, _target: Target, _rules: TextRules) -> bytes:
    try:
        return bytes.fromhex(text.strip())
    except ValueError:
        raise FieldError(1223, "Invalid hex value for VARBYTE") from None


_CONVERT: dict[str, Callable[..., Value]] = {
    **dict.fromkeys(_INTEGERS, _integer),
    "real": _float,
    "double precision": _float,
    "numeric": _decimal,
    "boolean": _boolean,
    "date": _dated(parse_date, 1205, date=True),
    "time without time zone": _dated(parse_time, 1206, date=False),
    "timestamp without time zone": _dated(parse_timestamp, 1206, date=False),
    "timestamp with time zone": _dated(parse_timestamp, 1206, date=False),
    "character varying": _text,
    "character": _text,
    "super": _super,
    "varbyte": _varbyte,
}


def can_load(target: Target) -> bool:
    """Whether text can be turned into the column's type here."""
    return target.type_name in _CONVERT
