"""Runs cases: one session for most of them, each case in a transaction that is rolled back."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Self

from tests.conformance.case import ANYTHING, AUTH, S3, SCHEMA, TABLES, Case, Expect, Fails, Ok, Step
from tests.conformance.clients import Answer, Client, Target, open_client

PutObject = Callable[[str, bytes], None]
_PATIENCE = 30.0  # seconds for a lock to be waited for, or to be given


@dataclass(frozen=True, slots=True)
class Lake:
    """Where COPY and UNLOAD may go.

    Attributes:
        prefix: ``s3://bucket/prefix``, without a slash at the end.
        auth: the authorization clause.
        put: writes an object under the prefix.
    """

    prefix: str
    auth: str
    put: PutObject


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one case went through one client.

    Attributes:
        case: the case.
        client: the client.
        fault: what was different, empty where it holds.
        skipped: why it was not run, empty where it was.
    """

    case: Case
    client: str
    fault: str = ""
    skipped: str = ""


def matches(pattern: str, text: str) -> bool:
    """Whether ``text`` is ``pattern``, in which ``…`` stands for anything."""
    parts = (re.escape(part) for part in pattern.split(ANYTHING))
    return re.fullmatch(".*".join(parts), text, re.DOTALL) is not None


def fault_of(expect: Expect, got: Answer) -> str:
    """What is wrong with an answer; empty for nothing."""
    if isinstance(expect, Fails):
        return _fault_of_refusal(expect, got)
    if got.code:
        return f"{got.code}: {got.message}"
    if isinstance(expect, Ok):
        return _fault_of_notices(expect, got.notices)
    same = got.rows is None or got.rows == expect.rows
    return "" if same else f"rows {got.rows!r}"


def _fault_of_refusal(expect: Fails, got: Answer) -> str:
    if not got.code:
        return f"succeeded, {expect.code} was expected"
    same = got.code == expect.code and matches(expect.message, got.message)
    if got.detail and expect.detail:
        same = same and matches(expect.detail, got.detail)
    return "" if same else f"{got.code}: {got.message} {got.detail}".rstrip()


def _fault_of_notices(expect: Ok, notices: tuple[str, ...]) -> str:
    if expect.silent and notices:
        return f"notices {notices}"
    heard = not expect.notice or any(matches(expect.notice, notice) for notice in notices)
    return "" if heard else f"no notice {expect.notice!r}, but {notices}"


@dataclass
class _Waiting:
    """A statement under way in a thread of its own."""

    step: Step
    thread: threading.Thread
    answer: list[Answer] = field(default_factory=list)


class Runner:
    """Sessions of one client with one target, and the schema that the cases run in.

    Args:
        name: one of :data:`tests.conformance.clients.CLIENTS`.
        target: where to.
        lake: where COPY may go; cases that need it are left out without.
        real: the target is a cluster: cases about the stand-in alone are left out.
    """

    def __init__(
        self, name: str, target: Target, lake: Lake | None = None, *, real: bool = False
    ) -> None:
        self._name = name
        self._target = target
        self._lake = lake
        self._real = real
        self._schema = f"conformance_{uuid.uuid4().hex[:12]}"
        self._sessions: dict[str, Client] = {}
        self._count = 0

    def __enter__(self) -> Self:
        self._must(f"CREATE SCHEMA {self._schema}")
        self._must(f"SET search_path TO {self._schema}")
        for sql in TABLES:
            self._must(sql)
        return self

    def __exit__(self, *_: object) -> None:
        self._must("ROLLBACK")
        self._must(f"DROP SCHEMA {self._schema} CASCADE")
        for session in self._sessions.values():
            session.close()

    def _session(self, who: str) -> Client:
        if who not in self._sessions:
            self._sessions[who] = open_client(self._name, self._target)
        return self._sessions[who]

    def _must(self, sql: str) -> None:
        answer = self._session("a").send(sql)
        if answer.code:
            raise RuntimeError(f"{sql}: {answer.code}: {answer.message}")

    def run(self, cases: Iterable[Case]) -> list[Outcome]:
        """Run cases one after the other."""
        return [self._run(case) for case in cases]

    def _run(self, case: Case) -> Outcome:
        if case.client not in ("", self._name):
            return Outcome(case, self._name, skipped=f"for {case.client} only")
        if self._real and case.kind == "not here":
            return Outcome(case, self._name, skipped="about the stand-in alone")
        wants_lake = bool(case.objects) or any(S3 in s.sql or AUTH in s.sql for s in case.steps)
        if wants_lake and self._lake is None:
            return Outcome(case, self._name, skipped="no S3 given")
        for key, body in case.objects:
            assert self._lake is not None
            self._lake.put(key, body.replace(S3.encode(), self._lake.prefix.encode()))
        if case.block:
            self._must("BEGIN")
            try:
                return Outcome(case, self._name, fault=self._steps(case, self._schema))
            finally:
                self._must("ROLLBACK")
        self._count += 1
        schema = f"{self._schema}_{self._count}"
        self._must(f"CREATE SCHEMA {schema}")
        people = sorted({step.who for step in case.steps} | {"a"})
        for who in people:
            self._session(who).send(f"SET search_path TO {schema}")
        try:
            return Outcome(case, self._name, fault=self._steps(case, schema))
        finally:
            for who in people:
                self._session(who).send("ROLLBACK")
                self._session(who).send(f"SET search_path TO {self._schema}")
            self._must(f"DROP SCHEMA {schema} CASCADE")

    def _steps(self, case: Case, schema: str) -> str:
        waiting: dict[str, _Waiting] = {}
        faults = []
        for step in case.steps:
            sql = self._filled(step.sql, schema)
            if step.who in waiting:
                faults.append(self._end(waiting.pop(step.who)))
            if step.waits:
                waiting[step.who] = self._begin(step, sql)
                continue
            answer = self._session(step.who).send(sql)
            if fault := fault_of(step.expect, answer):
                faults.append(f"{step.sql}: {fault}")
        faults += [self._end(one) for one in waiting.values()]
        return "; ".join(filter(None, faults))

    def _filled(self, sql: str, schema: str) -> str:
        sql = sql.replace(SCHEMA, schema)
        if self._lake is not None:
            sql = sql.replace(S3, self._lake.prefix).replace(AUTH, self._lake.auth)
        return sql

    def _begin(self, step: Step, sql: str) -> _Waiting:
        session = self._session(step.who)
        answers: list[Answer] = []
        thread = threading.Thread(target=lambda: answers.append(session.send(sql)))
        waiting = _Waiting(step, thread, answers)
        watcher = open_client("redshift_connector", self._target)
        thread.start()
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end and not answers:
            locks = watcher.send("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if locks.rows and locks.rows[0] != (0,):
                break
        watcher.close()
        return waiting

    def _end(self, waiting: _Waiting) -> str:
        waiting.thread.join(_PATIENCE)
        if not waiting.answer:
            return f"{waiting.step.sql}: still waiting after {_PATIENCE:.0f} s"
        fault = fault_of(waiting.step.expect, waiting.answer[0])
        return f"{waiting.step.sql}: {fault}" if fault else ""
