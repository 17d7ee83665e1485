"""The life of one part, with a small real server in the place of a large one."""

from __future__ import annotations

import socket
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import pytest

from loader.errors import Unreachable
from loader.local import ports, processes
from loader.local.parts import NotReady, Place, Progress
from loader.local.processes import Launch
from loader.local.program_part import ProgramPart
from loader.local.state import ProcessRecord, StateFile

SERVER = """
import os, socket, sys, time
port, token, answers = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "answers"
server = socket.create_server(("127.0.0.1", port))
while True:
    client, _ = server.accept()
    client.sendall(token.encode() if answers else b"nobody")
    client.close()
"""


@dataclass
class Echo:
    """A server that tells its stack's id."""

    name: str = "echo"
    port_names: tuple[str, ...] = ("echo",)
    stop_signal: int = 15
    grace: float = 10.0
    answers: bool = True
    option: str = ""
    code: str = SERVER
    rob: int = 0  # how often somebody takes the port between its choice and the start
    robbers: list[socket.socket] = field(default_factory=list)
    settled: int = 0
    swept: int = 0

    def prepare(self, place: Place, mark: str, progress: Progress) -> None:  # noqa: ARG002
        if self.rob > 0:
            self.rob -= 1
            self.robbers.append(socket.create_server((ports.HOST, place.ports["echo"])))

    def launch(self, place: Place) -> Launch:
        words = (str(place.ports["echo"]), place.state.stack_id)
        answers = "answers" if self.answers else "mute"
        return Launch(
            argv=(sys.executable, "-c", self.code, *words, answers, self.option),
            cwd=place.home,
            files={place.home / "echo.conf": "a = 1\n"},
        )

    def check(self, place: Place) -> None:
        try:
            with socket.create_connection((ports.HOST, place.ports["echo"]), timeout=1) as client:
                client.settimeout(1)
                told = client.recv(100).decode()
        except OSError as error:
            raise NotReady(str(error)) from None
        if told != place.state.stack_id:
            raise NotReady(f"it says {told!r}")

    def settle(self, place: Place) -> None:  # noqa: ARG002
        self.settled += 1

    def sweep(self, place: Place) -> None:
        self.swept += processes.find_marked(f"{place.state.stack_id}:echo") == []

    def address(self, place: Place) -> str:
        return f"127.0.0.1:{place.ports['echo']}"


