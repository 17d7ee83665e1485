"""Processes that outlive the command that starts them: start, recognise, find again, end.

A process is ours when its pid *and* its start time are the recorded ones *and* it carries the
stack's mark in its environment. A pid that the kernel has given to another program since is
therefore never touched. The mark alone finds what a crash left unrecorded.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from loader.errors import Unreachable
from loader.local.state import ProcessRecord

MARK = "HEAP_LOADER_STACK"
"""Environment variable of every process of a stack: ``<stack id>:<part>``."""

_CLOCK_SLACK = 2.0
"""Seconds by which a start time may appear to move: it is derived from the adjustable clock."""

_ORPHANS = 1.0
"""Seconds that children may outlive the server that they belonged to."""

# What a server may need from the caller's environment. Anything else (cloud credentials, PG*,
# KAFKA_*, WEED_*) could change what the server does, so it does not pass.
_PASSED_ON = ("PATH", "HOME", "USER", "LANG", "TMPDIR", "TZ", "VIRTUAL_ENV", "LD_LIBRARY_PATH")

# Children of this very process, held so that their exit status is collected.
_children: list[subprocess.Popen[bytes]] = []
_children_guard = threading.Lock()


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a program.

    Attributes:
        argv: program and arguments; no secret may be among them.
        cwd: working directory.
        env: variables beyond the few that are passed on from the caller.
        files: configuration, written with mode 0600 before the start.
    """

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[Path, str] = field(default_factory=dict)


def environment_for(mark: str, extra: Mapping[str, str]) -> dict[str, str]:
    """Build a server's environment: a short list from ours, ``extra``, and the mark."""
    passed = {k: v for k, v in os.environ.items() if k in _PASSED_ON or k.startswith("LC_")}
    return {**passed, **extra, MARK: mark}


def spawn(launch: Launch, *, mark: str, log: Path) -> psutil.Process:
    """Start ``launch`` detached: a session of its own, no stdin, output appended to ``log``.

    Raises:
        Unreachable: the program could not be started.
    """
    return psutil.Process(_start(launch, mark, log).pid)


def _start(launch: Launch, mark: str, log: Path) -> subprocess.Popen[bytes]:
    reap()
    with log.open("ab") as output:
        try:
            child = subprocess.Popen(
                launch.argv,
                cwd=launch.cwd,
                env=environment_for(mark, launch.env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise Unreachable(f"{launch.argv[0]} could not be started: {error.strerror}.") from None
    with _children_guard:
        _children.append(child)
    return child


def run(launch: Launch, *, mark: str, log: Path, timeout: float) -> None:
    """Run a program to its end, output appended to ``log``.

    Raises:
        Unreachable: it could not be started, failed, or took more than ``timeout`` seconds.
    """
    child = _start(launch, mark, log)
    process = psutil.Process(child.pid)
    try:
        status = child.wait(timeout)
    except subprocess.TimeoutExpired:
        end([process], grace=0)
        raise Unreachable(
            f"{Path(launch.argv[0]).name} did not finish within {timeout:.0f} s.", hint=tail(log)
        ) from None
    except BaseException:
        end([process], grace=0)
        raise
    if status != 0:
        raise Unreachable(
            f"{Path(launch.argv[0]).name} failed with status {status}.", hint=tail(log)
        )


def reap() -> None:
    """Collect the exit status of children that have ended, so that no zombie stays."""
    with _children_guard:
        _children[:] = [child for child in _children if child.poll() is None]


def recognise(record: ProcessRecord | None, mark: str) -> psutil.Process | None:
    """Return the live process that ``record`` speaks of, or None if it is gone.

    A zombie counts as gone. A process that has the pid but another start time or another mark is
    a stranger, and counts as gone too.
    """
    if record is None or record.pid <= 0:
        return None
    reap()
    try:
        process = psutil.Process(record.pid)
        if abs(process.create_time() - record.created) > _CLOCK_SLACK:
            return None
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return process if process.environ().get(MARK) == mark else None
    except psutil.AccessDenied:
        return None  # Somebody else's: ours are always readable to us.
    except psutil.NoSuchProcess:
        return None


def find_marked(mark: str) -> list[psutil.Process]:
    """Find every live process that carries exactly ``mark``, recorded or not."""
    reap()
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def end(processes: Iterable[psutil.Process], *, grace: float, first: int = signal.SIGTERM) -> None:
    """End processes and all their descendants, and wait until they are gone.

    Args:
        processes: each was recognised as ours by the caller; psutil checks the pid's identity
            again before every signal.
        grace: seconds to wait after ``first`` before SIGKILL; 0 kills at once.
        first: the signal that asks the program to stop.

    Raises:
        Unreachable: a process is still there after SIGKILL (it hangs in the kernel).
    """
    roots = list(processes)
    family = _with_descendants(roots)
    if grace > 0:
        _signal(roots, first)
        psutil.wait_procs(roots, timeout=grace)
        # A tidy server has ended its children before itself.
        _, family = psutil.wait_procs(family, timeout=_ORPHANS)
        family = _with_descendants(family)  # with what was forked meanwhile
    _signal(family, signal.SIGKILL)
    _, left = psutil.wait_procs(family, timeout=10)
    reap()
    if left:
        raise Unreachable(f"Process {left[0].pid} did not end after SIGKILL.")


def _with_descendants(roots: Iterable[psutil.Process]) -> list[psutil.Process]:
    family: dict[int, psutil.Process] = {}
    for root in roots:
        family[root.pid] = root
        with contextlib.suppress(psutil.Error):
            family.update((child.pid, child) for child in root.children(recursive=True))
    return list(family.values())


def _signal(processes: Iterable[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def tail(log: Path, lines: int = 15) -> str:
    """Return the last ``lines`` of a log and its path, for an error's hint."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 16_384))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return f"There is no log at {log}."
    last = "\n".join(f"  | {line}" for line in text.splitlines()[-lines:])
    return f"The end of {log}:\n{last}" if last else f"{log} is empty."
