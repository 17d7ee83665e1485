"""Sessions that break at a chosen statement, and ones that only watch."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from loader.compactor.executors import Here
from loader.compactor.sync import Parts
from loader.config import Settings
from loader.lake.s3 import S3Store
from loader.warehouse.connection import RedshiftSession, connect
from loader.warehouse.session import Answer, Session
from loader.warehouse.sql import Begin, Commit, Rollback, SelectRows, Statement, UpdateRow

Matches = Callable[[Statement], bool]


class Breaking:
    """A real session whose server loses it once, before or after a statement has run."""

    def __init__(self, session: RedshiftSession, fault: Fault, faults: Path) -> None:
        self._session = session
        self._fault = fault
        self._faults = faults

    def execute(self, statement: Statement) -> Answer:
        if self._fault.due(statement):
            arrange(self._faults, statement, self._fault.when)
        return self._session.execute(statement)

    def close(self) -> None:
        self._session.close()


def control_file(config: Path) -> Path:
    """Where the stand-in of a stack looks for faults (`loader.local.redshift.faults`).

    Args:
        config: the ``heap-loader.toml`` that the stack wrote.
    """
    return config.parent / "data" / "redshift" / "faults.json"


def arrange(faults: Path, statement: Statement, what: str) -> None:
    """Let the stand-in break at the next statement of this text, once.

    Args:
        faults: its control file.
        statement: the one that is sent next.
        what: ``before`` or ``after`` (the connection is dropped before the statement has run, or when
            it has and nobody was told), or ``conflict``.
    """
    # Behind the first parameter the driver sends another text than ours.
    text = statement.render().text.split("%s")[0]
    rule = {"match": "^" + re.escape(text), "nth": 1}
    rule |= {"action": "conflict"} if what == "conflict" else {"action": "drop", "when": what}
    fresh = faults.with_suffix(".new")
    fresh.write_text(json.dumps([rule]), encoding="utf-8")
    fresh.replace(faults)


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

    def session(self, real: RedshiftSession, faults: Path) -> Session:
        return _Stormy(real, self, faults)


class _Stormy:
    def __init__(self, session: RedshiftSession, storm: Storm, faults: Path) -> None:
        self._session = session
        self._storm = storm
        self._faults = faults
        self._places = Places()

    def execute(self, statement: Statement) -> Answer:
        place = self._places.of(statement)
        self._storm.seen[place] += 1
        what = self._storm.due.pop(place, "")
        if not what:
            return self._session.execute(statement)
        self._storm.fired.append(place)
        arrange(self._faults, statement, what)
        self._session.execute(statement)
        raise AssertionError(f"the stand-in did not break at {place}")

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
    control: Path | None = None,
) -> Iterator[Parts]:
    """Real parts with an observer, or with faults of the server, whose control file that takes."""
    store = S3Store.open(settings.lake)

    def opened() -> Session:
        session = connect(settings.warehouse, log)
        if control is None:
            return session
        if storm is not None:
            return storm.session(session, control)
        return session if fault is None else Breaking(session, fault, control)

    assert control is not None or (fault or storm) is None
    yield Parts(store, opened, Here(store))
    if control is not None:
        control.unlink(missing_ok=True)
