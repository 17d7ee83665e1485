"""A session with the warehouse, as the loader's own code sees it. Small, so that tests can wrap it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from loader.warehouse.errors import ConnectionLost
from loader.warehouse.sql import Begin, Commit, Rollback, Statement


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement gave.

    Attributes:
        rows: result rows; empty for a statement without any.
        count: rows inserted, updated or deleted; -1 where the server does not say (COPY, DDL).
    """

    rows: tuple[tuple[Any, ...], ...] = ()
    count: int = -1


class Session(Protocol):
    """One connection, in autocommit: transactions are statements like any other."""

    def execute(self, statement: Statement) -> Answer:
        """Run one statement.

        Raises:
            StatementRefused: the server refused it; the session stays usable after a rollback.
            ConnectionLost: the socket broke; the session is closed.
            TransactionConflict: the transaction is to be tried again as a whole.
        """
        ...

    def close(self) -> None:
        """Close the connection; an open transaction is dropped by the server."""
        ...


#: Sees each statement before it is sent: its text without secrets.
Observer = Callable[[Statement, str], None]

#: Opens a session.
Connect = Callable[[], Session]


class CommitUnknown(Exception):
    """The connection was lost while committing: only the ledger knows what came of it."""


@contextmanager
def transaction(session: Session) -> Iterator[None]:
    """``BEGIN`` .. ``COMMIT``; any exception inside drops it.

    Raises:
        CommitUnknown: the answer to COMMIT was lost.
    """
    session.execute(Begin())
    try:
        yield
    except ConnectionLost:
        raise
    except BaseException:
        _rollback_quietly(session)
        raise
    try:
        session.execute(Commit())
    except ConnectionLost as error:
        raise CommitUnknown from error


def _rollback_quietly(session: Session) -> None:
    """Drop the transaction; where that fails too, closing drops it."""
    try:
        session.execute(Rollback())
    except Exception:  # noqa: BLE001
        session.close()
