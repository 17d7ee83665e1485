"""Workers as processes: started, watched, started again, and stopped together.

Each worker is a fresh interpreter (nothing is forked), a group of its own (Ctrl-C reaches the
supervisor alone), and reads a pipe whose end tells it that the supervisor is gone, however it went.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from loader.consumer import reports
from loader.consumer.overview import Overview
from loader.consumer.reports import GO, End, Ready, Report
from loader.consumer.restarts import Policy, Restarts
from loader.errors import LoaderError, NeedsOperator, Unreachable, UsageError
from loader.logs import log

#: A report of a worker with thousands of partitions still fits.
_LONGEST_LINE = 64 << 20
#: Seconds that a dead worker's pipe may stay open, should somebody have inherited it.
_LAST_WORDS = 5.0
#: Seconds that the first worker that is ready waits for the others. Workers that join their group together
#: are given their partitions once; one that joins later takes some from the others, which then write what
#: they have and ask the lake anew (as Kafka's own group.initial.rebalance.delay.ms, 3 s).
_TOGETHER = 3.0
#: Seconds between two lines about partitions that none of the workers reads.
_REMIND = 30.0

#: Nobody but a person helps: all workers stop.
_FATAL: dict[int, type[LoaderError]] = {2: UsageError, 5: NeedsOperator}
#: Further kinds that a bounded run may end with.
_KINDS: dict[int, type[LoaderError]] = {**_FATAL, 4: Unreachable}


@dataclass(frozen=True, slots=True)
class _Ended:
    """How a worker ended: its status (negative: a signal), and what it said."""

    status: int
    said: End | None
    ran: float

    @property
    def reason(self) -> str:
        """As a label of the metric of restarts."""
        if self.status < 0:
            return "signal"
        if self.said is not None and self.said.memory:
            return "memory"
        return "unreachable" if self.status == 4 else "failure"

    @property
    def text(self) -> str:
        """What happened, for people."""
        if self.said is not None:
            return f"{self.said.message} {self.said.hint}".strip()
        if self.status == -signal.SIGKILL:
            return "Killed by SIGKILL: by somebody, or by the system for want of memory."
        if self.status < 0:
            return f"Killed by {signal.Signals(-self.status).name}."
        return f"Ended with status {self.status} without a word."


class Supervisor:
    """Runs the workers of one command.

    Args:
        workers: how many.
        command: the program of worker ``i``, which reports to the given file descriptor.
        start: the line that worker ``i`` reads first.
        overview: takes what they report.
        policy: when to start again, and how long to wait for the end.
        on_progress: called after each report.
        rng: spreads restarts.
    """

    def __init__(
        self,
        workers: int,
        command: Callable[[int, int], Sequence[str]],
        start: Callable[[int], bytes],
        overview: Overview,
        policy: Policy,
        *,
        on_progress: Callable[[], None] = lambda: None,
        rng: random.Random | None = None,
    ) -> None:
        self._workers = workers
        self._command = command
        self._start = start
        self._overview = overview
        self._policy = policy
        self._on_progress = on_progress
        self._rng = rng or random.Random()  # noqa: S311 - spreads restarts, guards nothing
        self._processes: dict[int, Process] = {}
        self._error: LoaderError | None = None
        self._stopping = asyncio.Event()
        self._ready: set[int] = set()
        self._together = asyncio.Event()

    async def run(self) -> None:
        """Until SIGTERM or SIGINT, the end of a bounded run, or what only a person can mend.

        Raises:
            UsageError, NeedsOperator: what a worker said; all others were stopped.
            LoaderError: a bounded run gave up.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop, number)
        background = [
            asyncio.create_task(self._end_the_slow()),
            asyncio.create_task(self._remind()),
        ]
        try:
            async with asyncio.TaskGroup() as group:
                for worker in range(self._workers):
                    group.create_task(self._keep(worker))
        finally:
            for task in background:
                task.cancel()
            for process in self._processes.values():
                _signal(process, signal.SIGKILL)
        if self._error is not None:
            raise self._error

    # One worker

    async def _keep(self, worker: int) -> None:
        restarts = Restarts(self._policy, self._rng)
        while not self._stopping.is_set():
            try:
                ended = await self._run_once(worker)
            except OSError as error:
                said = End(1, f"Worker {worker} cannot be started: {error.strerror or error}.")
                ended = _Ended(1, said, 0.0)
            self._overview.ended(worker)
            kind = _FATAL.get(ended.status)
            if kind is not None:
                self._fail(_error(kind, ended, worker))
            if self._stopping.is_set():
                return
            delay = restarts.failed(ended.ran)
            if delay is None:
                log.error("worker fails again and again", worker=worker, times=restarts.failures)
                self._fail(_error(_KINDS.get(ended.status, LoaderError), ended, worker))
                return
            self._overview.restarting(worker, ended.reason)
            log.warning(
                "worker ended, it is started again",
                worker=worker,
                status=ended.status,
                error=ended.text,
                ran_seconds=round(ended.ran, 1),
                wait_seconds=round(delay, 1),
            )
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)

    async def _run_once(self, worker: int) -> _Ended:
        started = time.monotonic()
        ours, theirs = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command(worker, theirs),
                stdin=PIPE,
                stdout=2,  # whatever a library prints is no result of the command
                pass_fds=(theirs,),
                process_group=0,
            )
        except OSError:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        self._processes[worker] = process
        self._overview.started(worker)
        log.info("worker started", worker=worker, pid=process.pid)
        if self._stopping.is_set():
            _signal(process, signal.SIGTERM)
        listening = asyncio.create_task(self._listen(worker, ours, process))
        await self._tell(process, self._start(worker))
        status = await process.wait()
        del self._processes[worker]
        await asyncio.wait({listening}, timeout=_LAST_WORDS)
        listening.cancel()
        said = listening.result() if listening.done() and not listening.cancelled() else None
        if process.stdin is not None:
            process.stdin.close()
        return _Ended(status, said, time.monotonic() - started)

    async def _tell(self, process: Process, line: bytes) -> None:
        assert process.stdin is not None  # noqa: S101 - a pipe was asked for
        # It may be dead already; its status says more than a broken pipe.
        with suppress(ConnectionError):
            process.stdin.write(line)
            await process.stdin.drain()

    async def _let_join(self, worker: int, process: Process) -> None:
        """Let a worker join its group: with the others, or after them."""
        self._ready.add(worker)
        if len(self._ready) == self._workers:
            self._together.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._together.wait(), _TOGETHER)
        self._together.set()
        await self._tell(process, GO)

    async def _listen(self, worker: int, descriptor: int, process: Process) -> End | None:
        """Take reports until the pipe ends; returns the worker's last words."""
        reader = asyncio.StreamReader(limit=_LONGEST_LINE)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", 0)
        )
        said = None
        joining: asyncio.Task[None] | None = None
        try:
            async for line in reader:
                try:
                    message = reports.decode(line)
                except ValueError:
                    log.debug("a worker's line was cut", worker=worker)
                    continue
                if isinstance(message, Report):
                    self._take(worker, message)
                elif isinstance(message, Ready):
                    joining = asyncio.create_task(self._let_join(worker, process))
                else:
                    said = message
        finally:
            if joining is not None:
                joining.cancel()
            transport.close()
        return said

    def _take(self, worker: int, report: Report) -> None:
        self._overview.reported(worker, report)
        self._on_progress()
        if self._overview.caught_up:
            self._stop()

    # The end

    def _asked_to_stop(self, number: signal.Signals) -> None:
        log.info("stopping", signal=number.name, workers=len(self._processes))
        self._stop()

    def _fail(self, error: LoaderError) -> None:
        self._error = self._error or error
        self._stop()

    def _stop(self) -> None:
        if not self._stopping.is_set():
            self._stopping.set()
            for process in self._processes.values():
                _signal(process, signal.SIGTERM)

    async def _end_the_slow(self) -> None:
        await self._stopping.wait()
        await asyncio.sleep(self._policy.stop_timeout)
        for worker, process in self._processes.items():
            log.warning(
                "worker did not stop in time and is killed; what it had open is read again",
                worker=worker,
                seconds=self._policy.stop_timeout,
            )
            _signal(process, signal.SIGKILL)

    async def _remind(self) -> None:
        """Another member of the group may have partitions that a bounded run waits for."""
        while True:
            await asyncio.sleep(_REMIND)
            missing = self._overview.missing()
            if missing:
                log.info(
                    "waiting for partitions to reach the target",
                    count=len(missing),
                    partitions=[f"{topic}[{partition}]" for topic, partition in missing[:20]],
                )


def _error(kind: type[LoaderError], ended: _Ended, worker: int) -> LoaderError:
    if ended.said is not None:
        return kind(ended.said.message, hint=ended.said.hint)
    return kind(f"Worker {worker}: {ended.text}")


def _signal(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(number)
