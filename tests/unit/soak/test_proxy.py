"""What becomes of a request behind the proxy, and whether its effect happened."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

import pytest

from soak.proxy import Proxy, Route, Trap
from soak.requests import RECORD, s3_request

PATH = "/lake/log/t/0/0.json"


class Server(ThreadingHTTPServer):
    """Takes PUTs, and remembers the bodies that came whole."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        assert isinstance(self.server, Server)
        if len(body) == length:
            self.server.bodies.append(body)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    started = Server()
    thread = threading.Thread(target=started.serve_forever, args=(0.01,))
    thread.start()
    yield started
    started.shutdown()
    thread.join()
    started.server_close()


@pytest.fixture
def route(server: Server) -> Iterator[Route]:
    proxy = Proxy()
    host, port = server.socket.getsockname()
    yield proxy.add(lambda: (host, port), s3_request, 0.0, "seed")
    proxy.close()


def put(route: Route, body: bytes = b"body") -> bytes:
    connection = HTTPConnection("127.0.0.1", route.port, timeout=10)
    try:
        connection.request("PUT", PATH, body)
        return connection.getresponse().read()
    finally:
        connection.close()


def test_it_passes_on_what_it_does_not_harm(route: Route, server: Server) -> None:
    body = bytes(3 << 20)
    assert put(route, body) == b"ok"
    assert server.bodies == [body]
    assert (route.turns[RECORD], route.done[RECORD], route.harmed.total()) == (1, 1, 0)


def test_a_connection_is_used_again(route: Route, server: Server) -> None:
    connection = HTTPConnection("127.0.0.1", route.port, timeout=10)
    for n in range(3):
        connection.request("PUT", PATH, str(n))
        assert connection.getresponse().read() == b"ok"
    connection.close()
    assert server.bodies == [b"0", b"1", b"2"]
    assert route.turns[RECORD] == 3


@pytest.mark.parametrize(
    ("fault", "effects"), [("reset", 0), ("torn", 0), ("lost", 1), ("short", 1)]
)
def test_a_cut_before_and_after_the_effect(
    route: Route, server: Server, fault: str, effects: int
) -> None:
    route.rate, route.faults = 1.0, (fault,)
    with pytest.raises((OSError, HTTPException)):
        put(route)
    assert len(server.bodies) == effects
    assert route.harmed == {(fault, RECORD): 1}
    route.rate = 0.0
    assert put(route) == b"ok"


def test_a_delay_only_delays(route: Route, server: Server) -> None:
    route.rate, route.faults = 1.0, ("delay",)
    assert put(route) == b"ok"
    assert server.bodies == [b"body"]


@pytest.mark.parametrize(("moment", "effects"), [("before", 0), ("in", 0), ("after", 1)])
def test_a_trap_strikes_once_at_its_moment(
    route: Route, server: Server, moment: Literal["before", "in", "after"], effects: int
) -> None:
    seen: list[int] = []
    trap = Trap(RECORD, moment, lambda: seen.append(len(server.bodies)))
    route.trap = trap
    with pytest.raises((OSError, HTTPException)):
        put(route)
    assert trap.sprung.wait(10)
    assert seen == [effects]
    assert put(route) == b"ok"


def test_a_server_that_is_away_is_a_reset(route: Route, server: Server) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    route.target = lambda: address
    with pytest.raises((OSError, HTTPException)):
        put(route)
    route.target = server.socket.getsockname
    assert put(route) == b"ok"
