"""One connection to the PostgreSQL behind the stand-in, and small commands run on it unseen."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncGenerator, AsyncIterator

from loader.errors import Unreachable
from loader.local.redshift import wire
from loader.local.redshift.errors import SqlError

# Session defaults that make PostgreSQL answer as Redshift does. Backslash is an escape in plain
# literals; a transaction keeps its first snapshot; text output in one form for every client.
SETTINGS = {
    "client_encoding": "UTF8",
    "standard_conforming_strings": "off",
    "escape_string_warning": "off",
    "default_transaction_isolation": "repeatable read",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    # What the md5 challenge of the log-in is checked against.
    "password_encryption": "md5",
    "md5_password_warnings": "off",
    # Redshift joins equal keys by hash or merge; PostgreSQL, without statistics on a fresh stage,
    # would loop over it.
    "enable_nestloop": "off",
    "work_mem": "64MB",
}
_SIDE = "_stand_in_side"  # name of the statement and portal of unseen commands

Rows = list[list[str | None]]


class Backend:
    """A protocol 3.0 client that authenticates by trust.

    Attributes:
        parameters: the ParameterStatus values of the start-up.
        key: body of BackendKeyData (process id and cancel key).
        user: who is logged in.
        application: what it calls itself.
        skipping: it reported an error and ignores everything up to the next Sync.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = wire.Reader(reader)
        self._writer = writer
        self._ahead: asyncio.Task[wire.Message] | None = None
        self.parameters: dict[str, str] = {}
        self.key = b""
        self.skipping = False
        self.user = ""
        self.application = ""

    @classmethod
    async def connect(cls, host: str, port: int, parameters: dict[str, str]) -> Backend:
        """Open and log in.

        Raises:
            Unreachable: nothing listens there.
            SqlError: the server refused (unknown database, too many clients, no trust).
        """
        try:
            reader, writer = await asyncio.open_connection(host, port)
        except OSError as error:
            raise Unreachable(
                f"PostgreSQL at {host}:{port} does not answer: {error.strerror or error}.",
                hint="Start the backend of the Redshift stand-in first.",
            ) from error
        self = cls(reader, writer)
        self.user, self.application = parameters["user"], parameters.get("application_name", "")
        try:
            self.send(wire.startup(parameters))
            await self._login(host, port)
        except BaseException:
            self.abort()
            raise
        return self

    async def _login(self, host: str, port: int) -> None:
        while True:
            kind, body = await self.next()
            if kind == b"R" and struct.unpack_from("!I", body)[0] != 0:
                raise SqlError("28000", f"backend {host}:{port} asks for a password, not trust")
            if kind == b"S":
                key, at = wire.take_cstring(body, 0)
                self.parameters[key] = wire.take_cstring(body, at)[0]
            elif kind == b"K":
                self.key = body
            elif kind == b"E":
                raise as_sql_error(body)
            elif kind == b"Z":
                return

    @property
    def pid(self) -> int:
        """The process that serves the connection."""
        return int.from_bytes(self.key[:4], "big")

    def send(self, data: bytes) -> None:
        """Queue bytes; :meth:`drain` waits until they left."""
        self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the send buffer is short again."""
        await self._writer.drain()

    async def next(self) -> wire.Message:
        """The next message, whichever it is.

        Raises:
            ConnectionResetError: the backend is gone.
        """
        if self._ahead is not None:
            task, self._ahead = self._ahead, None
            message = await task
        else:
            message = await self._reader.message()
        if message[0] in (b"E", b"Z"):
            self.skipping = message[0] == b"E"
        return message

    def ahead(self) -> asyncio.Task[wire.Message]:
        """The next message as a task, kept for :meth:`next`: lets an idle session hear it."""
        if self._ahead is None:
            self._ahead = asyncio.create_task(self._reader.message())
        return self._ahead

    def rows(self) -> bytes:
        """DataRows that have arrived already, raw."""
        return b"" if self._ahead is not None else self._reader.buffered_rows()

    async def run(self, sql: str) -> Rows:
        """Run one command in the current transaction, as part of the running pipeline (no Sync).

        Goes by the extended protocol under a name of its own, so that the client's unnamed
        statement and portal stay, and so that an implicit transaction stays open.

        Raises:
            SqlError: the backend refused. It now ignores everything up to the next Sync.
        """
        self.send(
            wire.pack(b"C", b"S" + wire.cstring(_SIDE))  # an error may have left one behind
            + wire.parse_message(_SIDE, sql)
            + wire.pack(b"B", wire.cstring(_SIDE) + wire.cstring(_SIDE) + wire.BIND_PLAIN)
            + wire.pack(b"E", wire.cstring(_SIDE) + b"\0\0\0\0")
            + wire.pack(b"C", b"P" + wire.cstring(_SIDE))
            + wire.pack(b"C", b"S" + wire.cstring(_SIDE))
            + wire.FLUSH
        )
        out: Rows = []
        closed = 0
        while closed < 3:
            kind, body = await self.next()
            if kind == b"D":
                out.append(wire.parse_row(body))
            elif kind == b"3":
                closed += 1
            elif kind == b"E":
                raise as_sql_error(body)
        return out

    async def copy_in(self, sql: str, chunks: AsyncIterator[memoryview]) -> None:
        """Run ``COPY ... FROM STDIN`` in the current transaction and feed it.

        Args:
            sql: the command.
            chunks: its input, in pieces of any size.

        Raises:
            SqlError: the backend refused the command or the data.
            Exception: what ``chunks`` raised; the backend was told to drop all.
        """
        self.send(
            wire.pack(b"C", b"S" + wire.cstring(_SIDE))  # an error may have left one behind
            + wire.parse_message(_SIDE, sql)
            + wire.pack(b"B", wire.cstring(_SIDE) + wire.cstring(_SIDE) + wire.BIND_PLAIN)
            + wire.pack(b"E", wire.cstring(_SIDE) + b"\0\0\0\0")
            + wire.FLUSH
        )
        await self._until(b"G")
        try:
            async for chunk in chunks:
                if not await self._feed(chunk):
                    break
        except BaseException:
            self.send(wire.pack(b"f", wire.cstring("stand-in: load failed")) + wire.FLUSH)
            with contextlib.suppress(SqlError):
                await self._until(b"C")
            raise
        self.send(wire.pack(b"c") + wire.pack(b"C", b"P" + wire.cstring(_SIDE)))
        self.send(wire.pack(b"C", b"S" + wire.cstring(_SIDE)) + wire.FLUSH)
        await self._until(b"3")
        await self._until(b"3")

    async def describe(self, sql: str) -> list[wire.Column]:
        """The columns of a query's result, without running it.

        Raises:
            SqlError: the backend refused.
        """
        self.send(
            wire.pack(b"C", b"S" + wire.cstring(_SIDE))
            + wire.parse_message(_SIDE, sql)
            + wire.pack(b"D", b"S" + wire.cstring(_SIDE))
            + wire.pack(b"C", b"S" + wire.cstring(_SIDE))
            + wire.FLUSH
        )
        out: list[wire.Column] = []
        closed = 0
        while closed < 2:
            kind, body = await self.next()
            if kind == b"T":
                out = wire.parse_row_description(body)
            elif kind == b"3":
                closed += 1
            elif kind == b"E":
                raise as_sql_error(body)
        return out

    async def copy_out(self, sql: str) -> AsyncGenerator[bytes, None]:
        """Run ``COPY ... TO STDOUT`` in the current transaction; yields one row at a time.

        Raises:
            SqlError: the backend refused.
        """
        self.send(
            wire.pack(b"C", b"S" + wire.cstring(_SIDE))
            + wire.parse_message(_SIDE, sql)
            + wire.pack(b"B", wire.cstring(_SIDE) + wire.cstring(_SIDE) + wire.BIND_PLAIN)
            + wire.pack(b"E", wire.cstring(_SIDE) + b"\0\0\0\0")
            + wire.pack(b"C", b"P" + wire.cstring(_SIDE))
            + wire.pack(b"C", b"S" + wire.cstring(_SIDE))
            + wire.FLUSH
        )
        await self._until(b"H")
        over = False
        try:
            while not over:
                kind, body = await self.next()
                if kind == b"d":
                    yield body
                elif kind == b"E":
                    over = True
                    raise as_sql_error(body)
                over = kind == b"C"
        finally:
            if not over:  # whoever read has gone; the rest is in the way of the next command
                with contextlib.suppress(SqlError):
                    await self._until(b"C")
            if not self.skipping:
                await self._until(b"3")
                await self._until(b"3")

    async def _feed(self, chunk: memoryview) -> bool:
        """Send input of a COPY in short messages; False where it was refused already."""
        for at in range(0, len(chunk), wire.CHUNK):
            piece = chunk[at : at + wire.CHUNK]
            self._writer.writelines((wire.copy_data_head(len(piece)), piece))
            await self.drain()
            if self.ahead().done():
                return False
        return True

    async def _until(self, wanted: bytes) -> None:
        while True:
            kind, body = await self.next()
            if kind == b"E":
                raise as_sql_error(body)
            if kind == wanted:
                return

    async def sync(self) -> str:
        """Send Sync and return the status of ReadyForQuery, dropping what comes before it."""
        self.send(wire.SYNC)
        while True:
            kind, body = await self.next()
            if kind == b"Z":
                return body.decode()

    async def execute(self, sql: str) -> Rows:
        """Run one command as a transaction of its own (or the next part of an open one).

        Raises:
            SqlError: the backend refused.
        """
        try:
            return await self.run(sql)
        finally:
            await self.sync()

    async def script(self, sql: str) -> None:
        """Run several commands by the simple protocol, in one transaction.

        Raises:
            SqlError: the first error; nothing of the script stays.
        """
        self.send(wire.pack(b"Q", wire.cstring(sql)))
        failed: SqlError | None = None
        while True:
            kind, body = await self.next()
            if kind == b"E":
                failed = failed or as_sql_error(body)
            elif kind == b"Z":
                if failed:
                    raise failed
                return

    def abort(self) -> None:
        """Close without waiting. An open transaction is rolled back by the backend."""
        if self._ahead is not None:
            self._ahead.cancel()
            self._ahead = None
        self._writer.close()

    async def close(self) -> None:
        """Say goodbye and wait until the socket is closed."""
        if not self._writer.is_closing():
            self.send(wire.pack(b"X"))
        self.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


def as_sql_error(body: bytes) -> SqlError:
    """An ErrorResponse as an exception."""
    fields = wire.parse_fields(body)
    return SqlError(
        fields.get("C", "XX000"),
        fields.get("M", ""),
        fields.get("D", ""),
        fields.get("S", "ERROR"),
        fields.get("H", ""),
    )


@contextlib.asynccontextmanager
async def connection(
    host: str, port: int, user: str, database: str, **parameters: str
) -> AsyncIterator[Backend]:
    """A connection for a few commands, with PostgreSQL's own defaults."""
    backend = await Backend.connect(host, port, {"user": user, "database": database, **parameters})
    try:
        yield backend
    finally:
        await backend.close()
