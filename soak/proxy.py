"""A small TCP proxy that harms connections: delays, resets, and cuts after the effect.

A *turn* is what a client sends until the server answers, and the answer. What becomes of a turn is
decided at its first bytes:

* ``delay``: the request waits before it goes on.
* ``reset``: the connection is reset before the server sees anything.
* ``torn``: the server gets half of the request's body (of its head where it has none), then a reset.
* ``lost``: the server gets the whole request and answers; the client sees a reset instead.
* ``short``: the client gets half of the answer's first bytes, then a reset.

A trap strikes at one chosen turn: its action runs before the request is passed on, in the middle of
it, or when the answer is there, and the connection ends with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

Address = tuple[str, int]

FAULTS: Final = ("delay", "reset", "torn", "lost", "short")

_CHUNK: Final = 1 << 18
_LONGEST_DELAY: Final = 3.0
_RESET: Final = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Trap:
    """Strikes once, at the first turn of kind ``request``; ``sprung`` is set then."""

    request: str
    moment: Literal["before", "in", "after"]
    action: Callable[[], object]
    sprung: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class Route:
    """A port of the proxy and the server behind it.

    Attributes:
        target: asked at each connection, for a server may come back elsewhere.
        kind: tells a request's kind from its first bytes.
        rate: share of turns that are harmed.
        rng: decides which.
        faults: the faults to choose from.
        delay: seconds of a delay; None draws each.
        port: where the proxy listens.
        trap: the trap that is set, if one is.
        turns: number of requests by kind.
        harmed: number of turns by fault and kind of request.
        done: number of requests by kind that were answered with HTTP 200.
        last_done: when the last one of a kind was, monotonic seconds.
    """

    target: Callable[[], Address]
    kind: Callable[[bytes], str]
    rate: float
    rng: random.Random
    faults: Sequence[str] = FAULTS
    delay: float | None = None
    port: int = 0
    trap: Trap | None = None
    turns: Counter[str] = field(default_factory=Counter)
    harmed: Counter[tuple[str, str]] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    last_done: dict[str, float] = field(default_factory=dict)


class _Cut(Exception):
    """The connection ends here, with a reset."""


@dataclass(slots=True)
class _Turn:
    request: str = ""
    fate: str = ""
    answered: bool = True
    trap: Trap | None = None
    tears: bool = False


class Proxy:
    """All routes of a run, served by one thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._servers: list[asyncio.Server] = []
        self._links: set[asyncio.Task[None]] = set()

    def add(
        self, target: Callable[[], Address], kind: Callable[[bytes], str], rate: float, seed: str
    ) -> Route:
        """Listen on a free port of 127.0.0.1 for connections to ``target``."""
        route = Route(target, kind, rate, random.Random(seed))
        asyncio.run_coroutine_threadsafe(self._listen(route), self._loop).result(10)
        return route

    def close(self) -> None:
        """End all connections and the thread."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self, route: Route) -> None:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            link = asyncio.ensure_future(self._serve(route, reader, writer))
            self._links.add(link)
            link.add_done_callback(self._links.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=_CHUNK)
        self._servers.append(server)
        route.port = server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _serve(
        self, route: Route, client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        to_server: asyncio.StreamWriter | None = None
        cut = True
        try:
            host, port = route.target()
            server, to_server = await asyncio.open_connection(host, port, limit=_CHUNK)
            turn = _Turn()
            ways = [
                asyncio.ensure_future(_up(route, turn, client, to_server)),
                asyncio.ensure_future(_down(route, turn, server, to_client)),
            ]
            try:
                ended, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                cut = any(way.exception() is not None for way in ended)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass  # The server is away: the client sees a reset, as it would see a refusal.
        finally:
            for writer in (to_client, to_server):
                if writer is not None and cut:
                    _reset(writer)
                elif writer is not None:
                    writer.close()


async def _up(
    route: Route, turn: _Turn, client: asyncio.StreamReader, server: asyncio.StreamWriter
) -> None:
    while data := await client.read(_CHUNK):
        begins, turn.answered = turn.answered, False
        if begins:
            _begin(route, turn, data)
            if turn.fate == "delay":
                drawn = min(route.rng.expovariate(4.0), _LONGEST_DELAY)
                await asyncio.sleep(drawn if route.delay is None else route.delay)
            elif turn.fate == "reset":
                raise _Cut
            elif turn.trap is not None and turn.trap.moment == "before":
                _spring(turn)
                raise _Cut
        # A body that waits for the server's word comes by itself: it is what is to be torn.
        if turn.tears and not (begins and b"100-continue" in data):
            server.write(data[: len(data) // 2])
            await server.drain()
            if turn.trap is not None:
                _spring(turn)
            raise _Cut
        server.write(data)
        await server.drain()


def _begin(route: Route, turn: _Turn, head: bytes) -> None:
    """Decide what becomes of the turn of which ``head`` is the beginning."""
    turn.request = route.kind(head)
    route.turns[turn.request] += 1
    turn.trap = None
    turn.fate = ""
    if route.trap is not None and route.trap.request == turn.request:
        turn.trap, route.trap = route.trap, None
    elif route.rng.random() < route.rate:
        turn.fate = route.rng.choice(route.faults)
        route.harmed[turn.fate, turn.request] += 1
    turn.tears = turn.fate == "torn" or (turn.trap is not None and turn.trap.moment == "in")


async def _down(
    route: Route, turn: _Turn, server: asyncio.StreamReader, client: asyncio.StreamWriter
) -> None:
    while data := await server.read(_CHUNK):
        # "Go on, send the body" is no answer yet.
        if not turn.answered and not data.startswith(b"HTTP/1.1 100"):
            turn.answered = True
            if data.startswith(b"HTTP/1.1 200"):
                route.done[turn.request] += 1
                route.last_done[turn.request] = time.monotonic()
            if turn.trap is not None:
                _spring(turn)
                raise _Cut
            if turn.fate == "lost":
                raise _Cut
            if turn.fate == "short":
                client.write(data[: len(data) // 2])
                await client.drain()
                raise _Cut
        client.write(data)
        await client.drain()


def _spring(turn: _Turn) -> None:
    assert turn.trap is not None
    turn.trap.action()
    turn.trap.sprung.set()
    turn.trap = None


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST, whatever is on its way."""
    with contextlib.suppress(OSError):
        sock: socket.socket | None = writer.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
