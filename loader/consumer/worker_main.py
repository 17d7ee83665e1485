"""One worker as a program, started by a supervisor: ``python -m loader.consumer.worker_main N FD``.

Reads what it is to do from its standard input, whose end later tells it that the supervisor is gone;
writes its reports to file descriptor ``FD``. See :mod:`loader.consumer.reports`.
"""

from __future__ import annotations

import gc
import os
import sys
import threading

from loader import logs
from loader.consumer.memory_limit import MemoryExceeded
from loader.consumer.reports import End, Ready, Report, Start
from loader.consumer.signals import stop_on_signals
from loader.errors import LoaderError
from loader.logs import log

#: Seconds between two looks whether a worker that waits to join is to stop.
_LOOK = 0.05


def main(descriptor: int) -> int:
    """Run a worker; returns its exit status."""
    # Importing makes many objects and no garbage; and the loop collects when it wants to.
    gc.disable()
    try:
        return _run(descriptor)
    finally:
        # The interpreter's end collects too, and all there is to free goes with the process.
        gc.freeze()


def _run(descriptor: int) -> int:
    stop = stop_on_signals()
    # Nothing that this process may start inherits the pipe: its end must be this process' end.
    os.set_inheritable(descriptor, False)
    line = _first_line()
    if not line:
        return 1
    start = Start.decode(line)
    logs.configure(verbose=start.verbose, json=start.json_logs, context={"worker": start.worker})
    timeout = start.settings.consumer.stop_timeout
    go = threading.Event()
    threading.Thread(
        target=follow_supervisor, args=(stop, go, timeout), name="supervisor", daemon=True
    ).start()
    pipe = _Pipe(descriptor, stop)

    def ready() -> None:
        pipe.write(Ready().encode())
        # A signal sets `stop` alone.
        while not stop.is_set() and not go.wait(_LOOK):
            pass

    try:
        # The heavy libraries come last: whoever is told to stop by now has nothing to let go of.
        from loader.consumer.member import run_member  # noqa: PLC0415

        run_member(
            start.settings,
            worker=start.worker,
            stop=stop,
            send=pipe.report,
            target=start.target,
            ready=ready,
        )
    except LoaderError as error:
        memory = isinstance(error, MemoryExceeded)
        pipe.write(End(error.exit_code, error.message, error.hint, memory=memory).encode())
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the supervisor is told, and starts another one
        log.debug("unexpected", exc_info=True)
        message = f"Unexpected {type(error).__name__}: {error}"
        pipe.write(End(1, message, "Run with -v for the traceback, and please report it.").encode())
        return 1
    return 0


def _first_line() -> bytes:
    """Standard input up to its first line's end; empty if it ends before."""
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(0, 1 << 16)
        if not part:
            return b""
        line += part
    return line


def follow_supervisor(stop: threading.Event, go: threading.Event, timeout: float) -> None:
    """Set ``go`` when told to; stop when standard input ends, and end for good if that takes too long."""
    # Not through sys.stdin: the interpreter could not end while this thread waits inside of it.
    while os.read(0, 1 << 16):
        go.set()
    if not stop.is_set():
        log.warning("the supervisor is gone, stopping")
    stop.set()
    threading.Event().wait(timeout)
    os._exit(1)


class _Pipe:
    """Whole lines to the supervisor. Without one to read them the worker stops."""

    def __init__(self, descriptor: int, stop: threading.Event) -> None:
        self._file = os.fdopen(descriptor, "wb", 0)
        self._stop = stop
        self._lock = threading.Lock()

    def report(self, report: Report) -> None:
        self.write(report.encode())

    def write(self, line: bytes) -> None:
        try:
            with self._lock:
                rest = memoryview(line)
                while rest:
                    rest = rest[self._file.write(rest) :]
        except BrokenPipeError:
            self._stop.set()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[2])))
