"""A program that a supervisor takes for a worker. Run as a program by the tests of the supervisor.

Arguments: a folder, what to do, the worker's number, the descriptor for reports. It leaves
``<worker>.<how often it was started>`` in the folder, with its process id, and ``<worker>.stopped`` when
it was told to stop. It speaks by the standard library alone, so that it starts at once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from loader.consumer.signals import stop_on_signals

#: A report as it travels; ``tests/unit/consumer/test_reports.py`` holds it to the real one.
REPORT = {
    "progress": {"read": 10},
    "samples": [["s3_requests_total", ["PutObject"], 1]],
    "joined": False,
    "reached": [],
}


def main(folder: Path, behaviour: str, worker: int, descriptor: int) -> int:
    stop = stop_on_signals()
    life = len(list(folder.glob(f"{worker}.[0-9]*")))
    (folder / f"{worker}.{life}").write_text(str(os.getpid()))
    first = os.read(0, 100)

    def say(document: object) -> None:
        os.write(descriptor, json.dumps(document).encode() + b"\n")

    def report(**fields: object) -> None:
        say({"report": REPORT | fields})

    match behaviour.split(":"):
        case ["well"]:
            report(joined=True)
        case ["dies", status, lives] if worker == 0 and life < int(lives):
            report()
            return int(status)
        case ["killed", lives] if worker == 0 and life < int(lives):
            report()
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()
        case ["says", code] if worker == 0:
            say({"end": {"code": int(code), "message": f"message {code}", "hint": "a hint"}})
            return int(code)
        case ["babbles"] if life == 0:
            os.write(descriptor, b'{"no report"\n[]\n{"report": {"progr')
            return 1
        case ["deaf"]:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            report(joined=True)
        case ["half"]:
            report(joined=True, reached=(("t", worker),))
        case ["echo"]:
            (folder / "told").write_bytes(first)
            report(joined=True)
        case ["joins" | "late" as how]:
            # The second one is not ready before the first is, or before that one has joined.
            join(folder, worker, "0.ready" if how == "joins" else "0.joined", say)
            report(joined=True)
        case ["follows" | "hangs" as how]:
            follow(*(stop, 60.0) if how == "follows" else (threading.Event(), 0.1))
            report(joined=True)
        case _:
            report(joined=True)
    stop.wait()
    (folder / f"{worker}.stopped").touch()
    return 0


def join(folder: Path, worker: int, first: str, say: Callable[[object], None]) -> None:
    """Ask to join, the second worker after the first; leaves the times of being ready and of joining."""
    while worker == 1 and not (folder / first).exists():
        time.sleep(0.01)
    (folder / f"{worker}.ready").write_text(str(time.monotonic()))
    say({"ready": True})
    if os.read(0, 100) == b"go\n":
        (folder / f"{worker}.joined").write_text(str(time.monotonic()))


def follow(stop: threading.Event, timeout: float) -> None:
    """As a real worker does."""
    from loader.consumer.worker_main import follow_supervisor

    threading.Thread(
        target=follow_supervisor, args=(stop, threading.Event(), timeout), daemon=True
    ).start()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
