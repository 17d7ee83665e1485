"""What the proxy does with one statement: hand it on, rewritten, or run it as a script of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from loader.local.redshift.backend import Backend, Rows
from loader.local.redshift.config import StandInConfig
from loader.local.redshift.names import LongNames


@dataclass(frozen=True, slots=True)
class Write:
    """What a statement writes.

    Attributes:
        table: the target as SQL.
        bulk: INSERT ... SELECT, which fills an empty table in sort order (AWS docs: Deep copy).
        merge: MERGE, which may insert, update and delete.
    """

    table: str
    bulk: bool
    merge: bool = False


class LoadLog(Protocol):
    """Writes load history outside the client's transaction, so that a rollback keeps it."""

    async def write(self, table: str, row: dict[str, object]) -> None:
        """Add one row to a table of the side schema."""

    async def write_all(self, table: str, rows: Sequence[dict[str, object]]) -> None:
        """Add rows with the same columns."""


@dataclass(slots=True)
class SessionState:
    """What a session remembers beside its transaction.

    Attributes:
        copy_count: rows of the last COPY (AWS docs: PG_LAST_COPY_COUNT).
        copy_id: query id of the last COPY, -1 for none.
        unload_count: rows of the last UNLOAD.
        unload_id: query id of the last UNLOAD, -1 for none.
        fold_quoted: ``enable_case_sensitive_identifier`` is off.
    """

    copy_count: int = 0
    copy_id: int = -1
    unload_count: int = 0
    unload_id: int = -1
    fold_quoted: bool = True


class Engine(Protocol):
    """The session, as a script sees it."""

    @property
    def config(self) -> StandInConfig:
        """The stand-in's configuration."""

    @property
    def backend(self) -> Backend:
        """The session's own backend connection."""

    @property
    def state(self) -> SessionState:
        """The session's memory."""

    @property
    def names(self) -> LongNames:
        """The long names known so far."""

    @property
    def log(self) -> LoadLog:
        """Where load history goes."""

    @property
    def in_transaction(self) -> bool:
        """Whether the client has opened a transaction block."""

    async def run(self, sql: str) -> Rows:
        """Run a command in the client's transaction, unseen by the client."""

    async def commit(self) -> None:
        """End the client's transaction block, if it is in one."""

    async def notify(self, severity: str, message: str) -> None:
        """Send a notice."""

    async def late_view_made(self, view: str) -> None:
        """Tell that a late-binding view of this name may exist from now on."""


@dataclass(frozen=True, slots=True)
class Pass:
    """Forwarded to the backend.

    Attributes:
        sql: rewritten text.
        lock: relation to lock first, since writes hold a table lock on Redshift; empty for none.
        copy_state: the text reads ``pg_last_copy_count`` or another memory of the session's loads.
        late_bound: views were expanded, so the text holds only until one of them changes.
        write: the table that it writes, whose rows have to be noted behind it.
        check: a query to run first, that fails where the statement may not run; empty for none.
    """

    sql: str
    lock: str = ""
    copy_state: bool = False
    late_bound: bool = False
    check: str = ""
    write: Write | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """Run by the proxy on Execute; takes no parameters and returns no rows.

    ``action`` returns the command tag.
    """

    action: Callable[[Engine], Awaitable[str]]


Plan = Pass | Script


def commands(*sql: str, tag: str) -> Script:
    """A script of fixed commands."""

    async def action(engine: Engine) -> str:
        for command in sql:
            await engine.run(command)
        return tag

    return Script(action)
