"""What every table of the warehouse must hold in the end, from what the messages say.

Plain Python over the simulator's logical rows. It shares the names and lengths of columns with the
loader, which are the contract, and none of the code that fills them: it decodes nothing and knows
no batch, cut, file or SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import pyarrow as pa

from loader.errors import UsageError
from loader.local.oracle import event_rows
from loader.local.oracle.identity import Identities, Merge
from loader.local.oracle.matching import Labelled, labelled
from loader.local.oracle.people import users
from loader.local.simulator.stream import TrafficChunk
from loader.model.tables import (
    ALL_EVENTS,
    ALL_EVENTS_COLUMNS,
    PAGEVIEWS,
    RESERVED_TABLES,
    SESSIONS,
    USER_MIGRATIONS,
    USERS,
    TableSpec,
    event_table,
)

Row = dict[str, Any]

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the warehouse's times have no zone
_TIMES: Final = ("time", "joindate", "last_modified", "session_time")


class Oracle:
    """Collects what was sent, then says what must stand.

    The rules: one row per (resolved user, event) in a table, of copies the earliest; the root of a
    merged set is the id that never migrated away, of several or none the smallest; per user property
    the latest write of all ids stands, ties by the order of Kafka, and a null clears.

    Args:
        definitions: labelled events as their files have them; those not enabled or archived keep no
            table here.

    Raises:
        UsageError: two definitions claim one table, or one asks for what cannot be judged here.
    """

    def __init__(self, definitions: Iterable[Mapping[str, Any]] = ()) -> None:
        self._labelled: dict[str, Labelled] = {}
        for document in definitions:
            found = labelled(document)
            if found is None:
                continue
            if found.table in self._labelled or found.table in RESERVED_TABLES:
                raise UsageError(f"definition {document['id']}: {found.table} is taken.")
            self._labelled[found.table] = found
        self._events: list[pa.Table] = []
        self._updates: list[Row] = []
        self._merges: list[Merge] = []
        self._messages: dict[str, int] = {}
        self._rejected: dict[str, int] = {}

    def add(self, chunk: TrafficChunk) -> None:
        """Take a chunk of traffic, of one run or of several; in the order in which they are sent."""
        for topic, messages in chunk.topics.items():
            self._messages[topic] = self._messages.get(topic, 0) + len(messages)
            self._rejected[topic] = self._rejected.get(topic, 0) + messages.refused
        self.add_events(chunk.events.rows())
        self.add_user_updates(chunk.user_updates.rows())
        self.add_user_migrations(chunk.user_migrations.rows())

    def add_events(self, rows: pa.Table) -> None:
        """Take events; columns as ``EVENT_COLUMNS``."""
        self._events.append(_in_micros(rows))

    def add_user_updates(self, rows: pa.Table) -> None:
        """Take user updates in Kafka's order; columns as ``USER_UPDATE_COLUMNS``."""
        self._updates += _in_micros(rows).to_pylist()

    def add_user_migrations(self, rows: pa.Table) -> None:
        """Take migrations: ``from_user_id``, ``to_user_id``, ``time`` (null or 0 is unknown)."""
        self._merges += [
            Merge(row["from_user_id"], row["to_user_id"], row["time"] or 0)
            for row in _in_micros(rows).to_pylist()
        ]

    @property
    def messages(self) -> dict[str, int]:
        """Messages that :meth:`add` took, by topic key, the bad ones too."""
        return dict(self._messages)

    @property
    def rejected(self) -> dict[str, int]:
        """Messages that must end as dead letters, by topic key."""
        return dict(self._rejected)

    def counts(self) -> dict[str, int]:
        """Rows of every table; ``all_events`` is pageviews and event tables, without sessions."""
        identities = Identities(self._merges)
        found = {table: len(keys) for table, keys in self._choose(identities).items()}
        people = {identities.resolve(user) for user in self._seen()}
        people |= {identities.resolve(update["user_id"]) for update in self._updates}
        return {
            **found,
            USERS.name: len(people),
            ALL_EVENTS: sum(rows for table, rows in found.items() if table != SESSIONS.name),
            USER_MIGRATIONS.name: len(identities.rows()),
        }

    def tables(self) -> dict[str, list[Row]]:
        """Every table's rows, ascending by their key. Times are datetimes in UTC without a zone.

        A row has all built-in columns, and custom ones where it has a value; elsewhere they are NULL.
        """
        identities = Identities(self._merges)
        found: dict[str, list[Row]] = {}
        union: list[Row] = []
        for table, chosen in self._choose(identities).items():
            rows = map(_with_times, event_rows.build(spec_of(table), self._events, chosen))
            found[table] = list(rows)
            if table != SESSIONS.name:
                union += [
                    {name: row.get(name, table) for name in ALL_EVENTS_COLUMNS}
                    for row in found[table]
                ]
        key = ("user_id", "event_id", "event_table_name")
        found[ALL_EVENTS] = sorted(union, key=lambda row: tuple(row[name] for name in key))
        people = users(identities, self._seen(), self._updates)
        found[USERS.name] = [_with_times(people[user]) for user in sorted(people)]
        found[USER_MIGRATIONS.name] = [
            _with_times({"from_user_id": old, "to_user_id": new, "time": time})
            for old, new, time in identities.rows()
        ]
        return found

    def _choose(
        self, identities: Identities
    ) -> dict[str, dict[event_rows.Key, event_rows.Standing]]:
        return event_rows.choose(self._events, identities, self._labelled.values())

    def _seen(self) -> dict[int, int]:
        """The earliest event of each raw user id, in microseconds."""
        seen: dict[int, int] = {}
        for rows in self._events:
            ids, times = rows.column("user_id").to_pylist(), rows.column("time").to_pylist()
            for user, time in zip(ids, times, strict=True):
                if user not in seen or time < seen[user]:
                    seen[user] = time
        return seen


def spec_of(table: str) -> TableSpec:
    """The fixed columns of a table of events, of ``users`` or ``user_migrations``."""
    fixed = {spec.name: spec for spec in (USERS, SESSIONS, PAGEVIEWS, USER_MIGRATIONS)}
    return fixed.get(table) or event_table(table)


def _in_micros(rows: pa.Table) -> pa.Table:
    """The same with ``time`` as integer microseconds."""
    place = rows.column_names.index("time")
    return rows.set_column(place, "time", rows.column("time").cast(pa.int64()))


def _with_times(row: Row) -> Row:
    for name in _TIMES:
        if row.get(name) is not None:
            row[name] = _EPOCH + timedelta(microseconds=row[name])
    return row
