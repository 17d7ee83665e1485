"""Run a program and say what it took: seconds, CPU seconds, peak memory of its process tree."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import psutil


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of a program.

    Attributes:
        output: what it wrote to stdout.
        wall: seconds from its start to its end, start-up included.
        cpu: user and system seconds of it and the children it waited for.
        peak_mb: largest resident size of its process tree, MB, sampled every 50 ms.
    """

    output: str
    wall: float
    cpu: float
    peak_mb: float


def run(argv: Sequence[str], *, env: Mapping[str, str], log: Path) -> Measured:
    """Run a program to its end.

    Raises:
        RuntimeError: it failed; the message holds the end of its log.
    """
    with log.open("wb") as errors:
        started = perf_counter()
        process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, **env}
        )
        peak = _Peak(process.pid)
        assert process.stdout is not None
        output = process.stdout.read().decode()
        # wait4 gives this very process's usage, not that of all children so far.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = perf_counter() - started
        peak.stop()
    if process.returncode:
        tail = log.read_text(errors="replace").splitlines()[-15:]
        raise RuntimeError(f"{argv} ended with {process.returncode}:\n" + "\n".join(tail))
    return Measured(
        output,
        wall,
        usage.ru_utime + usage.ru_stime,
        max(peak.megabytes, usage.ru_maxrss * 1024 / 1e6),
    )


class _Peak:
    """Samples the resident size of a process tree."""

    def __init__(self, pid: int) -> None:
        self.megabytes = 0.0
        self._process = psutil.Process(pid)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        while not self._done.wait(0.05):
            total = 0
            try:
                for process in (self._process, *self._process.children(recursive=True)):
                    total += process.memory_info().rss
            except psutil.Error:
                continue
            self.megabytes = max(self.megabytes, total / 1e6)

    def stop(self) -> None:
        self._done.set()
        self._thread.join()


def python() -> str:
    """The interpreter of this environment."""
    return sys.executable
