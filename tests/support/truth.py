"""What the tables of the warehouse are to hold, said again in plain Python, one row at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from loader.model.events import USER_UPDATE_TEXT_FIELDS
from loader.model.names import column_name
from loader.model.tables import PAGEVIEWS, SESSIONS, USERS, TableSpec, event_table

Row = dict[str, Any]
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the warehouse's times have no zone
SYSTEM = {"oid", "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid", "insertxid", "deletexid"}


def moment(micros: int | None) -> datetime | None:
    """Microseconds as the warehouse shows them."""
    return None if micros is None else EPOCH + timedelta(microseconds=micros)


@dataclass
class Truth:
    """Everything that was written, and what it means."""

    events: list[tuple[int, int, Row]] = field(default_factory=list)
    updates: list[tuple[int, int, Row]] = field(default_factory=list)
    merges: list[tuple[int, int, int]] = field(default_factory=list)

    def root(self, user: int) -> int:
        """Who an id is now."""
        member = {user}
        while True:
            more = {x for a, b, _ in self.merges if {a, b} & member for x in (a, b)} | member
            if more == member:
                break
            member = more
        leaves = {a for a, b, _ in self.merges if a != b}
        stayed = member - leaves
        return min(stayed or member)

    def merge_time(self, root: int) -> int | None:
        """The latest merge of a person."""
        times = [t for a, _, t in self.merges if t and self.root(a) == root]
        return max(times, default=None)

    def user_migrations(self) -> list[Row]:
        """The table ``user_migrations``; each id's own latest time of leaving."""
        ids = {x for a, b, _ in self.merges for x in (a, b)}
        rows = []
        for user in ids:
            root = self.root(user)
            if root == user:
                continue
            own = [t for a, _, t in self.merges if a == user and t]
            into = [t for _, b, t in self.merges if b == user and t]
            time = max(own or into, default=None)
            rows.append({"from_user_id": user, "to_user_id": root, "time": moment(time)})
        return rows

    def sessions(self) -> list[Row]:
        """The table ``sessions``."""
        return self._table(SESSIONS, lambda row: row["type"] == "session", ("session_properties",))

    def pageviews(self) -> list[Row]:
        """The table ``pageviews``."""
        return self._table(PAGEVIEWS, lambda row: row["type"] == "pageview")

    def event(self, matches: Callable[[Row], bool]) -> list[Row]:
        """The table of a definition that takes what ``matches`` says."""
        return self._table(event_table("x"), matches)

    def _table(
        self,
        spec: TableSpec,
        matches: Callable[[Row], bool],
        levels: tuple[str, ...] = ("properties", "session_properties"),
    ) -> list[Row]:
        best: dict[tuple[int, int], tuple[tuple[int, int, int], Row]] = {}
        for partition, offset, row in self.events:
            if not matches(row):
                continue
            key = (self.root(row["user_id"]), row["event_id"])
            rank = (row["time"], partition, offset)
            if key not in best or rank < best[key][0]:
                best[key] = (rank, row)
        return [self._event_row(spec, user, row, levels) for (user, _), (_, row) in best.items()]

    def _event_row(self, spec: TableSpec, user: int, row: Row, levels: tuple[str, ...]) -> Row:
        out: Row = {}
        for column in spec.columns:
            value = row.get(column.name)
            if column.name == "user_id":
                value = user
            elif column.name == "time":
                value = moment(value)
            elif column.name == "session_time":
                value = moment((row.get("extra") or {}).get("session_time"))
            elif column.name == "type" and value == "custom" and row.get("name") is not None:
                value = row["name"]
            elif column.name == "referrer" and value in ("", "direct"):
                value = None
            out[column.name] = cut(value, column.length) if column.length else value
        sources = [(n, p, v) for n, level in enumerate(levels) for p, v in leaves(row.get(level))]
        return out | custom(spec, sources)

    def users(self) -> list[Row]:
        """The table ``users``."""
        seen: dict[int, int] = {}
        for _, _, row in (*self.events, *self.updates):
            user = self.root(row["user_id"])
            seen[user] = min(seen.get(user, row["time"]), row["time"])
        writes: dict[tuple[int, str, str], tuple[tuple[int, int, int], Any]] = {}
        for partition, offset, row in self.updates:
            user, rank = self.root(row["user_id"]), (row["time"], partition, offset)
            for kind, name, value in said(row):
                key = (user, kind, name)
                if key not in writes or rank > writes[key][0]:
                    writes[key] = (rank, value)
        rows = []
        for user, joined in seen.items():
            own = {(k, n): (r, v) for (u, k, n), (r, v) in writes.items() if u == user}
            times = [rank[0] for rank, _ in own.values()]
            merged = self.merge_time(user)
            if merged is not None:
                times.append(merged)
            person: Row = {"user_id": user, "joindate": moment(joined)}
            person["last_modified"] = moment(max(times, default=None))
            for name in USER_UPDATE_TEXT_FIELDS:
                person[name] = own.get(("field", name), (None, None))[1]
            properties = {n: v for (k, n), (_, v) in own.items() if k == "property"}
            rows.append(person | custom(USERS, [(0, p, v) for p, v in leaves(properties)]))
        return rows


def said(update: Row) -> Iterable[tuple[str, str, Any]]:
    """What one user update writes."""
    for name in USER_UPDATE_TEXT_FIELDS:
        if update.get(name) is not None:
            yield "field", name, update[name]
        elif name in (update.get("cleared") or ()):
            yield "field", name, None
    for name, value in (update.get("properties") or {}).items():
        yield "property", name, value


def leaves(properties: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Properties as texts, objects by their leaves."""
    found = []
    for name, value in (properties or {}).items():
        if isinstance(value, dict):
            found += leaves({f"{name}_{key}": inner for key, inner in value.items()})
        elif isinstance(value, str):
            found.append((name, value))
        elif value is not None:
            plain = not isinstance(value, list)
            found.append(
                (
                    name,
                    json.dumps(
                        value, separators=None if plain else (", ", ": "), ensure_ascii=False
                    ),
                )
            )
    return found


def custom(spec: TableSpec, sources: list[tuple[int, str, str]]) -> Row:
    """Columns of custom properties: the first by level and name that has a value."""
    out: Row = {}
    for _, name, value in sorted(sources, reverse=True):
        out[column_name(name, frozenset(spec.column_names) | SYSTEM)] = cut(value, 1024)
    return out


def cut(text: str | None, length: int) -> str | None:
    """At most ``length`` bytes, whole characters."""
    if text is None:
        return None
    return text.replace("\0", "").encode()[:length].decode(errors="ignore")


def comparable(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Rows in an order of their own, without nulls, as text."""
    return sorted(
        json.dumps({k: v for k, v in row.items() if v is not None}, default=str, sort_keys=True)
        for row in rows
    )
