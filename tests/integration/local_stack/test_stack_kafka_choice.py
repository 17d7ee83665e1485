"""Which Kafka a stack takes: a given endpoint, else Docker, else the jars."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from loader.errors import Unreachable
from loader.local import ports
from loader.local.kafka_docker import engine_answers
from loader.local.stack import Stack
from loader.local.state import StateFile


class _Engine(BaseHTTPRequestHandler):
    """A Docker engine that is there, and fails at everything it is asked to do."""

    def _answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_GET(self) -> None:
        if self.path.endswith("/version"):
            self._answer(200, json.dumps({"ApiVersion": "1.44"}))
        elif self.path.endswith("/_ping"):
            self._answer(200, "OK")
        elif "/containers/" in self.path:
            self._answer(404, json.dumps({"message": "No such container"}))
        else:
            self._answer(500, json.dumps({"message": "no route to the registry"}))

    def do_POST(self) -> None:
        self._answer(500, json.dumps({"message": "no route to the registry"}))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Be silent."""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = ThreadingHTTPServer((ports.HOST, 0), _Engine)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("DOCKER_HOST", f"tcp://{ports.HOST}:{server.server_address[1]}")
    yield
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Stack]:
    StateFile(tmp_path).create()
    stack = Stack.open(tmp_path)
    yield stack
    stack.down(purge=True)


def test_an_engine_that_answers_is_seen(engine: None) -> None:
    assert engine_answers()


def test_an_engine_that_is_not_there_is_not_seen(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    closed = ports.choose(("docker",), remembered={})["docker"]
    for host in (f"tcp://{ports.HOST}:{closed}", f"unix://{tmp_path}/absent.sock", "nonsense"):
        monkeypatch.setenv("DOCKER_HOST", host)
        assert not engine_answers()
    assert capfd.readouterr() == ("", "")


def test_an_engine_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((ports.HOST, 0)) as silent:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://{ports.HOST}:{silent.getsockname()[1]}")
        assert not engine_answers()


def test_a_docker_that_cannot_run_it_gives_way_to_the_jars(engine: None, fresh: Stack) -> None:
    told: list[str] = []

    def progress(_part: str, _state: str, detail: str) -> None:
        told.append(detail)

    fresh._choose_kafka(progress)
    assert fresh._states.state.kafka == {"kind": "docker"}
    fresh._start_kafka(progress)
    assert fresh._states.state.kafka == {"kind": "jars"}
    assert any("Docker failed" in detail for detail in told)
    kafka = fresh.status()[0]
    assert (kafka.name, kafka.state) == ("kafka", "running")


def test_a_choice_stays_and_an_endpoint_comes_first(
    engine: None, fresh: Stack, environment: object, stack: Stack
) -> None:
    fresh._states.set_kafka({"kind": "jars"})
    fresh._choose_kafka(lambda *_: None)
    assert fresh._states.state.kafka == {"kind": "jars"}

    given = stack.environment().kafka.bootstrap_servers
    with_endpoint = Stack.open(fresh.directory, given)
    with_endpoint._choose_kafka(lambda *_: None)
    with_endpoint._start_kafka(lambda *_: None)
    status = with_endpoint.status()[0]
    assert (status.state, status.address, status.pid) == ("running", given, None)
    with_endpoint.down()
    assert stack.status()[0].state == "running"


def test_an_endpoint_that_does_not_answer_is_told(fresh: Stack) -> None:
    nowhere = f"{ports.HOST}:{ports.choose(('x',), remembered={})['x']}"
    stack = Stack.open(fresh.directory, nowhere)
    stack._choose_kafka(lambda *_: None)
    with pytest.raises(Unreachable, match="given broker does not answer"):
        stack._start_kafka(lambda *_: None)