class Home:
    """A stack's directory with one part in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.states = StateFile(directory)
        self.states.create()
        self.told: list[tuple[str, str, str]] = []

    @property
    def mark(self) -> str:
        return f"{self.states.state.stack_id}:echo"

    def part(self, program: Echo, ready_within: float = 20.0) -> ProgramPart:
        return ProgramPart(program, self.directory, self.states, ready_within=ready_within)

    def progress(self, part: str, state: str, detail: str) -> None:
        self.told.append((part, state, detail))

    def up(self, program: Echo, ready_within: float = 20.0) -> ProcessRecord:
        self.part(program, ready_within).up(self.progress)
        return self.states.state.processes["echo"]

    def alive(self) -> list[int]:
        return [process.pid for process in processes.find_marked(self.mark)]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    mark = made.mark
    yield made
    processes.end(processes.find_marked(mark), grace=0)


def test_up_starts_once(home: Home) -> None:
    program = Echo()
    first = home.up(program)
    assert home.up(program) == first
    assert home.alive() == [first.pid]
    assert [state for _, state, _ in home.told][-1] == "kept"
    assert program.settled == 2
    conf = home.directory / "data" / "echo" / "echo.conf"
    assert conf.stat().st_mode & 0o777 == 0o600


def test_the_record_is_on_disk(home: Home) -> None:
    record = home.up(Echo())
    again = StateFile(home.directory).load()
    assert again is not None
    assert again.processes == {"echo": record}
    assert abs(psutil.Process(record.pid).create_time() - record.created) < 1


def test_a_killed_part_is_started_again_on_its_port(home: Home) -> None:
    first = home.up(Echo())
    port = home.states.state.ports["echo"]
    processes.end([psutil.Process(first.pid)], grace=0)
    assert home.part(Echo()).status().state == "dead"
    second = home.up(Echo())
    assert second.pid != first.pid
    assert home.states.state.ports["echo"] == port
    assert home.alive() == [second.pid]


def test_a_part_that_does_not_answer_is_replaced(home: Home) -> None:
    mute = Echo(answers=False)
    with pytest.raises(Unreachable, match="it says 'nobody'"):
        home.up(mute, ready_within=0.5)
    assert home.alive() == []
    first = home.up(Echo())
    psutil.Process(first.pid).suspend()
    assert home.part(Echo()).status().state == "unhealthy"
    second = home.up(Echo(grace=0.2), ready_within=1.5)
    assert home.alive() == [second.pid] != [first.pid]


def test_other_settings_mean_another_start(home: Home) -> None:
    first = home.up(Echo())
    second = home.up(Echo(option="new"))
    assert home.alive() == [second.pid] != [first.pid]


def test_a_crash_between_start_and_record_is_cleaned_up(home: Home) -> None:
    """The intent is on disk and the process runs, but its pid was never written."""
    lost = home.up(Echo())
    home.states.set_process("echo", ProcessRecord(0, 0.0, lost.fingerprint))
    found = home.up(Echo())
    assert home.alive() == [found.pid] != [lost.pid]
    home.states.set_process("echo", None)
    home.part(Echo()).down(home.progress, forget=False)
    assert home.alive() == []


def test_a_reused_pid_is_never_touched(home: Home) -> None:
    record = home.up(Echo())
    processes.end([psutil.Process(record.pid)], grace=0)
    stranger_mark = f"stranger-{uuid.uuid4().hex}:x"
    sleep = (sys.executable, "-c", "import signal; signal.pause()")
    log = home.directory / "stranger.log"
    stranger = processes.spawn(Launch(argv=sleep, cwd=home.directory), mark=stranger_mark, log=log)
    try:
        # The kernel gave our old pid to a stranger; then even with our recorded start time.
        for created in (record.created, stranger.create_time()):
            home.states.set_process("echo", ProcessRecord(stranger.pid, created, "f"))
            assert home.part(Echo()).status().state == "dead"
            home.part(Echo()).down(home.progress, forget=True)
            assert stranger.is_running()
            home.states.set_process("echo", ProcessRecord(stranger.pid, created, "f"))
            home.up(Echo())
            assert stranger.is_running()
    finally:
        processes.end([stranger], grace=0)


def test_a_taken_port_is_chosen_anew(home: Home) -> None:
    home.up(Echo())
    home.part(Echo()).down(home.progress, forget=False)
    old = home.states.state.ports["echo"]
    with socket.create_server((ports.HOST, old)):
        home.up(Echo())
        assert home.states.state.ports["echo"] != old


def test_a_port_lost_between_choice_and_start_is_tried_again(home: Home) -> None:
    program = Echo(rob=2)
    home.up(program)
    taken = [robber.getsockname()[1] for robber in program.robbers]
    assert len(set(taken)) == 2
    assert home.states.state.ports["echo"] not in taken
    for robber in program.robbers:
        robber.close()


def test_a_server_that_ends_at_once_is_told_with_its_log(home: Home) -> None:
    broken = Echo(code="raise SystemExit('no such luck')")
    with pytest.raises(Unreachable, match="echo did not become ready: its process ended") as caught:
        home.up(broken)
    assert "no such luck" in caught.value.hint
    assert "echo.log" in caught.value.hint
    assert "echo" not in home.states.state.processes


def test_down_ends_it_and_forgets_the_record(home: Home) -> None:
    home.up(Echo())
    program = Echo()
    part = home.part(program)
    part.down(home.progress, forget=False)
    assert home.alive() == []
    assert program.swept == 1
    assert part.status() == replace(part.status(), state="absent", pid=None, uptime=None)
    part.down(home.progress, forget=False)  # a second one has nothing to do


def test_status_of_a_running_part(home: Home) -> None:
    record = home.up(Echo())
    status = home.part(Echo()).status()
    assert (status.state, status.pid) == ("running", record.pid)
    assert status.address == f"127.0.0.1:{home.states.state.ports['echo']}"
    assert status.uptime is not None
    assert status.uptime >= 0
    assert status.log == home.directory / "logs" / "echo.log"


def test_parts_that_choose_at_the_same_time_share_no_port(home: Home) -> None:
    def choose(number: int) -> None:
        program = Echo(name=f"e{number}", port_names=(f"a{number}", f"b{number}"))
        home.part(program)._allot_ports()

    threads = [threading.Thread(target=choose, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(home.states.state.ports.values())) == 16
