"""Whether an event is one of a labelled event: the document read plainly, one row at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from loader.errors import UsageError
from loader.local.oracle.values import text_of
from loader.model.names import table_name

Row = Mapping[str, Any]
Value = str | int | float

_MAPS: Final = ("properties", "session_properties")
_LIBRARIES: Final = {"web": ("web",), "mobile": ("ios", "iOS", "android")}
_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")


def _equals(text: str | None, value: Value) -> bool:
    """The same text; a number written as a number also equals what is numerically equal."""
    if isinstance(value, str) or text is None:
        return text == value
    return _NUMBER.fullmatch(text) is not None and Decimal(text) == Decimal(repr(value))


def _contains(text: str | None, value: Value) -> bool:
    return text is not None and (value if isinstance(value, str) else repr(value)) in text


#: An absent value satisfies the negative operators; a list is "any of", under these "none of".
_TESTS: Final[dict[str, Callable[[str | None, Sequence[Value]], bool]]] = {
    "equals": lambda text, values: any(_equals(text, value) for value in values),
    "not_equals": lambda text, values: not any(_equals(text, value) for value in values),
    "contains": lambda text, values: any(_contains(text, value) for value in values),
    "not_contains": lambda text, values: not any(_contains(text, value) for value in values),
    "defined": lambda text, _: text is not None,
    "not_defined": lambda text, _: text is None,
}


@dataclass(frozen=True, slots=True)
class Labelled:
    """One labelled event that keeps a table.

    Attributes:
        table: the table's name.
        source: web, mobile or custom.
        event: the ``type``, for source custom the event's own ``name``.
        target_text: None for any.
        filters: property, operator, values.
        since: first time, microseconds; None is all time.
    """

    table: str
    source: str
    event: str
    target_text: str | None
    filters: tuple[tuple[str, str, tuple[Value, ...]], ...]
    since: int | None

    @property
    def columns(self) -> frozenset[str]:
        """Columns that :meth:`takes` reads."""
        heads = {name.partition(".")[0] for name, _, _ in self.filters}
        return frozenset({"type", "name", "library", "time", "target_text", *heads})

    def takes(self, row: Row) -> bool:
        """Whether the row belongs into the table; ``time`` in microseconds."""
        if self.source == "custom":
            right = row["type"] == "custom" and row["name"] == self.event
        else:
            right = row["type"] == self.event and row["library"] in _LIBRARIES[self.source]
        return (
            right
            and (self.since is None or row["time"] >= self.since)
            and (self.target_text is None or row["target_text"] == self.target_text)
            and all(_TESTS[op](_property(row, name), values) for name, op, values in self.filters)
        )


def labelled(document: Mapping[str, Any]) -> Labelled | None:
    """Read a definition as its file has it; None if it keeps no table (not enabled, archived).

    Raises:
        UsageError: it asks for something that this oracle cannot judge, named.
    """
    sync = document.get("sync", {})
    if document.get("archived", False) or not sync.get("enabled", False):
        return None
    where = dict(document.get("where", {}))
    target_text = where.pop("target_text", None)
    filters = tuple(_filter(document, condition) for condition in where.pop("filters", ()))
    if where or document["source"] not in {*_LIBRARIES, "custom"}:
        strange = next(iter(where), document["source"])
        raise UsageError(f"definition {document['id']}: the oracle cannot judge {strange!r}.")
    since = sync.get("since", "all_time")
    return Labelled(
        table=table_name(document["name"], document.get("category")),
        source=document["source"],
        event=document["event"],
        target_text=target_text,
        filters=filters,
        since=None if since == "all_time" else _midnight(since),
    )


def _filter(
    document: Mapping[str, Any], condition: Mapping[str, Any]
) -> tuple[str, str, tuple[Value, ...]]:
    if condition["op"] not in _TESTS:
        raise UsageError(
            f"definition {document['id']}: the oracle cannot judge the operator "
            f"{condition['op']!r}.",
            hint=f"It knows {', '.join(_TESTS)}.",
        )
    value = condition.get("value", [])
    values = value if isinstance(value, list) else [value]
    return condition["property"], condition["op"], tuple(values)


def _midnight(day: date | str) -> int:
    first = day if isinstance(day, date) else date.fromisoformat(day)
    moment = datetime(first.year, first.month, first.day, tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000


def _property(row: Row, name: str) -> str | None:
    head, dot, key = name.partition(".")
    if dot and head in _MAPS:
        return text_of(dict(row[head] or ()).get(key))
    value = row[name]
    return None if value is None else str(value)
