"""The tables of the warehouse: columns, types, lengths, sort and dist keys. Declared here only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from loader.model.events import INTERACTION_FIELDS, PAGEVIEW_FIELDS, SESSION_FIELDS

#: Bytes of a text column; a longer value is cut at a UTF-8 boundary and counted.
URL_BYTES: Final = 2048
TEXT_BYTES: Final = 512
NAME_BYTES: Final = 256
CUSTOM_BYTES: Final = 1024

_LENGTHS: Final = {
    "referrer": URL_BYTES,
    "landing_page": URL_BYTES,
    "landing_page_query": URL_BYTES,
    "landing_page_hash": URL_BYTES,
    "path": URL_BYTES,
    "query": URL_BYTES,
    "hash": URL_BYTES,
    "heap_previous_page": URL_BYTES,
    "href": URL_BYTES,
    "title": TEXT_BYTES,
    "target_text": TEXT_BYTES,
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a warehouse table.

    Attributes:
        name: the identifier.
        kind: ``BIGINT``, ``TIMESTAMP``, ``INTEGER`` or ``VARCHAR``.
        length: bytes of a VARCHAR, 1 to 65,535; 0 for the other kinds.
        nullable: false adds NOT NULL.
    """

    name: str
    kind: str
    length: int = 0
    nullable: bool = True

    @property
    def sql_type(self) -> str:
        """The type as SQL, e.g. ``VARCHAR(512)``."""
        return f"{self.kind}({self.length})" if self.length else self.kind


class TableKind(StrEnum):
    """How a table comes to be: which rows it takes and whether it grows custom columns."""

    USERS = "users"
    SESSIONS = "sessions"
    PAGEVIEWS = "pageviews"
    EVENT = "event"
    USER_MIGRATIONS = "user_migrations"


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A table's fixed part. Custom properties add columns after ``columns``, never before."""

    name: str
    kind: TableKind
    columns: tuple[Column, ...]
    sort_key: str | None
    dist_key: str | None

    @property
    def column_names(self) -> tuple[str, ...]:
        """The built-in columns' names, in order."""
        return tuple(column.name for column in self.columns)


def bigint(name: str, *, nullable: bool = True) -> Column:
    """A BIGINT column."""
    return Column(name, "BIGINT", nullable=nullable)


def timestamp(name: str, *, nullable: bool = True) -> Column:
    """A TIMESTAMP column: UTC, without zone, microseconds."""
    return Column(name, "TIMESTAMP", nullable=nullable)


def text(name: str) -> Column:
    """A built-in VARCHAR column with its declared length."""
    return Column(name, "VARCHAR", _LENGTHS.get(name, NAME_BYTES))


def custom(name: str) -> Column:
    """The column of a custom property."""
    return Column(name, "VARCHAR", CUSTOM_BYTES)


_EVENT_KEY = (
    bigint("event_id", nullable=False),
    bigint("user_id", nullable=False),
    bigint("session_id", nullable=False),
    timestamp("time", nullable=False),
)

SESSIONS: Final = TableSpec(
    "sessions",
    TableKind.SESSIONS,
    (*_EVENT_KEY, *map(text, SESSION_FIELDS)),
    "time",
    "user_id",
)

_PAGEVIEW_COLUMNS = (
    *_EVENT_KEY,
    timestamp("session_time"),
    *map(text, SESSION_FIELDS),
    *map(text, PAGEVIEW_FIELDS),
)

PAGEVIEWS: Final = TableSpec("pageviews", TableKind.PAGEVIEWS, _PAGEVIEW_COLUMNS, "time", "user_id")

USERS: Final = TableSpec(
    "users",
    TableKind.USERS,
    (
        bigint("user_id", nullable=False),
        text("identity"),
        text("handle"),
        text("email"),
        timestamp("joindate"),
        timestamp("last_modified"),
    ),
    "joindate",
    "user_id",
)

USER_MIGRATIONS: Final = TableSpec(
    "user_migrations",
    TableKind.USER_MIGRATIONS,
    (
        bigint("from_user_id", nullable=False),
        bigint("to_user_id", nullable=False),
        timestamp("time"),
    ),
    "time",
    "from_user_id",
)


def event_table(name: str) -> TableSpec:
    """The table of one labelled event."""
    columns = (*_PAGEVIEW_COLUMNS, text("type"), *map(text, INTERACTION_FIELDS))
    return TableSpec(name, TableKind.EVENT, columns, "time", "user_id")


ALL_EVENTS: Final = "all_events"
ALL_EVENTS_COLUMNS: Final = ("event_id", "user_id", "session_id", "time", "event_table_name")
SYNC_INFO: Final = "_sync_info"
SYNC_INFO_ALIAS: Final = "sync_info"
SYNC_HISTORY: Final = "_sync_history"
SYNC_LEDGER: Final = "_sync_ledger"

#: Names that no labelled event may take.
RESERVED_TABLES: Final = frozenset(
    {
        "users",
        "sessions",
        "pageviews",
        "user_migrations",
        ALL_EVENTS,
        SYNC_INFO,
        SYNC_INFO_ALIAS,
        SYNC_HISTORY,
        SYNC_LEDGER,
    }
)
