"""Sessions that break at a chosen statement, and ones that only watch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from loader.compactor.executors import Here
from loader.compactor.sync import Parts
from loader.config import Settings
from loader.lake.s3 import S3Store
from loader.warehouse.connection import RedshiftSession, connect
from loader.warehouse.errors import ConnectionLost
from loader.warehouse.session import Answer, Session
from loader.warehouse.sql import Statement

Matches = Callable[[Statement], bool]


class Breaking:
    """A real session that loses its connection once, before or after a statement has run."""

    def __init__(self, session: RedshiftSession, fault: Fault) -> None:
        self._session = session
        self._fault = fault

    def execute(self, statement: Statement) -> Answer:
        due = self._fault.due(statement)
        if due and self._fault.when == "before":
            self._session.close()
            raise ConnectionLost("lost before the statement")
        answer = self._session.execute(statement)
        if due:
            self._session.close()
            raise ConnectionLost("lost before the answer")
        return answer

    def close(self) -> None:
        self._session.close()


@dataclass
class Fault:
    """Where to break: at the ``nth`` statement (from 1) that ``matches``, once."""

    matches: Matches
    when: str
    nth: int = 1
    seen: int = 0

    @property
    def fired(self) -> bool:
        return self.seen >= self.nth

    def due(self, statement: Statement) -> bool:
        if self.fired or not self.matches(statement):
            return False
        self.seen += 1
        return self.fired


@dataclass
class Log:
    """Every statement that was sent, without secrets."""

    texts: list[str] = field(default_factory=list)

    def __call__(self, _statement: Statement, shown: str) -> None:
        self.texts.append(shown)


@contextmanager
def watched(
    settings: Settings, log: Log | None = None, fault: Fault | None = None
) -> Iterator[Parts]:
    """Real parts, with an observer or a fault between the loader and the server."""
    store = S3Store.open(settings.lake)

    def opened() -> Session:
        session = connect(settings.warehouse, log)
        return session if fault is None else Breaking(session, fault)

    yield Parts(store, opened, Here(store))
