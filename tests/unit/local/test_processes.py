from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from loader.errors import Unreachable
from loader.local import processes
from loader.local.processes import Launch
from loader.local.state import ProcessRecord

SLEEP = "import signal; signal.pause()"


@pytest.fixture
def mark() -> Iterator[str]:
    """A mark of this test alone; whatever carries it afterwards is killed."""
    name = f"test-{uuid.uuid4().hex}:part"
    yield name
    processes.end(processes.find_marked(name), grace=0)


def launch(tmp_path: Path, code: str) -> Launch:
    return Launch(argv=(sys.executable, "-c", code), cwd=tmp_path)


def record_of(process: psutil.Process) -> ProcessRecord:
    return ProcessRecord(process.pid, process.create_time(), "f")


def spawn_ready(tmp_path: Path, code: str, mark: str) -> psutil.Process:
    """Start ``code``, which prints a line when it has come as far as the test needs."""
    log = tmp_path / "log"
    process = processes.spawn(launch(tmp_path, code), mark=mark, log=log)
    for _ in range(400):
        if log.read_text():
            return process
        with pytest.raises(psutil.TimeoutExpired):
            process.wait(0.05)
    raise AssertionError("the program never printed")


def test_a_started_process_is_detached_and_recognised(tmp_path: Path, mark: str) -> None:
    process = processes.spawn(launch(tmp_path, SLEEP), mark=mark, log=tmp_path / "log")
    assert os.getsid(process.pid) == process.pid != os.getsid(0)
    found = processes.recognise(record_of(process), mark)
    assert found is not None
    assert found.pid == process.pid
    assert [p.pid for p in processes.find_marked(mark)] == [process.pid]


def test_a_stranger_with_our_pid_is_not_ours(tmp_path: Path, mark: str) -> None:
    process = processes.spawn(launch(tmp_path, SLEEP), mark=mark, log=tmp_path / "log")
    record = record_of(process)
    assert processes.recognise(replace(record, created=record.created - 60), mark) is None
    assert processes.recognise(record, "another stack's mark") is None
    assert processes.recognise(ProcessRecord(0, 0.0, ""), mark) is None
    assert processes.recognise(None, mark) is None


def test_what_has_ended_is_gone_and_leaves_no_zombie(tmp_path: Path, mark: str) -> None:
    process = processes.spawn(launch(tmp_path, "pass"), mark=mark, log=tmp_path / "log")
    record = record_of(process)
    psutil.wait_procs([process], timeout=20)
    assert processes.recognise(record, mark) is None
    assert not psutil.pid_exists(process.pid)


def test_end_takes_descendants_along(tmp_path: Path, mark: str) -> None:
    parent_of = (
        "import subprocess, sys, signal\n"
        f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}], env={{}},"
        " start_new_session=True)\n"
        "print(child.pid, flush=True); signal.pause()"
    )
    process = spawn_ready(tmp_path, parent_of, mark)
    child = psutil.Process(int((tmp_path / "log").read_text()))
    processes.end([process], grace=10)
    assert not process.is_running()
    # Its parent has gone, so its last trace may be a zombie that somebody else collects.
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_what_ignores_the_stop_signal_is_killed(tmp_path: Path, mark: str) -> None:
    deaf = (
        "import signal; signal.signal(15, signal.SIG_IGN); print(1, flush=True)\n"
        "while True: signal.pause()"
    )
    process = spawn_ready(tmp_path, deaf, mark)
    processes.end([process], grace=0.2)
    assert not process.is_running()


def test_the_stop_signal_is_the_programs_own(tmp_path: Path, mark: str) -> None:
    tidy = (
        "import signal, sys\n"
        "signal.signal(2, lambda *_: (print('tidy', flush=True), sys.exit()))\n"
        "print('up', flush=True); signal.pause()"
    )
    process = spawn_ready(tmp_path, tidy, mark)
    processes.end([process], grace=20, first=signal.SIGINT)
    assert (tmp_path / "log").read_text().split() == ["up", "tidy"]


def test_end_of_nothing_and_of_the_dead_is_nothing(tmp_path: Path, mark: str) -> None:
    processes.end([], grace=5)
    process = processes.spawn(launch(tmp_path, "pass"), mark=mark, log=tmp_path / "log")
    psutil.wait_procs([process], timeout=20)
    processes.end([process], grace=5)


def test_credentials_of_the_caller_do_not_reach_the_server(
    tmp_path: Path, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the caller")
    monkeypatch.setenv("PGPASSWORD", "of the caller")
    with_extra = replace(launch(tmp_path, "import os; print(dict(os.environ))"), env={"A": "b"})
    processes.run(with_extra, mark=mark, log=tmp_path / "log", timeout=20)
    seen = (tmp_path / "log").read_text()
    assert "of the caller" not in seen
    assert "'A': 'b'" in seen
    assert f"'{processes.MARK}': '{mark}'" in seen


def test_a_failure_tells_the_end_of_its_log(tmp_path: Path, mark: str) -> None:
    code = "[print(f'line {n}') for n in range(50)]; raise SystemExit(3)"
    with pytest.raises(Unreachable, match="failed with status 3") as caught:
        processes.run(launch(tmp_path, code), mark=mark, log=tmp_path / "log", timeout=20)
    assert "line 49" in caught.value.hint
    assert "line 5\n" not in caught.value.hint
    assert str(tmp_path / "log") in caught.value.hint


def test_what_runs_too_long_is_ended(tmp_path: Path, mark: str) -> None:
    with pytest.raises(Unreachable, match="did not finish"):
        processes.run(launch(tmp_path, SLEEP), mark=mark, log=tmp_path / "log", timeout=0.3)
    assert processes.find_marked(mark) == []


def test_a_missing_program_is_told_by_name(tmp_path: Path, mark: str) -> None:
    absent = Launch(argv=(str(tmp_path / "absent"),), cwd=tmp_path)
    with pytest.raises(Unreachable, match="absent could not be started"):
        processes.spawn(absent, mark=mark, log=tmp_path / "log")


def test_tail_of_an_absent_and_of_an_empty_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert "no log" in processes.tail(log)
    log.touch()
    assert "is empty" in processes.tail(log)


def test_other_processes_are_never_found(mark: str) -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEP]) as other:
        try:
            assert processes.find_marked(mark) == []
        finally:
            other.kill()
