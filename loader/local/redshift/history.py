"""What ran, by whom and when: kept in memory, written when somebody reads a system table.

A row per statement would double the cost of every statement, and nearly nobody reads them. So
sessions note in memory, and a statement that names a log view has the notes written first. As on
Redshift, a transaction with an older snapshot does not see them.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from loader.local.redshift.errormap import to_redshift
from loader.local.redshift.errors import SqlError
from loader.local.redshift.plan import SessionState
from loader.local.redshift.tokens import Kind, Token, tokenize

_VIEWS = ("stl_", "svl_", "svcs_", "sys_", "stv_", "svv_transactions", "pg_last_query_id")
_MANY = 2000  # notes kept before they are written unasked
_BATCH = 200  # rows of one INSERT
_MAX_TEXT = 65535
#: Words before a secret in COPY, UNLOAD, CREATE USER and ALTER USER.
_SECRETS = (
    "credentials", "access_key_id", "secret_access_key", "session_token", "password",
    "master_symmetric_key",
)  # fmt: skip
_QUERIES = ("select", "with", "insert", "update", "delete", "merge", "copy", "unload")
_DDL = ("create", "alter", "drop", "truncate", "comment", "grant", "revoke")
_WRITES = (*_DDL, "insert", "update", "delete", "merge", "copy")


def now() -> datetime:
    """The time, UTC, without zone, as Redshift's logs have it."""
    return datetime.now(UTC).replace(tzinfo=None)


def masked(source: str, tokens: Sequence[Token] | None = None) -> str:
    """A statement's text with its secrets replaced by ``'***'``."""
    lowered = source.lower()
    if not any(word in lowered for word in _SECRETS):
        return source
    try:
        tokens = tokenize(source) if tokens is None else tokens
    except SqlError:
        return ""  # it cannot be told what in it is a secret
    out, at = [], 0
    for place, token in enumerate(tokens[1:], 1):
        back = 2 if tokens[place - 1].is_word("as") else 1
        if token.kind is Kind.STRING and tokens[place - back].is_word(*_SECRETS):
            out += [source[at : token.start], "'***'"]
            at = token.end
    return "".join([*out, source[at:]])


@dataclass(slots=True)
class Note:
    """One statement."""

    user: str
    pid: int
    xid: int
    label: str
    text: str
    start: datetime
    end: datetime | None = None
    query: int = 0  # 0: the next number when it is written
    error: str = ""
    returned: int = 0
    commits: bool = False
    last: dict[str, int] | None = None  # where its number is put for pg_last_query_id()

    @property
    def command(self) -> str:
        """The first word, lower case; ``ctas`` for CREATE TABLE AS."""
        words = self.text.lower().replace("(", " ").split(None, 6)
        first = words[0] if words else ""
        if first == "create" and "table" in words[1:3] and " as " in self.text.lower():
            return "ctas"
        return first

    @property
    def kind(self) -> str:
        """QUERY, DDL or UTILITY, as SVL_STATEMENTTEXT has it."""
        if self.command == "ctas" or self.command in _QUERIES:
            return "QUERY"
        return "DDL" if self.command in _DDL else "UTILITY"

    @property
    def writes(self) -> bool:
        """Whether a commit follows it outside a transaction block."""
        return self.command == "ctas" or self.command in _WRITES

    def ended(self, tag: str, *, still_open: bool, in_block: bool) -> None:
        """What its command tag tells.

        Args:
            tag: of its last command; empty where it failed.
            still_open: whether a transaction block is open behind it.
            in_block: whether one was before it.
        """
        commits = not still_open and (in_block or self.writes) and not self.error
        self.commits = commits and not tag.startswith("ROLLBACK")
        count = tag.rpartition(" ")[2]
        self.returned = int(count) if count.isdigit() else 0


@dataclass(slots=True)
class SessionNote:
    """One connection, from its log-in to its end."""

    user: str
    pid: int
    application: str
    start: datetime
    end: datetime | None = None


