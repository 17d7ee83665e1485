"""The client's side of a session: whole messages in, bytes out, and whether anybody is still there."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

from loader.local.redshift import wire


class Client:
    """Reads ahead, so that a vanished client is seen while a statement runs.

    Attributes:
        gone: set when the client has closed its connection.
    """

    def __init__(self, reader: wire.Reader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._queue: asyncio.Queue[wire.Message | None] = asyncio.Queue()
        self._pump: asyncio.Task[None] | None = None
        self._next: asyncio.Task[wire.Message | None] | None = None
        self.gone = asyncio.Event()

    def encrypt(self, context: ssl.SSLContext) -> Callable[[], Awaitable[None]]:
        """What goes over to TLS, as the server; nothing may have been read ahead yet.

        Raises (when called):
            OSError: the client broke the handshake off.
        """

        async def go_over() -> None:
            await self._writer.start_tls(context)

        return go_over

    def start(self) -> None:
        """Begin to read ahead; the start-up is over."""
        self._pump = asyncio.create_task(self._read_ahead())

    async def _read_ahead(self) -> None:
        try:
            while True:
                await self._queue.put(await self._reader.message())
        except OSError:
            self.gone.set()
            await self._queue.put(None)

    def next(self) -> asyncio.Task[wire.Message | None]:
        """The next message as a task; none when the client is gone."""
        if self._next is None or self._next.done():
            self._next = asyncio.create_task(self._queue.get())
        return self._next

    def write(self, data: bytes) -> None:
        """Queue bytes for the client; a client that is gone misses them."""
        if not self.gone.is_set():
            self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the client takes what was written, or is gone."""
        if not self.gone.is_set():
            await self._writer.drain()

    async def send(self, data: bytes) -> None:
        """Write and drain."""
        self.write(data)
        await self.drain()

    async def close(self, *, abort: bool) -> None:
        """End the connection; ``abort`` throws away what was not sent yet."""
        for task in (self._pump, self._next):
            if task is not None:
                task.cancel()
        if abort:
            self._writer.transport.abort()
        else:
            self._writer.close()
