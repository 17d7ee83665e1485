"""One client's session, in lock-step: each client message is answered before the next is read.

Lock-step costs a little latency and buys certainty: between two client messages the backend owes
nothing, so the proxy can run commands of its own there, in the client's transaction. No command of
the proxy is followed by Sync, so outside a transaction block it shares the implicit transaction of
the client's statement, which ends with the client's own Sync.
"""

from __future__ import annotations

import asyncio
import re
import struct
import traceback
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from loader.local.redshift import wire
from loader.local.redshift.backend import Backend, Rows, as_sql_error
from loader.local.redshift.client import Client
from loader.local.redshift.config import StandInConfig
from loader.local.redshift.errormap import error_fields, notice_fields, to_redshift
from loader.local.redshift.errors import ABORTED, SqlError
from loader.local.redshift.faults import act
from loader.local.redshift.history import Note, Notes
from loader.local.redshift.isolation import lock_for_write, violation
from loader.local.redshift.names import LongNames
from loader.local.redshift.plan import LoadLog, Pass, Plan, SessionState
from loader.local.redshift.planner import Planner, Shared, decode
from loader.local.redshift.regions import before_write, note_write
from loader.local.redshift.tokens import Token, split, tokenize

_SIMPLE = "_stand_in_simple"  # the backend's name for statements of the simple protocol
_OPENING = ("BEGIN", "START TRANSACTION")
_ENDING = ("COMMIT", "ROLLBACK")
_OWN_FAULTS = (LookupError, RecursionError, TypeError, ValueError, struct.error)
_FIRST = re.compile(r"\s*([a-z]+)", re.IGNORECASE)
_ENDS = re.compile(r"\s*(commit|end)\b", re.IGNORECASE)


@dataclass(slots=True)
class Prepared:
    """A statement the client has parsed."""

    name: str
    source: str
    types: bytes
    plan: Plan | None  # none for the empty statement


