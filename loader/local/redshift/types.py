"""Column types of CREATE and ALTER TABLE: Redshift's names, limits and defaults (AWS docs: Data types)."""

from __future__ import annotations

from collections.abc import Sequence

from loader.local.redshift.errors import SqlError, not_here, syntax_error
from loader.local.redshift.rewrite import MAX_VARCHAR, check_size
from loader.local.redshift.tokens import Kind, Token, closing, words

_ALIASES = {
    "smallint": "smallint", "int2": "smallint", "integer": "integer", "int": "integer",
    "int4": "integer", "bigint": "bigint", "int8": "bigint", "real": "real", "float4": "real",
    "float": "double precision", "float8": "double precision", "boolean": "boolean",
    "bool": "boolean", "date": "date", "timetz": "timetz", "timestamptz": "timestamptz",
    "super": "super",
}  # fmt: skip
_FORBIDDEN = frozenset((
    "uuid", "bytea", "money", "xml", "inet", "cidr", "macaddr", "bit", "tsvector", "tsquery", "name",
    "point", "line", "lseg", "box", "path", "polygon", "circle", "int4range", "int8range", "oid",
    "numrange", "tsrange", "tstzrange", "daterange",
))  # fmt: skip
_ABSENT_HERE = frozenset(("geometry", "geography", "hllsketch", "interval"))
MAX_CHAR = 4096


def parse_type(tokens: Sequence[Token], at: int, column: str) -> tuple[list[Token], int]:
    """Read a type.

    Args:
        tokens: the column definition.
        at: index of the type's first token.
        column: ``table.column``, for messages.

    Returns:
        The type in PostgreSQL's words, and the index behind it.

    Raises:
        SqlError: 42704 for an unknown type, 0A000 for one that Redshift does not have, 22023 for a
            length beyond its limit.
    """
    if at >= len(tokens) or not tokens[at].is_name:
        near = tokens[at].text if at < len(tokens) else ")"
        raise syntax_error(near)
    first = tokens[at].value
    at += 1
    size: Sequence[Token] = ()
    if first in ("double", "character", "national"):
        first, at = _two_words(tokens, at, first)
    if at < len(tokens) and tokens[at].is_op("("):
        end = closing(tokens, at)
        size, at = tokens[at + 1 : end], end + 1
    if at < len(tokens) and tokens[at].is_op("["):
        raise SqlError("0A000", f'Column "{column}" has unsupported type "{first}[]".')
    zone, at = _zone(tokens, at, first)
    return words(_spell(first, size, zone=zone, column=column)), at


def _two_words(tokens: Sequence[Token], at: int, first: str) -> tuple[str, int]:
    """DOUBLE PRECISION, CHARACTER [VARYING], NATIONAL CHARACTER [VARYING]."""
    varying = False
    while at < len(tokens) and tokens[at].is_word("precision", "varying", "character", "char"):
        varying = varying or tokens[at].is_word("varying")
        at += 1
    return ("float8" if first == "double" else "varchar" if varying else "char"), at


def _zone(tokens: Sequence[Token], at: int, first: str) -> tuple[bool, int]:
    """Reads WITH or WITHOUT TIME ZONE."""
    texts = [token.value for token in tokens[at : at + 3]]
    if first in ("time", "timestamp") and texts[1:] == ["time", "zone"]:
        return texts[0] == "with", at + 3
    return False, at


def _spell(first: str, size: Sequence[Token], *, zone: bool, column: str) -> str:
    if first in ("varchar", "nvarchar", "text"):
        return f"varchar({_length(size, 256, MAX_VARCHAR) if first != 'text' else 256})"
    if first in ("char", "character", "nchar", "bpchar"):
        return f"char({_length(size, 256 if first == 'bpchar' else 1, MAX_CHAR)})"
    if first in ("decimal", "numeric"):
        return _decimal(size)
    if first in ("time", "timestamp"):
        return first + ("tz" if zone else "")
    if first in ("varbyte", "varbinary"):
        return "varbyte"
    if first in _ALIASES:
        return _ALIASES[first]
    if first in _FORBIDDEN:
        raise SqlError("0A000", f'Column "{column}" has unsupported type "{first}".')
    if first in _ABSENT_HERE:
        raise not_here(f"type {first.upper()}")
    # Unknown names, with those of PostgreSQL's younger types among them.
    raise SqlError("42704", f'type "{first}" does not exist')


def _length(size: Sequence[Token], default: int, limit: int) -> int:
    if not size:
        return default
    if size[0].is_word("max"):
        return limit
    check_size(size[0])
    if size[0].kind is not Kind.NUMBER or not 1 <= int(size[0].text) <= limit:
        raise SqlError("22023", f"length for type must be between 1 and {limit}")
    return int(size[0].text)


def _decimal(size: Sequence[Token]) -> str:
    numbers = [token.text for token in size if not token.is_op(",")]
    precision = numbers[0] if numbers else "18"
    scale = numbers[1] if len(numbers) > 1 else "0"
    if not precision.isdigit() or not 1 <= int(precision) <= 38:
        raise SqlError("22023", f"DECIMAL precision {precision} must be between 1 and 38")
    if not scale.isdigit() or int(scale) > min(37, int(precision)):
        raise SqlError(
            "22023", f"DECIMAL scale {scale} must be between 0 and precision {precision}"
        )
    return f"numeric({precision},{scale})"
