"""From a property map to columns of text, one value at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Final

from loader.model.names import column_name

#: A property map as Arrow gives it: name and JSON text, None for a null.
Items = Iterable[tuple[str, str | None]]

#: Columns that every table of the warehouse has by itself (PostgreSQL manual: system columns; AWS
#: docs: Redshift's own are ``deletexid`` and ``insertxid``).
_SYSTEM: Final = frozenset(
    ("cmax", "cmin", "ctid", "deletexid", "insertxid", "oid", "tableoid", "xmax", "xmin")
)


def text_of(value: str | None) -> str | None:
    """A JSON value as its column shows it: strings as they are, the rest as JSON, null as None."""
    if value is None or value == "null":
        return None
    if value.startswith('"'):
        text: str = json.loads(value)
        return text
    return value


def cut(text: str | None, limit: int) -> str | None:
    """At most ``limit`` bytes of UTF-8, never half a character; NUL is no text and goes."""
    if text is None:
        return None
    return text.replace("\0", "").encode()[:limit].decode(errors="ignore")


def leaves(items: Items) -> Iterator[tuple[str, str]]:
    """Names and texts of a map: nulls left out, objects as one entry a leaf (``a_b``)."""
    for name, value in items:
        if value is not None and value.startswith("{"):
            inner = json.loads(value)
            yield from leaves((f"{name}_{key}", _dump(item)) for key, item in inner.items())
        elif (text := text_of(value)) is not None:
            yield name, text


def custom_columns(
    levels: Iterable[Items | None], built_in: frozenset[str], limit: int
) -> dict[str, str]:
    """Columns of the properties of one row.

    Where several give one column, the level named first wins, in it the name that sorts first.

    Args:
        levels: property maps, the one that goes first in front.
        built_in: the table's own columns, which no property may take.
        limit: bytes of a value.
    """
    found: dict[str, str] = {}
    for items in levels:
        for name, text in sorted(leaves(items or ())):
            column = column_name(name, built_in | _SYSTEM)
            if column not in found:
                found[column] = cut(text, limit) or ""
    return found


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
