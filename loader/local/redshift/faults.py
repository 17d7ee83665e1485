"""Faults on purpose, for crash tests: a chosen statement is lost, held or refused.

The control file is a JSON list of rules, read again whenever it changes::

    [{"match": "^commit", "when": "after", "nth": 2, "action": "drop"},
     {"match": "^copy", "when": "after", "action": "pause",
      "marker": "/tmp/x/paused", "until_gone": "/tmp/x/hold"},
     {"match": "^insert", "action": "delay", "seconds": 0.2},
     {"match": "^delete", "action": "fail", "code": "XX000", "message": "Disk Full"},
     {"match": "^commit", "action": "conflict"}]

``match`` is a regular expression searched in the client's own statement, case-insensitively; ``.``
counts every statement of every session. ``when`` is ``before`` (the backend has not seen the
statement) or ``after`` (it has run, and outside a transaction block has committed, but the client has
no answer yet). ``nth`` counts from 1, per rule, over all sessions, since the file was last changed;
without it every match fires. ``marker`` is created when a rule fires, whatever it does.

====================  ==========================================================================
``drop``              closes the connection without an answer; the backend's open transaction is
                      rolled back, as Redshift does when it misses a client
``pause``             holds the statement until ``until_gone`` is removed or the client is gone: a
                      client that dies during ``before`` leaves no trace of the statement
``delay``             holds it for ``seconds``
``fail``              answers with ``code``, ``message`` and ``detail``. The transaction is aborted;
                      at COMMIT it is rolled back and over; ``after`` and outside a block the
                      statement stands although the client is told that it failed
``conflict``          ``fail`` with Redshift's serializable isolation violation (1023)
====================  ==========================================================================
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from loader.local.redshift.errors import CYCLE, VIOLATION, SqlError

_POLL_SECONDS = 0.02


class Dropped(Exception):
    """A rule says: close this client's connection now, without an answer."""


class Rule(BaseModel):
    """One rule of the control file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    match: str
    when: Literal["before", "after"] = "before"
    action: Literal["drop", "pause", "delay", "fail", "conflict"]
    nth: int | None = Field(default=None, ge=1)
    marker: Path | None = None
    until_gone: Path | None = None
    seconds: float = Field(default=0.0, ge=0)
    code: str = Field(default="XX000", pattern="^[0-9A-Z]{5}$")
    message: str = "stand-in: failed on purpose"
    detail: str = ""

    @property
    def error(self) -> SqlError | None:
        """What the client is told; none where the rule refuses nothing."""
        if self.action == "conflict":
            return SqlError("XX000", "1023", f"{VIOLATION} 0, {CYCLE} 0")
        if self.action == "fail":
            return SqlError(self.code, self.message, self.detail)
        return None


_RULES = TypeAdapter(list[Rule])


class Faults:
    """The rules in force and how often each has matched.

    Args:
        control_file: where the rules stand; none or an absent file = no rules.
    """

    def __init__(self, control_file: Path | None) -> None:
        self._file = control_file
        self._stamp: tuple[int, int] | None = None
        self._rules: list[Rule] = []
        self._seen: list[int] = []

    def _reload(self) -> None:
        try:
            stat = self._file.stat() if self._file else None
        except FileNotFoundError:
            stat = None
        stamp = (stat.st_mtime_ns, stat.st_ino) if stat else None
        if stamp == self._stamp:
            return
        self._stamp = stamp
        text = self._file.read_text(encoding="utf-8") if self._file and stat else "[]"
        try:
            self._rules = _RULES.validate_json(text)
        except ValidationError as error:
            self._rules = []
            first = error.errors(include_url=False)[0]["msg"]
            raise SqlError("XX000", f"stand-in: control file is wrong: {first}") from None
        self._seen = [0] * len(self._rules)

    def _due(self, when: str, sql: str) -> Rule | None:
        self._reload()
        due = None
        for index, rule in enumerate(self._rules):
            if rule.when == when and re.search(rule.match, sql, re.IGNORECASE):
                self._seen[index] += 1
                if rule.nth in (None, self._seen[index]):
                    due = due or rule
        return due

    def due(self, when: Literal["before", "after"], sql: str) -> Rule | None:
        """The rule that fires now, counting this statement.

        Raises:
            SqlError: the control file cannot be understood.
        """
        return self._due(when, sql) if self._file else None


async def act(rule: Rule, gone: asyncio.Event) -> None:
    """Do what the rule says.

    Args:
        rule: a rule that is due.
        gone: set when the client has closed its connection.

    Raises:
        Dropped: the connection has to be closed.
        SqlError: the statement has to be answered with this.
    """
    if rule.marker:
        rule.marker.touch()
    if rule.action == "drop":
        raise Dropped
    if rule.error is not None:
        raise rule.error
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(gone.wait(), rule.seconds)
    while rule.until_gone and rule.until_gone.exists():
        if gone.is_set():
            break
        await asyncio.sleep(_POLL_SECONDS)
    if gone.is_set():
        raise Dropped
