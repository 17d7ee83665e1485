"""``heap-loader consume`` as a process of its own whose log is read while it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import psutil

Line = dict[str, Any]


class RunningConsumer:
    """One process. Its log's lines are kept; what they say can be awaited."""

    def __init__(self, config: Path, *arguments: str) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HEAP_LOADER_")}
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-c", "from loader.cli import main; main()"),
                *("--config", str(config), "consume", *arguments),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
        )
        self.lines: list[Line] = []
        self.text: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for raw in self.process.stderr:
            with self._changed:
                self.text.append(raw.decode(errors="replace").rstrip())
                try:
                    line = orjson.loads(raw)
                except orjson.JSONDecodeError:
                    line = {"event": self.text[-1]}
                self.lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def count(self, event: str, **fields: Any) -> int:
        """How many lines of a kind there are."""
        with self._changed:
            return sum(map(_like(event, fields), self.lines))

    def await_lines(self, event: str, count: int = 1, **fields: Any) -> None:
        """Wait until ``count`` lines of a kind are there, since the start."""
        wanted = _like(event, fields)
        with self._changed:
            self._changed.wait_for(
                lambda: sum(map(wanted, self.lines)) >= count or self._ended, timeout=120
            )
            found = sum(map(wanted, self.lines))
        assert found >= count, f"{found} of {count} {event} {fields}:\n{self.tail()}"

    def tail(self) -> str:
        """What the log says apart from batches, for an assertion's message."""
        told = [
            text
            for text, line in zip(self.text, self.lines, strict=False)
            if line.get("event") != "batch"
        ]
        return "\n".join([*told[-40:], *self.text[-2:]])

    def freeze(self) -> None:
        """Stop it in its tracks: it neither polls nor writes, and knows nothing of it."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on as if nothing had happened."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it, and its workers if it has any, at once."""
        self._signal(signal.SIGKILL)
        self.process.wait(30)

    def _signal(self, number: signal.Signals) -> None:
        """To the process and to all it has started."""
        whole = psutil.Process(self.process.pid)
        for process in (*whole.children(recursive=True), whole):
            process.send_signal(number)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """The exit status, and the whole log."""
        code = self.process.wait(60)
        self._reader.join(10)
        assert "Traceback" not in "\n".join(self.text), self.tail()
        return code


def _like(event: str, fields: dict[str, Any]) -> Callable[[Line], bool]:
    return lambda line: (
        line.get("event") == event and all(line.get(k) == v for k, v in fields.items())
    )


@contextmanager
def consumers(config: Path) -> Iterator[Callable[..., RunningConsumer]]:
    """Starts consumers; those that still run at the end are killed."""
    started: list[RunningConsumer] = []

    def start(*arguments: str, config: Path = config) -> RunningConsumer:
        started.append(RunningConsumer(config, *arguments))
        return started[-1]

    try:
        yield start
    except BaseException as error:
        for number, consumer in enumerate(started):
            error.add_note(f"--- consumer {number}\n{consumer.tail()}")
        raise
    finally:
        for consumer in started:
            if consumer.process.poll() is None:
                consumer.kill()
