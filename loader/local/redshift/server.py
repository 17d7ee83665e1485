"""The listening side: accepts clients, runs their sessions, stops them all."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Coroutine
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from loader.errors import LoaderError, Unreachable
from loader.local.redshift import login, wire
from loader.local.redshift.backend import Backend
from loader.local.redshift.bootstrap import prepare_backend
from loader.local.redshift.client import Client
from loader.local.redshift.config import StandInConfig
from loader.local.redshift.errormap import error_fields, to_redshift
from loader.local.redshift.errors import SqlError
from loader.local.redshift.faults import Dropped, Faults
from loader.local.redshift.functions import not_here_of, not_redshifts
from loader.local.redshift.history import History, SessionNote, now
from loader.local.redshift.names import LongNames
from loader.local.redshift.planner import Shared
from loader.local.redshift.session import Session
from loader.local.redshift.side import SideConnection


def log_line(event: str, **fields: object) -> None:
    """One line to stderr. Statements are never logged: they hold secrets."""
    pairs = " ".join(f"{key}={value!r}" for key, value in fields.items())
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    sys.stderr.write(f"{now} {event} {pairs}".rstrip() + "\n")
    sys.stderr.flush()


class StandIn:
    """A Redshift for development and tests, before a PostgreSQL.

    Args:
        config: see :class:`StandInConfig`.
    """

    def __init__(self, config: StandInConfig) -> None:
        self.config = config
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._side = SideConnection(config, log_line)
        self._shared: Shared | None = None

    @property
    def port(self) -> int:
        """The port that clients connect to.

        Raises:
            RuntimeError: it is not started.
        """
        if self._server is None:
            raise RuntimeError("the stand-in is not started")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Prepare the backend and listen.

        Raises:
            Unreachable: the backend does not answer, or the address is taken.
            SqlError: the backend refused the preparation.
        """
        await prepare_backend(self.config)
        shared = Shared(
            config=self.config,
            faults=Faults(self.config.control_file),
            log=self._side,
            store=self._side,
            history=History(self._side.query),
            event=log_line,
            ask=self._side.query,
        )
        for (long,) in await self._side.query("SELECT long FROM pg_stand_in.long_name"):
            shared.names.add(str(long))
        views = "SELECT c.relname FROM pg_stand_in.late_view v JOIN pg_class c ON c.oid = v.relid"
        shared.late_views.update(str(view) for (view,) in await self._side.query(views))
        called = (
            "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace"
        )
        known = [str(name) for (name,) in await self._side.query(called)]
        shared.refused_functions = not_redshifts(known)
        shared.missing_functions = not_here_of(known)
        self._shared = shared
        listen = self.config.listen
        try:
            self._server = await asyncio.start_server(self._accept, listen.host, listen.port)
        except OSError as error:
            raise Unreachable(
                f"cannot listen on {listen.host}:{listen.port}: {error.strerror}."
            ) from error
        log_line("listening", host=listen.host, port=self.port)

    async def stop(self) -> None:
        """Close all sessions; open transactions are rolled back."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._shared is not None:
            with contextlib.suppress(SqlError, Unreachable, OSError):
                await self._shared.history.flush()
        await self._side.close()
        log_line("stopped")

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        messages = wire.Reader(reader)
        client = Client(messages, writer)
        backend: Backend | None = None
        abort = True
        try:
            backend = await self._login(messages, client)
            if backend is not None and self._shared is not None:
                client.start()
                await self._serve(client, backend, self._shared)
            abort = False
        except Dropped:
            log_line("dropped on purpose")
        except SqlError as error:
            with contextlib.suppress(OSError):
                await client.send(wire.error(error_fields(to_redshift(error), LongNames())))
            abort = False
            log_line("refused", code=error.code, reason=error.message)
        except Unreachable as error:
            log_line("backend unreachable", error=str(error))
        except OSError as error:
            log_line("lost", error=str(error))
        except asyncio.CancelledError:  # the stand-in stops; nobody awaits this task's end
            log_line("closed")
        finally:
            if backend is not None:
                backend.abort()
            await client.close(abort=abort)

    async def _serve(self, client: Client, backend: Backend, shared: Shared) -> None:
        session = Session(client, backend, shared)
        shared.history.came(
            SessionNote(backend.user, backend.pid, backend.application, now()),
        )
        try:
            await session.serve()
        finally:
            shared.history.left(backend.pid)

    async def _login(self, messages: wire.Reader, client: Client) -> Backend | None:
        first = await login.first_packet(messages, client.send)
        if isinstance(first, login.Cancel):
            await self._cancel(first)
            return None
        await login.authenticate(first, self.config, messages, client.send, self._side.query)
        backend = await login.open_backend(first, self.config, client.send)
        log_line("session", user=first.get("user"), application=first.get("application_name"))
        return backend

    async def _cancel(self, cancel: login.Cancel) -> None:
        """Pass a CancelRequest on; PostgreSQL checks the key."""
        address = self.config.backend
        reader, writer = await asyncio.open_connection(address.host, address.port)
        size, code = 8 + len(cancel.body), wire.CANCEL_REQUEST
        writer.write(size.to_bytes(4, "big") + code.to_bytes(4, "big") + cancel.body)
        await reader.read()  # it closes when the signal is sent
        writer.close()
        log_line("cancel")


class StandInThread:
    """A stand-in on an event loop in a thread of its own: for tests.

    Example:
        ``with StandInThread(config) as stand_in: connect(port=stand_in.port)``
    """

    def __init__(self, config: StandInConfig) -> None:
        self._stand_in = StandIn(config)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="redshift-stand-in")

    @property
    def port(self) -> int:
        """The port that clients connect to."""
        return self._stand_in.port

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def start(self) -> Self:
        """Start; returns when clients may connect.

        Raises:
            LoaderError: see :meth:`StandIn.start`.
        """
        self._thread.start()
        try:
            self._run(self._stand_in.start())
        except (LoaderError, SqlError):
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop the sessions and the thread."""
        self._run(self._stand_in.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()
