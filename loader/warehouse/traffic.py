"""Counts what is sent: statements, and commits, for which a whole cluster has one queue."""

from __future__ import annotations

from dataclasses import dataclass

from loader.warehouse.session import Answer, Session
from loader.warehouse.sql import Begin, Commit, Rollback, Statement

_READS = ("SELECT", "SET ", "SHOW")


@dataclass(slots=True)
class Traffic:
    """Statements sent, those that reads are made of included, and commits among them.

    A statement that changes something outside a transaction is a commit of its own.
    """

    statements: int = 0
    commits: int = 0


class Counted:
    """A session that counts.

    Args:
        session: the real one.
        traffic: what is counted up.
    """

    def __init__(self, session: Session, traffic: Traffic) -> None:
        self._session = session
        self._traffic = traffic
        self._in_transaction = False

    def execute(self, statement: Statement) -> Answer:
        """See :class:`~loader.warehouse.session.Session`."""
        self._traffic.statements += 1
        answer = self._session.execute(statement)
        match statement:
            case Begin():
                self._in_transaction = True
            case Commit():
                self._in_transaction = False
                self._traffic.commits += 1
            case Rollback():
                self._in_transaction = False
            case _ if not self._in_transaction:
                self._traffic.commits += not statement.render().text.startswith(_READS)
        return answer

    def close(self) -> None:
        """See :class:`~loader.warehouse.session.Session`."""
        self._session.close()
