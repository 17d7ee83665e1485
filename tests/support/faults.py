"""Sessions that break at a chosen statement, and ones that only watch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from loader.compactor.executors import Here
from loader.compactor.sync import Parts
from loader.config import Settings
from loader.lake.s3 import S3Store
from loader.warehouse.connection import RedshiftSession, connect
from loader.warehouse.errors import ConnectionLost, TransactionConflict
from loader.warehouse.session import Answer, Session
from loader.warehouse.sql import Begin, Commit, Rollback, SelectRows, Statement, UpdateRow

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


#: A statement's place in a sync: what the transaction is about, its text without what changes from
#: sync to sync, and its number among equal ones.
Place = tuple[str, str, int]
_CHANGING = re.compile(
    r"(?<=first_)[0-9a-f]{16}|\d{8}t\d{6}-[0-9a-f]{8}|(?<=(?:_new|amed|ched)_)\d+"
)


class Places:
    """Gives each statement of a connection its place, the same in every try of a transaction."""

    def __init__(self) -> None:
        self._about = ""
        self._seen: Counter[str] = Counter()
        self._in_transaction = False

    def of(self, statement: Statement) -> Place:
        key = None
        if isinstance(statement, SelectRows | UpdateRow) and "_sync_ledger" in statement.table.name:
            claim = "version" in getattr(statement, "values", {"version": 0})
            if claim and ("table_key" in statement.where or not self._in_transaction):
                key = _CHANGING.sub("*", str(statement.where.get("table_key", "all")))
        if key is not None and key != self._about:
            self._about, self._seen = key, Counter()
        if isinstance(statement, Begin | Commit | Rollback):
            self._in_transaction = isinstance(statement, Begin)
        head = re.split(r" \(| AS SELECT", statement.render().shown, maxsplit=1)[0]
        text = _CHANGING.sub("*", head)
        self._seen[text] += 1
        return self._about, text, self._seen[text]


@dataclass
class Storm:
    """Faults at places of one sync, each once.

    Attributes:
        due: what happens where: ``before`` or ``after`` (the connection is lost before the server
            has the statement, or with its answer) or ``conflict`` (1023: another one won).
        seen: every place of the sync, with how often it was met.
    """

    due: dict[Place, str] = field(default_factory=dict)
    seen: Counter[Place] = field(default_factory=Counter)
    fired: list[Place] = field(default_factory=list)

    def session(self, real: RedshiftSession) -> Session:
        return _Stormy(real, self)


class _Stormy:
    def __init__(self, session: RedshiftSession, storm: Storm) -> None:
        self._session = session
        self._storm = storm
        self._places = Places()

    def execute(self, statement: Statement) -> Answer:
        place = self._places.of(statement)
        self._storm.seen[place] += 1
        what = self._storm.due.pop(place, "")
        if what:
            self._storm.fired.append(place)
        if what == "conflict":
            # A COMMIT that meets a conflict ends the transaction, as ROLLBACK does.
            if isinstance(statement, Commit):
                self._session.execute(Rollback())
            raise TransactionConflict("1023")
        if what == "before":
            self._cut()
        answer = self._session.execute(statement)
        if what == "after":
            self._cut()
            # The driver finds out by itself.
            self._session.execute(Rollback())
        return answer

    def _cut(self) -> None:
        self._session._connection._usock.shutdown(2)

    def close(self) -> None:
        self._session.close()


@dataclass
class Log:
    """Every statement that was sent, without secrets."""

    texts: list[str] = field(default_factory=list)

    def __call__(self, _statement: Statement, shown: str) -> None:
        self.texts.append(shown)


@contextmanager
def watched(
    settings: Settings,
    log: Log | None = None,
    fault: Fault | None = None,
    storm: Storm | None = None,
) -> Iterator[Parts]:
    """Real parts, with an observer or faults between the loader and the server."""
    store = S3Store.open(settings.lake)

    def opened() -> Session:
        session = connect(settings.warehouse, log)
        if storm is not None:
            return storm.session(session)
        return session if fault is None else Breaking(session, fault)

    yield Parts(store, opened, Here(store))
