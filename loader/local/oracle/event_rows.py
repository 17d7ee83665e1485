"""Rows of ``sessions``, ``pageviews`` and event tables: which raw event stands, and how it looks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from loader.local.oracle.identity import Identities
from loader.local.oracle.matching import Labelled
from loader.local.oracle.values import custom_columns, cut, text_of
from loader.model.tables import CUSTOM_BYTES, PAGEVIEWS, SESSIONS, TableKind, TableSpec

Row = dict[str, Any]
#: (resolved user, event).
Key = tuple[int, int]

_FIXED: Final = {"session": SESSIONS.name, "pageview": PAGEVIEWS.name}
_COLUMNS: Final = frozenset({"event_id", "user_id", "type", "time"})


@dataclass(frozen=True, slots=True)
class Standing:
    """The copy of an event that stands: its time (microseconds), and where it is kept."""

    time: int
    part: int
    place: int


def choose(
    parts: Sequence[pa.Table], identities: Identities, definitions: Iterable[Labelled]
) -> dict[str, dict[Key, Standing]]:
    """For each table the copy that stands of each of its events: the earliest, then the first.

    Only the columns that decide are read.

    Args:
        parts: raw events, columns as ``EVENT_COLUMNS`` with ``time`` in microseconds.
        identities: who is who.
        definitions: labelled events that keep a table.
    """
    chosen: dict[str, dict[Key, Standing]] = {SESSIONS.name: {}, PAGEVIEWS.name: {}}
    by_type: dict[str, list[Labelled]] = {}
    wanted = set(_COLUMNS)
    for each in definitions:
        chosen[each.table] = {}
        wanted |= each.columns
        by_type.setdefault("custom" if each.source == "custom" else each.event, []).append(each)
    for part, rows in enumerate(parts):
        for place, row in _interesting(rows, wanted, {*_FIXED, *by_type}):
            tables = [each.table for each in by_type.get(row["type"], ()) if each.takes(row)]
            if row["type"] in _FIXED:
                tables.append(_FIXED[row["type"]])
            key = (identities.resolve(row["user_id"]), row["event_id"])
            for table in tables:
                before = chosen[table].get(key)
                if before is None or row["time"] < before.time:
                    chosen[table][key] = Standing(row["time"], part, place)
    return chosen


def _interesting(
    rows: pa.Table, columns: Iterable[str], types: set[str]
) -> Iterator[tuple[int, Row]]:
    """Places and rows of some types, cut down to some columns."""
    mask = pc.is_in(rows.column("type"), value_set=pa.array(sorted(types)))
    places = pc.indices_nonzero(mask).to_pylist()
    kept = rows.select(sorted(columns)).filter(mask)
    names = kept.column_names
    values = zip(*(kept.column(name).to_pylist() for name in names), strict=True)
    for place, row in zip(places, values, strict=True):
        yield place, dict(zip(names, row, strict=True))


def build(
    spec: TableSpec, parts: Sequence[pa.Table], chosen: Mapping[Key, Standing]
) -> Iterator[Row]:
    """The rows of one table, ascending by user and event; times in microseconds."""
    raw: dict[tuple[int, int], Row] = {}
    for part, rows in enumerate(parts):
        places = [stands.place for stands in chosen.values() if stands.part == part]
        if places:
            found = rows.take(pa.array(places)).to_pylist()
            raw |= {(part, place): row for place, row in zip(places, found, strict=True)}
    built_in = frozenset(spec.column_names)
    levels: tuple[str, ...] = ("session_properties",)
    if spec.kind is not TableKind.SESSIONS:
        levels = ("properties", *levels)
    for (user, _), stands in sorted(chosen.items(), key=lambda item: item[0]):
        source = raw[stands.part, stands.place] | {"user_id": user}
        row: Row = {}
        for column in spec.columns:
            value = _built_in(column.name, source)
            row[column.name] = cut(value, column.length) if column.length else value
        yield row | custom_columns([source[name] for name in levels], built_in, CUSTOM_BYTES)


def _built_in(name: str, source: Row) -> Any:
    if name == "session_time":
        return _session_time(source)
    if name == "type" and source["type"] == "custom" and source["name"] is not None:
        return source["name"]  # a custom event's type is its own name
    if name == "referrer" and source["referrer"] in {"", "direct"}:
        return None  # nobody refers a visitor who typed the address
    return source[name]


def _session_time(source: Row) -> int | None:
    """Integer microseconds where the event carries them; text is not judged here."""
    text = text_of(dict(source["extra"] or ()).get("session_time"))
    return int(text) if text is not None and text.isdecimal() else None
