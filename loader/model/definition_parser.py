"""The document of a labelled event, read strictly: every fault names the place, the key and the way out."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Final, TypeVar

from loader.errors import UsageError
from loader.model import times
from loader.model.events import EVENT_TEXT_FIELDS, REQUIRED_EVENT_FIELDS
from loader.model.labelled_events import (
    ALL_TIME,
    BARE_OPS,
    MAX_EXACT_INTEGER,
    PROPERTY_MAPS,
    Definition,
    Filter,
    Op,
    Source,
    Value,
)
from loader.model.names import table_name
from loader.model.tables import RESERVED_TABLES

E = TypeVar("E", bound=StrEnum)

_TIME_OPS: Final = frozenset({Op.BEFORE, Op.AFTER, Op.DEFINED, Op.NOT_DEFINED})
_COLUMNS: Final = (*REQUIRED_EVENT_FIELDS, *EVENT_TEXT_FIELDS)
DEFINITION_ID: Final = re.compile(r"[a-z0-9_]{1,127}")
_KEYS: Final = (
    "id",
    "name",
    "category",
    "source",
    "event",
    "where",
    "any_of",
    "sync",
    "archived",
    "kind",
)
#: Parts of the public document that this version refuses by name instead of ignoring.
_NOT_YET: Final = {
    "selector": "CSS selectors (where.selector)",
    "combo": "combo events (source: combo, any_of)",
    "property": "defined properties (kind: property)",
}


def parse_definition(document: Mapping[str, object], where: str) -> Definition:
    """Read a definition's document.

    ``sync`` may be left out and means enabled, for all time.

    Args:
        document: as YAML or JSON gives it.
        where: what to call it in errors: a file, or an offset.

    Raises:
        UsageError: naming ``where``, the definition, the key and the fault.
    """
    return _Parser(where).definition(document)


class _Parser:
    """One document; knows what to call the place in an error."""

    def __init__(self, where: str) -> None:
        self._where = where

    def definition(self, document: Mapping[str, object]) -> Definition:
        if not isinstance(document, Mapping):  # type: ignore[redundant-expr,unused-ignore]
            raise self._fault("", "a definition is a mapping with id, name, source and event")
        if isinstance(document.get("id"), str):
            self._where = f"{self._where}: definition {document['id']!r}"
        self._known(document, _KEYS, "")
        if document.get("kind", "event") != "event":
            raise self._not_yet("kind", "property")
        if document.get("source") == "combo" or "any_of" in document:
            raise self._not_yet("source", "combo")
        id_ = self._text(document, "id", "")
        if not DEFINITION_ID.fullmatch(id_):
            raise self._fault("id", "an id is 1 to 127 of a-z, 0-9 and _")
        name = self._text(document, "name", "")
        has_category = document.get("category") is not None
        category = self._text(document, "category", "") if has_category else None
        try:
            table_name(name)
            table = table_name(name, category)
        except ValueError as error:
            raise self._fault("name", str(error)) from None
        if table in RESERVED_TABLES:
            raise self._fault("name", f"gives the table {table}, which is the loader's own")
        criteria = self._mapping(document, "where", ("selector", "target_text", "filters"))
        if "selector" in criteria:
            raise self._not_yet("where.selector", "selector")
        has_text = criteria.get("target_text") is not None
        sync = self._mapping(document, "sync", ("enabled", "since"))
        return Definition(
            id=id_,
            name=name,
            category=category,
            source=self._choice(Source, document.get("source"), "source"),
            event=self._text(document, "event", ""),
            target_text=self._text(criteria, "target_text", "where.") if has_text else None,
            filters=self._filters(criteria.get("filters")),
            enabled=self._flag(sync, "enabled", default=True, prefix="sync."),
            since=self._since(sync.get("since", ALL_TIME)),
            archived=self._flag(document, "archived", default=False, prefix=""),
        )

    def _filters(self, listed: object) -> tuple[Filter, ...]:
        if listed is None:
            return ()
        if not isinstance(listed, list):
            raise self._fault("where.filters", "a list of {property, op, value}")
        return tuple(self._filter(entry, f"where.filters[{i}]") for i, entry in enumerate(listed))

    def _filter(self, entry: object, path: str) -> Filter:
        if not isinstance(entry, Mapping):
            raise self._fault(path, "a filter is {property, op, value}")
        self._known(entry, ("property", "op", "value"), f"{path}.")
        prop = self._text(entry, "property", f"{path}.")
        head, dot, rest = prop.partition(".")
        if not (prop in _COLUMNS or (dot and rest and head in PROPERTY_MAPS)):
            near = difflib.get_close_matches(prop, _COLUMNS, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise self._fault(
                f"{path}.property",
                f"no property {prop!r}{hint}; a custom one is properties.<name> or "
                "session_properties.<name>",
            )
        op = self._choice(Op, entry.get("op"), f"{path}.op")
        if prop == "time" and op not in _TIME_OPS:
            raise self._fault(f"{path}.op", "time takes before, after, defined or not_defined")
        if op in BARE_OPS:
            if "value" in entry:
                raise self._fault(f"{path}.value", f"{op} takes no value")
            return Filter(prop, op)
        given = entry.get("value")
        values = given if isinstance(given, list) else [given]
        if not values:
            raise self._fault(f"{path}.value", "an empty list matches nothing")
        return Filter(prop, op, tuple(self._value(v, op, f"{path}.value") for v in values))

    def _value(self, value: object, op: Op, path: str) -> Value:
        if op in {Op.BEFORE, Op.AFTER}:
            if isinstance(value, date):
                value = value.isoformat()
            micros = times.parse_time(value) if isinstance(value, str) else None
            shown = "" if micros is None else times.format_time(micros)
            if not shown:
                raise self._fault(path, "a date or a time, e.g. 2026-01-31 or 2026-01-31T12:00:00Z")
            return shown
        if op in {Op.LESS, Op.GREATER}:
            if isinstance(value, str) and times.NUMBER.fullmatch(value):
                value = float(value)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise self._fault(path, f"{op} compares numbers; for times use before and after")
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return self._number(value, path)
        if isinstance(value, datetime):
            return times.format_time(times.micros(value))
        if isinstance(value, date):
            return value.isoformat()
        if not isinstance(value, str):
            raise self._fault(path, "a text, a number, a truth value, or a list of them")
        self._encodable(value, path)
        if op in {Op.CONTAINS, Op.NOT_CONTAINS} and not value:
            raise self._fault(path, "every text contains the empty one")
        return value

    def _number(self, value: float, path: str) -> int | float:
        if isinstance(value, int):
            if abs(value) >= 1 << 63:
                raise self._fault(path, "a whole number within 63 bits")
            return value
        if not math.isfinite(value):
            raise self._fault(path, "a finite number")
        whole = value.is_integer() and abs(value) <= MAX_EXACT_INTEGER
        return int(value) if whole else value

    def _since(self, value: object) -> date | None:
        if value == ALL_TIME:
            return None
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            try:
                return date.fromisoformat(value)
            except ValueError:
                pass
        raise self._fault("sync.since", "all_time, or a date such as 2026-01-31")

    def _flag(self, mapping: Mapping[str, object], key: str, *, default: bool, prefix: str) -> bool:
        value = mapping.get(key, default)
        if not isinstance(value, bool):
            raise self._fault(prefix + key, "true or false")
        return value

    def _text(self, mapping: Mapping[str, object], key: str, prefix: str) -> str:
        value = mapping.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self._fault(prefix + key, "missing" if value is None else "a text, not empty")
        self._encodable(value, prefix + key)
        return value

    def _encodable(self, text: str, path: str) -> None:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise self._fault(path, "not valid Unicode") from None

    def _mapping(
        self, document: Mapping[str, object], key: str, known: tuple[str, ...]
    ) -> Mapping[str, object]:
        value = document.get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self._fault(key, f"a mapping with {', '.join(known)}")
        self._known(value, known, f"{key}.")
        return value

    def _choice(self, kind: type[E], value: object, path: str) -> E:
        try:
            return kind(str(value))
        except ValueError:
            raise self._fault(path, f"one of {', '.join(kind)}; not {value!r}") from None

    def _known(self, mapping: Mapping[str, object], known: tuple[str, ...], prefix: str) -> None:
        for key in mapping:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)
                raise self._fault(
                    f"{prefix}{key}", f"unknown key. The nearest right one is {prefix}{near[0]}"
                )

    def _not_yet(self, path: str, feature: str) -> UsageError:
        return self._fault(path, f"{_NOT_YET[feature]} are not supported by this version")

    def _fault(self, path: str, what: str) -> UsageError:
        return UsageError(f"{self._where}: {path}: {what}." if path else f"{self._where}: {what}.")
