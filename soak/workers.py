"""The workers: processes of ``heap-loader consume``, each started again whenever it ends.

A worker's end is judged: a kill of ours, a stop of ours, an absent dependency while it was absent.
Everything else is a finding, with the end of what the worker said.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import tomli_w

from soak.options import Options

#: Seconds after a dependency came back in which its absence may still end a worker.
_GRACE: Final = 45.0
_PAUSE: Final = 0.5
_STOPS_WITHIN: Final = 60.0
_TAIL: Final = 15
_ROOT: Final = Path(__file__).resolve().parents[1]
_LOST: Final = "batch lost to another writer"


class Worker:
    """One place in the group, and the processes that take it one after the other.

    Args:
        number: its number, from 0.
        folder: for configurations and logs.
        settings: the loader's configuration.
        options: the run.
        was_away: whether a dependency was absent within so many seconds.
        tell: told a line worth showing.

    Attributes:
        exits: how its processes ended, by verdict.
        said: how often its log says what, by event.
        findings: ends and silences that nobody can answer for.
        starts: number of processes so far.
        started: when the present one was, monotonic seconds.
        peak_mb: largest resident size of any of them.
    """

    def __init__(
        self,
        number: int,
        folder: Path,
        settings: dict[str, Any],
        options: Options,
        was_away: Callable[[float], bool],
        tell: Callable[[str], None],
    ) -> None:
        self.number = number
        self.exits: Counter[str] = Counter()
        self.said: Counter[str] = Counter()
        self.findings: list[str] = []
        self.starts = 0
        self.started = 0.0
        self.peak_mb = 0.0
        self._folder = folder
        self._settings = settings
        self._rng = random.Random(f"worker {number} {options.seed}")
        self._was_away = was_away
        self._tell = tell
        self._guard = threading.Condition()
        self._process: subprocess.Popen[bytes] | None = None
        self._sent: str | None = None
        self._until_caught_up = False
        self._over = False
        self._thread = threading.Thread(target=self._run, name=f"worker-{number}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wait_alive(self, seconds: float) -> bool:
        """Wait until a process runs that was not killed; whether one does."""

        def alive() -> bool:
            return self._process is not None and self._sent != "killed"

        with self._guard:
            self._guard.wait_for(lambda: self._over or alive(), seconds)
            return alive()

    def kill(self) -> bool:
        """SIGKILL; whether a process was there to be killed."""
        return self._send(signal.SIGKILL, "killed")

    def pause(self) -> bool:
        """SIGSTOP; whether a process was there."""
        return self._send(signal.SIGSTOP, None)

    def resume(self) -> None:
        """SIGCONT."""
        self._send(signal.SIGCONT, None)

    def stop(self) -> bool:
        """SIGTERM; returns when the process has ended or the bound is over, which is a finding."""
        with self._guard:
            process = self._process
            if process is None or not self._send(signal.SIGTERM, "stopped"):
                return False
            if not self._guard.wait_for(lambda: self._process is not process, _STOPS_WITHIN):
                self.findings.append(
                    f"worker {self.number} did not end {_STOPS_WITHIN:.0f} s after SIGTERM:\n"
                    f"{self._end_of(self.starts)}"
                )
                self._send(signal.SIGKILL, "killed")
            return True

    def show_threads(self) -> str:
        """Where its threads are, for a worker that should work and does not."""
        if not self._send(signal.SIGUSR1, None):
            return f"worker {self.number} has no process"
        time.sleep(1.0)
        return f"worker {self.number}, process {self.starts}:\n{self._end_of(self.starts, 60)}"

    def finish(self) -> None:
        """Stop; from now on a process runs until it has caught up, and none follows it."""
        with self._guard:
            self._until_caught_up = True
        self.stop()

    def join(self, seconds: float) -> None:
        """Wait for the last process; one that does not end is a finding."""
        self._thread.join(max(seconds, 0.1))
        if self._thread.is_alive():
            self.findings.append(f"did not catch up: {self.show_threads()}")
            self.abandon()

    def abandon(self) -> None:
        """End it now, whatever it does."""
        with self._guard:
            self._over = True
        self._send(signal.SIGCONT, None)
        self.kill()
        if self._thread.ident is not None:
            self._thread.join(20)

    def _send(self, number: int, sent: str | None) -> bool:
        """Signal the process, which is certainly ours: it is not reaped before the lock says so."""
        with self._guard:
            # One that was killed is as good as gone, though it may not have ended yet.
            if self._process is None or self._sent == "killed":
                return False
            if sent is not None:
                self._sent = sent
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)
            return True

    def _run(self) -> None:
        while not self._over:
            bounded = self._begin()
            process = self._process
            assert process is not None
            # The end is awaited without reaping, so that the pid stays ours while it can be signalled.
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            with self._guard:
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
                self.peak_mb = max(self.peak_mb, usage.ru_maxrss * 1024 / 1e6)
                self._process = None
                verdict = self._judge(process.returncode, self._sent)
                if bounded and verdict == "caught up":
                    self._over = True
                self._guard.notify_all()
            if verdict != "killed":
                time.sleep(_PAUSE)

    def _begin(self) -> bool:
        """Start the next process; whether it ends by itself when it has caught up."""
        with self._guard:
            self.starts += 1
            bounded = self._until_caught_up
            batch = {
                "max_rows": int(10 ** self._rng.uniform(2.0, 4.5)),
                "max_age": round(10 ** self._rng.uniform(-1.0, 0.5), 2),
            }
            config = self._folder / f"worker-{self.number}.toml"
            config.write_text(tomli_w.dumps({**self._settings, "batch": batch}))
            config.chmod(0o600)
            command = [sys.executable, "-m", "soak.consumer"]
            command += ["--config", str(config), "consume", "--json"]
            if bounded:
                command.append("--until-caught-up")
            with self._log(self.starts).open("wb") as log:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=_ROOT
                )
            self.started = time.monotonic()
            self._sent = None
            self._guard.notify_all()
            return bounded

    def _judge(self, code: int, sent: str | None) -> str:
        self._read(self.starts)
        if code == -signal.SIGKILL and sent == "killed":
            verdict = "killed"
        elif code == 0 and sent == "stopped":
            verdict = "stopped"
        elif code == -signal.SIGTERM and sent == "stopped":
            # It was still importing: nothing was begun that could be finished.
            verdict = "stopped while starting"
        elif code == -signal.SIGUSR1:
            verdict = "asked while starting"
        elif code == 0 and self._until_caught_up:
            verdict = "caught up"
        elif code == 4 and self._was_away(_GRACE):
            verdict = "unreachable"
            self._tell(
                f"worker {self.number} ended with 4 while a dependency was away; started again"
            )
        else:
            verdict = f"exit {code}"
            self.findings.append(
                f"worker {self.number}, process {self.starts}, ended with {code}:\n"
                f"{self._end_of(self.starts)}"
            )
            self._tell(f"FINDING: worker {self.number} ended with {code}")
        self.exits[verdict] += 1
        return verdict

    def _read(self, process: int) -> None:
        """Count what the log says, and drop it unless it must be kept."""
        with self._log(process).open(errors="replace") as log:
            for line in log:
                if line.startswith("Traceback"):
                    self.findings.append(
                        f"worker {self.number}, process {process}, shows a traceback:\n"
                        f"{self._end_of(process)}"
                    )
                elif line.startswith("{"):
                    with contextlib.suppress(ValueError):
                        self.said[str(json.loads(line).get("event"))] += 1

    def _log(self, process: int) -> Path:
        return self._folder / f"worker-{self.number}-{process:03d}.log"

    def _end_of(self, process: int, count: int = _TAIL) -> str:
        lines = self._log(process).read_text(errors="replace").splitlines()[-count:]
        return "\n".join(f"    | {line[:600]}" for line in lines)

    @property
    def lost_batches(self) -> int:
        """Batches whose offsets another writer had committed already."""
        return self.said[_LOST]
