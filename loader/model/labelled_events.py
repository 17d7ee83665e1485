"""A labelled event: a saved predicate over raw events, answered from the whole history.

The table of a definition holds what matches, however long ago it happened. Only what decides rows
belongs to the *meaning*; a name, a category or the sync toggle can change without a row being read
again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

from loader.model.names import shorten, table_name

#: A value of a filter: text, a number, or (for before and after) the canonical text of a time.
Value = str | int | float


class Source(StrEnum):
    """Where the raw events of a definition come from."""

    WEB = "web"
    MOBILE = "mobile"
    CUSTOM = "custom"


class Op(StrEnum):
    """Filter operators; `loader.model.predicates` says what each one means."""

    EQUALS = "equals"
    NOT_EQUALS = "not_equals"
    CONTAINS = "contains"
    NOT_CONTAINS = "not_contains"
    LESS = "less"
    GREATER = "greater"
    DEFINED = "defined"
    NOT_DEFINED = "not_defined"
    BEFORE = "before"
    AFTER = "after"
    MATCHES = "matches"


#: Operators without a value.
BARE_OPS: Final = frozenset({Op.DEFINED, Op.NOT_DEFINED})
#: Where custom properties live: ``properties.plan``, ``session_properties.plan``.
PROPERTY_MAPS: Final = ("properties", "session_properties")
#: Beyond this, a double no longer tells one integer from the next.
MAX_EXACT_INTEGER: Final = 1 << 53
#: What ``sync.since`` says for "no first day".
ALL_TIME: Final = "all_time"


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition on one property.

    Attributes:
        property: a column of the raw event, or ``properties.<name>``, ``session_properties.<name>``.
        op: the operator.
        values: any of them is enough; empty for ``defined`` and ``not_defined``.
    """

    property: str
    op: Op
    values: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Definition:
    """A labelled event.

    Attributes:
        id: stable, ``[a-z0-9_]+``.
        name: for people; with the category it names the table.
        category: for people; None where there is none.
        source: web, mobile or custom.
        event: a ``type``; for source custom the event's own ``name``.
        target_text: the element's exact text; None for any.
        filters: all must hold.
        enabled: whether a table is kept for it.
        since: the first day of the table's rows, UTC; None is all time.
        archived: pauses the table.
        suffix: set by the fold alone, where two definitions claim one table name.
    """

    id: str
    name: str
    category: str | None
    source: Source
    event: str
    target_text: str | None
    filters: tuple[Filter, ...]
    enabled: bool
    since: date | None
    archived: bool
    suffix: str = ""

    @property
    def table_name(self) -> str:
        """The table's identifier."""
        plain = table_name(self.name, self.category)
        if not self.suffix:
            return plain
        return shorten(f"{plain}_{self.suffix}", self.id)

    @property
    def meaning_hash(self) -> str:
        """SHA-256 (hex) of what decides the rows: source, event, where, since.

        The order of filters and of the values of one filter does not matter, nor do repeats.
        """
        conditions = sorted(
            {
                json.dumps([f.property, f.op.value, sorted({json.dumps(v) for v in f.values})])
                for f in self.filters
            }
        )
        meaning = {
            "source": self.source.value,
            "event": self.event,
            "target_text": self.target_text,
            "filters": conditions,
            "since": self.since.isoformat() if self.since else None,
        }
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()


def to_document(definition: Definition) -> dict[str, Any]:
    """The document of a definition, as it is published; `loader.model.definitions` reads it back."""
    document: dict[str, Any] = {"id": definition.id, "name": definition.name}
    if definition.category is not None:
        document["category"] = definition.category
    document |= {"source": definition.source.value, "event": definition.event}
    where: dict[str, Any] = {}
    if definition.target_text is not None:
        where["target_text"] = definition.target_text
    if definition.filters:
        where["filters"] = [_filter_document(f) for f in definition.filters]
    if where:
        document["where"] = where
    since = ALL_TIME if definition.since is None else definition.since.isoformat()
    document["sync"] = {"enabled": definition.enabled, "since": since}
    document["archived"] = definition.archived
    return document


def _filter_document(condition: Filter) -> dict[str, Any]:
    document: dict[str, Any] = {"property": condition.property, "op": condition.op.value}
    if condition.op not in BARE_OPS:
        many = list(condition.values)
        document["value"] = many[0] if len(many) == 1 else many
    return document
