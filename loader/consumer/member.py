"""One worker with its reports: the same in a process of its own and in the command's own process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import fields, replace
from types import TracebackType
from typing import Self

from loader import config
from loader.consumer import app
from loader.consumer.memory_limit import MemoryWatch
from loader.consumer.observer import Observer
from loader.consumer.progress import Progress, Target
from loader.consumer.reports import Report
from loader.kafka.clients import as_static_member

#: Seconds between reports; and between those that a batch asks for.
_EVERY = 1.0
_AT_MOST = 0.1


def run_member(
    settings: config.Settings,
    *,
    worker: int,
    stop: threading.Event,
    send: Callable[[Report], None],
    target: Target | None = None,
    until_caught_up: bool = False,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Run worker number ``worker`` until ``stop``, or to the end of a bounded run.

    Args:
        settings: the whole configuration.
        worker: its number, from 0.
        stop: ends it when set.
        send: takes its reports, from a thread of their own; the last one before this returns.
        target: where a bounded run ends.
        until_caught_up: take the target from Kafka.
        ready: called when it could join the group; it does when that returns.

    Raises:
        LoaderError: see :func:`loader.consumer.app.run`; or its memory stayed above its limit.
    """
    if settings.consumer.static_id is not None:
        kafka = as_static_member(settings.kafka, f"{settings.consumer.static_id}-{worker}")
        settings = settings.model_copy(update={"kafka": kafka})
    observer = Observer(worker)
    watch = MemoryWatch(settings.consumer.memory)
    with Reporter(observer, watch, stop, send) as reporter:
        done = app.run(
            settings,
            until_caught_up=until_caught_up,
            target=target,
            stop=stop,
            on_progress=reporter.progressed,
            observer=observer,
            ready=ready,
        )
        reporter.progressed(done)
    if reporter.failure is not None:
        raise reporter.failure
    if reporter.memory_exceeded:
        raise watch.error()


class Reporter:
    """Sends a report every second, and soon after each batch; sets ``stop`` when memory is exceeded.

    A thread of its own, so that a loop that hangs is seen to hang. If it fails, nobody would know how the
    worker stands: ``stop`` is set, and ``failure`` says why.
    """

    def __init__(
        self,
        observer: Observer,
        watch: MemoryWatch,
        stop: threading.Event,
        send: Callable[[Report], None],
    ) -> None:
        self._observer = observer
        self._watch = watch
        self._stop = stop
        self._send = send
        self._progress = Progress()
        self._wake = observer.news
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reports", daemon=True)
        self.memory_exceeded = False
        self.failure: Exception | None = None

    def progressed(self, progress: Progress) -> None:
        """A batch was written."""
        # Whoever counts goes on counting while this is read by another thread.
        own = {f.name: getattr(progress, f.name) for f in fields(progress)}
        own = {name: dict(v) if isinstance(v, dict) else v for name, v in own.items()}
        self._progress = Progress(**own)
        self._wake.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                self._report()
                self._closing.wait(_AT_MOST)
                self._wake.wait(_EVERY - _AT_MOST)
                self._wake.clear()
            self._report()
        except Exception as error:  # noqa: BLE001 - raised by whoever runs the worker
            self.failure = error
            self._stop.set()

    def _report(self) -> None:
        if self._watch.look() and not self._stop.is_set():
            self.memory_exceeded = True
            self._stop.set()
        seen = self._observer
        self._send(
            Report(
                progress=replace(self._progress, requests=seen.requests),
                samples=seen.snapshot(self._watch.resident),
                joined=seen.joined,
                started=seen.started,
                polled=seen.polled_at,
                wrote=seen.wrote_at,
                reached=tuple(seen.reached),
            )
        )
