"""Run a program and say what it took: seconds, CPU seconds, peak memory of its process tree."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

_STRIDE_SECONDS = 0.05
#: To find the tree's processes all of the system's are read, which at every sample took 4 % of two cores.
_LOOK_SECONDS = 0.5
_ASK_SECONDS = 0.2
_GRACE_SECONDS = 20.0


class RunFailed(Exception):
    """A measured program failed; the message says how, with the end of its log."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of a program.

    Attributes:
        output: what it wrote to stdout.
        began: when it was started, seconds since the epoch.
        wall: seconds from its start to its end, start-up included.
        cpu: user and system seconds of its process tree.
        peak_mb: largest resident size of its process tree, MB, sampled every 50 ms. Pages that two
            processes share count twice.
    """

    output: str
    began: float
    wall: float
    cpu: float
    peak_mb: float


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    log: Path,
    cwd: Path | None = None,
    timeout: float = 3600.0,
    until: Callable[[], bool] | None = None,
    sampled: Callable[[int, Mapping[int, int]], None] = lambda _top, _resident: None,
) -> Measured:
    """Run a program to its end. Whatever happens, nothing of it runs on afterwards.

    Args:
        argv: the program.
        env: environment variables on top of this process's own.
        log: takes its stderr.
        cwd: its working directory.
        timeout: seconds after which it counts as stuck.
        until: for a program that never ends by itself: asked five times a second, and once it says
            yes the program is told to end (SIGTERM). How it then ends does not matter. It may raise
            RunFailed if it sees that the program never will be done.
        sampled: told the program's pid and the resident bytes of each process of its tree, every 50 ms.

    Raises:
        RunFailed: it failed or was stuck.
    """
    out = log.with_suffix(".out")
    with log.open("wb") as errors, out.open("wb") as output:
        began = time.time()
        started = time.perf_counter()
        # A session of its own: what it starts can be ended with it.
        process = subprocess.Popen(
            argv,
            stdout=output,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **env},
            cwd=cwd,
            start_new_session=True,
        )
        tree = Tree(process.pid, sampled)
        try:
            fulfilled = _wait(process, started + timeout, until)
            # wait4 gives the usage of this very process and of the children it waited for.
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            wall = time.perf_counter() - started
        finally:
            tree.stop()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.poll()
    if process.returncode and not fulfilled:
        raise RunFailed(f"{_told(argv)} ended with {process.returncode}:\n{_tail(log, out)}")
    if until is not None and not fulfilled:
        raise RunFailed(f"{_told(argv)} ended before its work was done:\n{_tail(log, out)}")
    return Measured(
        out.read_text(errors="replace"),
        began,
        wall,
        # A Java that a Python started is often not waited for: then only the samples have it.
        max(tree.cpu, usage.ru_utime + usage.ru_stime),
        # Not ru_maxrss: a process inherits its high-water mark from the one that started it.
        tree.peak_mb,
    )


def _wait(
    process: subprocess.Popen[bytes], deadline: float, until: Callable[[], bool] | None
) -> bool:
    """Wait until the process is about to be reaped; returns whether ``until`` ended it."""
    fulfilled = False
    asked = 0.0
    while not _ended(process.pid):
        if time.perf_counter() > deadline:
            if fulfilled:
                os.killpg(process.pid, signal.SIGKILL)
                continue
            raise RunFailed("it was stuck and has been ended.")
        if until is not None and not fulfilled and time.perf_counter() - asked > _ASK_SECONDS:
            asked = time.perf_counter()
            fulfilled = until()
            if fulfilled:
                process.terminate()
                deadline = time.perf_counter() + _GRACE_SECONDS
        time.sleep(0.02)
    return fulfilled


def _ended(pid: int) -> bool:
    # Leaves the ended process in place: wait4 has to read its usage.
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _told(argv: Sequence[str]) -> str:
    return " ".join(part if len(part) < 60 else f"{part[:57]}..." for part in argv[:6])


def _tail(*logs: Path) -> str:
    lines = [line for log in logs for line in log.read_text(errors="replace").splitlines()]
    return "\n".join(line[:400] for line in lines[-25:])


class Tree:
    """Samples resident size and CPU seconds of a process tree until it is stopped.

    Attributes:
        peak_mb: largest resident size so far, MB, sampled every 50 ms.
    """

    def __init__(
        self,
        pid: int,
        sampled: Callable[[int, Mapping[int, int]], None] = lambda _top, _resident: None,
    ) -> None:
        self.peak_mb = 0.0
        self._sampled = sampled
        self._cpu: dict[tuple[int, float], float] = {}
        self._process = psutil.Process(pid)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    @property
    def cpu(self) -> float:
        """User and system seconds, of ended processes as of their last sample."""
        return sum(self._cpu.values())

    def _sample(self) -> None:
        processes: list[psutil.Process] = []
        looked = -math.inf
        while not self._done.wait(_STRIDE_SECONDS):
            resident: dict[int, int] = {}
            if time.monotonic() - looked >= _LOOK_SECONDS:
                looked = time.monotonic()
                try:
                    processes = [self._process, *self._process.children(recursive=True)]
                except psutil.Error:
                    continue
            for process in processes:
                with contextlib.suppress(psutil.Error), process.oneshot():
                    resident[process.pid] = process.memory_info().rss
                    times = process.cpu_times()
                    # A pid may be given twice in a long run, never with the same start.
                    self._cpu[process.pid, process.create_time()] = times.user + times.system
            self.peak_mb = max(self.peak_mb, sum(resident.values()) / 1e6)
            self._sampled(self._process.pid, resident)

    def now(self) -> float:
        """CPU seconds of the top process alone, as of now."""
        times = self._process.cpu_times()
        return times.user + times.system

    def stop(self) -> None:
        """End the sampling."""
        self._done.set()
        self._thread.join()


def python() -> str:
    """The interpreter of this environment."""
    return sys.executable


#: ``heap-loader`` of this environment.
LOADER: Final = (sys.executable, "-c", "from loader.cli import main; main()")