@dataclass(slots=True)
class History:
    """All sessions' notes.

    Args:
        query: runs SQL beside all transactions, as the backend's superuser.
    """

    query: Callable[[str], Awaitable[list[list[str | None]]]]
    _done: list[Note] = field(default_factory=list)
    _running: dict[int, Note] = field(default_factory=dict)
    _sessions: dict[int, SessionNote] = field(default_factory=dict)
    _gone: list[SessionNote] = field(default_factory=list)
    _xids: itertools.count[int] = field(default_factory=lambda: itertools.count(int(time.time())))

    def transaction(self) -> int:
        """A new transaction's number."""
        return next(self._xids)

    def came(self, session: SessionNote) -> None:
        """A client has logged in."""
        self._sessions[session.pid] = session

    def left(self, pid: int) -> None:
        """A client is gone."""
        self._running.pop(pid, None)
        if session := self._sessions.pop(pid, None):
            session.end = now()
            self._gone.append(session)

    def begin(self, note: Note) -> None:
        """A statement starts."""
        self._running[note.pid] = note

    async def end(self, note: Note) -> None:
        """It has ended, well or not."""
        note.end = now()
        self._running.pop(note.pid, None)
        self._done.append(note)
        if len(self._done) >= _MANY:
            await self.flush()

    async def read_by(self, tokens: Sequence[Token]) -> None:
        """Write the notes where a statement is about to read them."""
        if any(token.is_name and token.value.startswith(_VIEWS) for token in tokens):
            await self.flush()

    async def flush(self) -> None:
        """Write all notes, and what runs at the moment."""
        done, self._done = self._done, []
        for note in done:
            if not note.query:
                note.query = int(str((await self.query(_NEXT))[0][0]))
            if note.last is not None and note.kind == "QUERY":
                note.last["query"] = note.query
        for at in range(0, len(done), _BATCH):
            rows = ", ".join(_row(note) for note in done[at : at + _BATCH])
            await self.query(f"INSERT INTO pg_stand_in.statement {_COLUMNS} VALUES {rows}")  # noqa: S608
        gone, self._gone = self._gone, []
        await self.query("DELETE FROM pg_stand_in.session_log WHERE endtime IS NULL")
        sessions = ", ".join(_session(each) for each in [*gone, *self._sessions.values()])
        if sessions:
            await self.query(f"INSERT INTO pg_stand_in.session_log VALUES {sessions}")  # noqa: S608
        await self.query("DELETE FROM pg_stand_in.statement WHERE endtime IS NULL")
        running = ", ".join(_row(note) for note in self._running.values())
        if running:
            await self.query(f"INSERT INTO pg_stand_in.statement {_COLUMNS} VALUES {running}")  # noqa: S608


class Notes:
    """One session's part of the history.

    Attributes:
        xid: number of the open transaction; 0 for none.
        last: number of the last query, under ``query``.
    """

    def __init__(self, history: History, user: str, pid: int) -> None:
        self._history = history
        self._user = user
        self._pid = pid
        self._label = ""  # SET query_group
        self.xid = 0
        self.last = {"query": -1}

    @asynccontextmanager
    async def statement(
        self,
        source: str,
        state: SessionState,
        in_block: bool,
        outcome: Callable[[], tuple[str, bool]],
    ) -> AsyncIterator[Note]:
        """Note a statement, from its begin to its end.

        Args:
            source: its text.
            state: the session's; a COPY or UNLOAD puts its number there.
            in_block: whether a transaction block is open before it.
            outcome: its command tag, and whether a block is open behind it.
        """
        self.xid = self.xid or self._history.transaction()
        note = Note(
            self._user, self._pid, self.xid, self._label, masked(source), now(), last=self.last
        )
        numbers = (state.copy_id, state.unload_id)
        self._history.begin(note)
        try:
            yield note
        except SqlError as error:
            note.error = to_redshift(error).message
            raise
        finally:
            tag, open_ = outcome()
            note.ended(tag, still_open=open_, in_block=in_block)
            if state.copy_id != numbers[0]:
                note.query = state.copy_id
            elif state.unload_id != numbers[1]:
                note.query = state.unload_id
            if note.command in ("set", "reset") and not note.error:
                self._label = _label(source, self._label)
            await self._history.end(note)


def _label(source: str, before: str) -> str:
    """The query group behind a SET or RESET."""
    tokens = [token for token in tokenize(source) if not token.is_word("session", "local")]
    if len(tokens) < 2 or not tokens[1].is_word("query_group"):
        return before
    value = tokens[3].value if len(tokens) > 3 else ""
    return "" if tokens[0].is_word("reset") or value == "default" else value


_NEXT = "SELECT nextval('pg_stand_in.query_id')"
_COLUMNS = (
    "(query, userid, label, xid, pid, body, kind, command, starttime, endtime, aborted, message,"
    " returned, commits)"
)


def _text(value: str) -> str:
    # The side connection has PostgreSQL's standard strings: a backslash is a letter. NUL is none.
    return "'" + value.replace("\0", "").replace("'", "''") + "'"


def _user(name: str) -> str:
    return f"(SELECT oid::int FROM pg_roles WHERE rolname = {_text(name)})"  # noqa: S608 - quoted


def _time(value: datetime | None) -> str:
    return "NULL" if value is None else f"'{value.isoformat(' ')}'"


def _row(note: Note) -> str:
    values = (
        str(note.query), _user(note.user), _text(note.label), str(note.xid), str(note.pid),
        _text(note.text[:_MAX_TEXT]), _text(note.kind), _text(note.command), _time(note.start),
        _time(note.end), str(int(bool(note.error))), _text(note.error), str(note.returned),
        str(note.commits).lower(),
    )  # fmt: skip
    return f"({', '.join(values)})"


def _session(session: SessionNote) -> str:
    values = (
        _user(session.user), _text(session.user), str(session.pid), _text(session.application),
        _time(session.start), _time(session.end),
    )  # fmt: skip
    return f"({', '.join(values)})"