class Session:
    """A logged-in client and its backend. Implements :class:`loader.local.redshift.plan.Engine`."""

    def __init__(self, client: Client, backend: Backend, shared: Shared) -> None:
        self._client = client
        self._backend = backend
        self._shared = shared
        self._block = "I"  # the transaction block as of the last command: I, T or E
        self._piped = False  # something ran since the last Sync
        self._skipping = False  # an error was reported; wait for Sync
        self._statements: dict[str, Prepared] = {}
        self._portals: dict[str, Prepared] = {}
        self._state = SessionState()
        self._locked: list[Token] = []  # the table that was written last
        self._tag = ""  # of the last command
        self._notes = Notes(shared.history, backend.user, backend.pid)
        self._planner = Planner(self, shared)

    @property
    def config(self) -> StandInConfig:
        """The stand-in's configuration."""
        return self._shared.config

    @property
    def backend(self) -> Backend:
        """The session's own backend connection."""
        return self._backend

    @property
    def state(self) -> SessionState:
        """The session's memory beside the transaction."""
        return self._state

    @property
    def names(self) -> LongNames:
        """The long names known so far."""
        return self._shared.names

    @property
    def log(self) -> LoadLog:
        """Where load history goes."""
        return self._shared.log

    @property
    def in_transaction(self) -> bool:
        """Whether the client has opened a transaction block."""
        return self._block != "I"

    @property
    def failed(self) -> bool:
        """Whether the client's transaction block only waits for its end."""
        return self._block == "E"

    async def run(self, sql: str) -> Rows:
        """Run a command in the client's transaction, unseen by the client."""
        self._piped = True
        return await self._backend.run(sql)

    async def commit(self) -> None:
        """End the client's transaction block, if it is in one."""
        if self.in_transaction:
            await self.run("COMMIT")
            self._block = "I"

    async def notify(self, severity: str, message: str) -> None:
        """Send a notice."""
        fields = {"S": severity, "C": "00000", "M": self.names.restore_text(message)}
        await self._client.send(wire.notice(fields))

    async def late_view_made(self, view: str) -> None:
        """Tell that a late-binding view of this name may exist from now on."""
        self._shared.late_views.add(view)

    async def serve(self) -> None:
        """Answer until the client says goodbye or is gone.

        Raises:
            Dropped: a fault rule asks for the connection to be closed.
            ConnectionResetError: the backend is gone.
        """
        while True:
            message = await self._hear()
            if message is None or message[0] == b"X":
                return
            kind, body = message
            if kind == b"S":
                await self._sync()
            elif kind == b"Q":
                await self._simple(body)
            elif not self._skipping:
                try:
                    await self._extended(kind, body)
                except SqlError as error:
                    await self._report(error)
                except _OWN_FAULTS as fault:
                    await self._report(self._own_fault(fault))
            await self._client.drain()

    def _own_fault(self, fault: Exception) -> SqlError:
        """A message that is none, or a fault of ours, as an answer: a client never sees a traceback."""
        if isinstance(fault, RecursionError):
            return SqlError("54001", "stack depth limit exceeded")
        at = traceback.extract_tb(fault.__traceback__)[-1]
        where = f"{Path(at.filename).name}:{at.lineno}"  # its text may quote the statement
        self._shared.event("fault of the stand-in", kind=type(fault).__name__, where=where)
        return SqlError("XX000", f"stand-in: internal error: {type(fault).__name__}: {fault}")

    async def _hear(self) -> wire.Message | None:
        """The client's next message; what the idle backend says meanwhile is handed on."""
        heard = self._client.next()
        while not heard.done():
            spoken = self._backend.ahead()
            await asyncio.wait({heard, spoken}, return_when=asyncio.FIRST_COMPLETED)
            if spoken.done() and not heard.done():
                self._aside(*await self._backend.next())
        return heard.result()

    def _aside(self, kind: bytes, body: bytes) -> None:
        """Hand on a message that answers nothing: a notice, a parameter, a fatal error."""
        if kind == b"N":
            if fields := notice_fields(body, self.names):
                self._client.write(wire.notice(fields))
        elif kind == b"E":
            error = to_redshift(as_sql_error(body))
            self._client.write(wire.error(error_fields(error, self.names)))
        elif kind == b"S":
            self._client.write(wire.pack(kind, body))

    async def _report(self, error: SqlError) -> None:
        """Send an error; the backend's transaction fails with it, whoever raised it."""
        if not self._backend.skipping and (self._block == "T" or self._piped):
            self._backend.send(wire.parse_message("_stand_in_fail", "stand-in: fail") + wire.FLUSH)
            while (await self._backend.next())[0] != b"E":
                pass
        self._skipping = True
        if error.code == "40001":
            pid = self._backend.pid
            error = await violation(error, self._locked, self._notes.xid, pid, self._shared.ask)
        self._client.write(wire.error(error_fields(to_redshift(error), self.names)))

    async def _sync(self) -> None:
        self._backend.send(wire.SYNC)
        while True:
            kind, body = await self._backend.next()
            if kind == b"Z":
                break
            self._aside(kind, body)
        self._block = body.decode()
        self._piped = self._skipping = False
        if not self.in_transaction:
            self._notes.xid = 0
        self._client.write(wire.ready(self._block))

    async def _relay(self, ends: bytes, hide: bytes = b"") -> bytes:
        """Hand on what the backend answers up to a message of a type in ``ends``; returns its type.

        Raises:
            SqlError: the backend answered with an error.
        """
        while True:
            if rows := self._backend.rows():
                self._client.write(rows)
                await self._client.drain()
            kind, body = await self._backend.next()
            if kind == b"E":
                raise as_sql_error(body)
            if kind in b"NS":
                self._aside(kind, body)
                continue
            if kind == b"T" and self.names:
                columns = wire.parse_row_description(body)
                renamed = [wire.Column(self.names.restore(c.name), c.rest) for c in columns]
                body = wire.build_row_description(renamed)
            elif kind == b"C":
                self._note_tag(wire.take_cstring(body, 0)[0])
            if kind not in hide:
                self._client.write(wire.pack(kind, body))
            if kind in ends:
                return kind

    def _note_tag(self, tag: str) -> None:
        self._tag = tag
        if tag.startswith(_OPENING):
            self._block = "T"
        elif tag.startswith(_ENDING):
            self._block = "I"

    async def _simple(self, body: bytes) -> None:
        try:
            source = decode(body[:-1])
            statements = split(tokenize(source))
            if not statements:
                self._client.write(wire.pack(b"I"))
            for tokens in statements:
                await self._simple_one(source[tokens[0].start : tokens[-1].end], tokens)
        except SqlError as error:
            await self._report(error)
        except _OWN_FAULTS as fault:
            await self._report(self._own_fault(fault))
        await self._sync()

    async def _simple_one(self, source: str, tokens: list[Token]) -> None:
        plan = await self._planner.plan(tokens, source)
        async with self._noted(source):
            await self._simple_run(source, plan)

    async def _simple_run(self, source: str, plan: Plan) -> None:
        if not isinstance(plan, Pass):
            await self._script(Prepared("", source, b"", plan))
            return
        await self._before(plan)
        await self._fault("before", source)
        self._piped = True
        self._backend.send(
            wire.pack(b"C", b"S" + wire.cstring(_SIMPLE))  # an error may have left one behind
            + wire.parse_message(_SIMPLE, plan.sql)
            + wire.pack(b"B", b"\0" + wire.cstring(_SIMPLE) + wire.BIND_PLAIN)
            + wire.pack(b"D", b"P\0")
            + wire.pack(b"E", b"\0\0\0\0\0")
            + wire.FLUSH
        )
        await self._relay(b"CI", hide=b"312n")
        await self._written(plan)
        await self._fault("after", source)

    async def _extended(self, kind: bytes, body: bytes) -> None:
        if kind == b"P":
            await self._parse(body)
        elif kind == b"B":
            await self._bind(body)
        elif kind == b"D":
            await self._describe(body)
        elif kind == b"E":
            await self._execute(body)
        elif kind == b"C":
            await self._close(body)
        elif kind != b"H":  # Flush: everything is sent already
            raise SqlError("0A000", f"stand-in: protocol message {kind!r} is not supported here")

    async def _parse(self, body: bytes) -> None:
        name, at = wire.take_cstring(body, 0)
        end = body.index(0, at)
        source, types = decode(body[at:end]), body[end + 1 :]
        statements = split(tokenize(source))
        if len(statements) > 1:
            text = "cannot insert multiple commands into a prepared statement"
            raise SqlError("42601", text)
        plan = await self._planner.plan(statements[0], source) if statements else None
        prepared = Prepared(name, source, types, plan)
        if isinstance(plan, Pass):
            await self._before(plan)
            await self._forward(wire.parse_message(name, plan.sql, types), b"1")
        else:
            self._client.write(wire.pack(b"1"))
        self._statements[name] = prepared

    async def _forward(self, data: bytes, ends: bytes) -> None:
        self._piped = True
        self._backend.send(data + wire.FLUSH)
        await self._relay(ends)

    async def _before(self, plan: Pass) -> None:
        """Bring the backend into the state that the statement expects.

        A write locks its table before its snapshot is taken: two writers then queue up, as they do
        on Redshift, instead of failing (AWS docs: Serializable isolation, concurrent writes).
        """
        if self.failed:
            return
        if plan.copy_state:
            state = self._state
            await self.run(
                f"SELECT set_config('stand_in.last_query_id', '{self._notes.last['query']}', false),"
                f" set_config('stand_in.last_copy_count', '{state.copy_count}', false),"
                f" set_config('stand_in.last_copy_id', '{state.copy_id}', false),"
                f" set_config('stand_in.last_unload_count', '{state.unload_count}', false),"
                f" set_config('stand_in.last_unload_id', '{state.unload_id}', false)"
            )
        if plan.lock:
            self._locked = tokenize(plan.lock)
            await lock_for_write(plan.lock, self)
        if plan.check:
            await self.run(plan.check)
        if plan.write is not None:
            await before_write(plan.write, self)

    async def _written(self, plan: Pass) -> None:
        """Note what a write wrote, in its own transaction."""
        if plan.write is not None:
            await note_write(plan.write, self._tag, self)

    def _prepared(self, name: str) -> Prepared:
        try:
            return self._statements[name]
        except KeyError:
            text = f'prepared statement "{name}" does not exist'
            raise SqlError("26000", text) from None

    async def _bind(self, body: bytes) -> None:
        portal, at = wire.take_cstring(body, 0)
        name, _ = wire.take_cstring(body, at)
        prepared = self._prepared(name)
        for value in wire.text_parameters(body):
            decode(value)
        if isinstance(prepared.plan, Pass):
            if prepared.plan.late_bound:
                await self._replan(prepared)
            await self._before(prepared.plan)
            await self._forward(wire.pack(b"B", body), b"2")
        else:
            self._client.write(wire.pack(b"2"))
        self._portals[portal] = prepared

    async def _replan(self, prepared: Prepared) -> None:
        """Parse again where a late-binding view has changed since."""
        plan = await self._planner.plan(tokenize(prepared.source), prepared.source)
        if plan == prepared.plan or not isinstance(plan, Pass):
            return
        prepared.plan = plan
        close = wire.pack(b"C", b"S" + wire.cstring(prepared.name))
        parse = wire.parse_message(prepared.name, plan.sql, prepared.types)
        self._piped = True
        self._backend.send(close + parse + wire.FLUSH)
        await self._relay(b"1", hide=b"31")

    async def _describe(self, body: bytes) -> None:
        name, _ = wire.take_cstring(body, 1)
        portal = body[:1] == b"P"
        prepared = self._portals.get(name) if portal else self._prepared(name)
        if prepared is None or isinstance(prepared.plan, Pass):
            await self._forward(wire.pack(b"D", body), b"Tn")
            return
        if not portal:
            self._client.write(wire.pack(b"t", b"\0\0"))
        self._client.write(wire.pack(b"n"))

    async def _execute(self, body: bytes) -> None:
        portal, _ = wire.take_cstring(body, 0)
        prepared = self._portals.get(portal)
        if prepared is None:
            raise SqlError("34000", f'portal "{portal}" does not exist')
        if prepared.plan is None:
            self._client.write(wire.pack(b"I"))
            return
        async with self._noted(prepared.source):
            if isinstance(prepared.plan, Pass):
                await self._fault("before", prepared.source)
                await self._forward(wire.pack(b"E", body), b"CIs")
                await self._written(prepared.plan)
                await self._fault("after", prepared.source)
            else:
                await self._script(prepared)

    def _noted(self, source: str) -> AbstractAsyncContextManager[Note]:
        """Note a statement in the history, with what became of it."""
        self._tag = ""
        return self._notes.statement(
            source, self._state, self.in_transaction, lambda: (self._tag, self.in_transaction)
        )

    async def _script(self, prepared: Prepared) -> None:
        if self.failed:
            raise ABORTED
        if prepared.plan is None or isinstance(prepared.plan, Pass):
            return
        await self._fault("before", prepared.source)
        tag = await prepared.plan.action(self)
        await self._fault("after", prepared.source)
        self._tag = tag
        self._client.write(wire.complete(tag))

    async def _close(self, body: bytes) -> None:
        name, _ = wire.take_cstring(body, 1)
        known = self._portals if body[:1] == b"P" else self._statements
        known.pop(name, None)
        await self._forward(wire.pack(b"C", body), b"3")

    async def _fault(self, when: str, source: str) -> None:
        """Do what a fault rule asks for at this statement."""
        rule = self._shared.faults.due("before" if when == "before" else "after", source)
        if rule is None:
            return
        if when == "after" and not self.in_transaction:
            await self._backend.sync()  # the statement stands before the client is lost
        elif rule.error is not None and _ENDS.match(source):
            await self.run("ROLLBACK")  # a COMMIT that fails ends its transaction
            self._block = "I"
        # The rule's expression may be a whole statement, keys and all: only its first word is logged.
        word = _FIRST.match(source)
        statement = word[1].lower() if word else ""
        self._shared.event("fault", action=rule.action, when=when, statement=statement)
        await act(rule, self._client.gone)
