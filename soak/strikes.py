"""Carrying the schedule out: two threads, one for the faults of workers, one for those of their servers."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from soak.options import Options
from soak.proxy import Trap
from soak.requests import JOIN, LIST, RECORD
from soak.schedule import ANY, START, Fault, outages, worker_faults
from soak.stack import SoakStack
from soak.workers import Worker

#: Seconds that a kill waits for its moment, until any will do.
_TRAP_WITHIN: Final = 15.0
#: Seconds that a fault waits for its victim to show that it works.
_WORKS_WITHIN: Final = 120.0
#: Share of the planned time between two faults that a late one leaves.
_SPACING: Final = 0.5


class Strikes:
    """The faults of one run.

    Attributes:
        of_workers: planned ones.
        of_servers: planned ones.
        done: those that are over.
        struck: how often what happened in truth: a kill may have missed its moment.
        findings: faults that could not be brought about.
        ended: when the last one that is over was, monotonic seconds.
        dry: set when no traffic comes any more, so that nobody waits for work.
    """

    def __init__(
        self,
        options: Options,
        stack: SoakStack,
        workers: Sequence[Worker],
        tell: Callable[[str], None],
    ) -> None:
        self.of_workers, self.of_servers = worker_faults(options), outages(options)
        self.done: list[Fault] = []
        self.struck: Counter[str] = Counter()
        self.findings: list[str] = []
        self._stack = stack
        self._workers = workers
        self._tell = tell
        self._threads: list[threading.Thread] = []
        self._back = 0.0
        self.ended = 0.0
        self.dry = False

    def start(self) -> None:
        """Begin now; as soon as the first batch is in the lake, for faults are to meet work."""
        self._await_work(0.0)
        self.ended = begun = time.monotonic()
        for faults in (self.of_workers, self.of_servers):
            thread = threading.Thread(target=self._execute, args=(faults, begun), daemon=True)
            thread.start()
            self._threads.append(thread)

    @property
    def planned(self) -> int:
        """How many there are."""
        return len(self.of_workers) + len(self.of_servers)

    @property
    def over(self) -> bool:
        """Whether all of them are over."""
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def committed(self) -> int:
        """Commit records that were written while the proxies looked on."""
        return sum(route.done[RECORD] for route in self._stack.s3_routes)

    def _execute(self, faults: list[Fault], begun: float) -> None:
        before, ended = 0.0, begun
        for fault in faults:
            # Behind schedule, faults do not come all at once: between two there is time to work.
            due = max(begun + fault.at, ended + (fault.at - before) * _SPACING)
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                self._strike(fault)
            except Exception as error:  # noqa: BLE001 - the run goes on, and is not ok
                self.findings.append(f"{fault} failed: {type(error).__name__}: {error}")
            self.done.append(fault)
            before, ended = fault.at, time.monotonic()
            self.ended = ended

    def _await_work(self, since: float, worker: int | None = None) -> None:
        """Wait until a worker (or this one) has committed a batch since: faults are to meet work."""
        every = self._stack.s3_routes
        routes = every if worker is None else [every[worker]]
        until = time.monotonic() + _WORKS_WITHIN
        while time.monotonic() < until and not self.dry:
            if any(route.last_done.get(RECORD, 0.0) > since for route in routes):
                return
            time.sleep(0.05)

    def _strike(self, fault: Fault) -> None:
        if fault.kind in {"broker", "s3"}:
            self._await_work(self._back)
            self._tell(f"{fault}")
            self._stack.away(fault.kind, fault.where, fault.seconds)
            self._back = time.monotonic()
            self.struck[fault.kind] += 1
            self._tell(f"{fault.kind} is back")
            return
        worker = self._workers[fault.worker]
        worker.wait_alive(_WORKS_WITHIN)
        if fault.where != START:
            self._await_work(worker.started, worker.number)
        if fault.kind == "freeze":
            struck, where = self._freeze(worker, fault.where, fault.seconds)
        elif fault.kind == "stop":
            struck, where = worker.stop(), "stop"
        else:
            struck, where = self._kill(worker, fault.where, fault.seconds)
        if struck:
            self.struck[where] += 1
        meant = where in {fault.kind, f"{fault.kind} {fault.where}"}
        self._tell(f"{fault}" if meant else f"{fault} -> {where}")

    def _freeze(self, worker: Worker, where: str, seconds: float) -> tuple[bool, str]:
        """Freeze at the moment, long enough to be missed; it then goes on where it was: a zombie."""
        frozen = where != ANY and self._trap(worker, where, worker.pause, _TRAP_WITHIN)
        if not frozen:
            where = ANY
            frozen = worker.pause()
        time.sleep(seconds)
        worker.resume()
        return frozen, f"freeze {where}"

    def _trap(
        self, worker: Worker, where: str, action: Callable[[], object], within: float
    ) -> bool:
        """Act at a moment of one of the worker's requests; whether one came in time."""
        moment, request = where.split()
        trap = Trap(request, moment, action)  # type: ignore[arg-type]
        routes = (self._stack.s3_routes[worker.number], self._stack.kafka_routes[worker.number])
        for route in routes:
            route.trap = trap
        sprung = trap.sprung.wait(within)
        for route in routes:
            route.trap = None
        return sprung

    def _kill(self, worker: Worker, where: str, seconds: float) -> tuple[bool, str]:
        """Kill at the moment; returns whether it struck, and when it did in truth."""
        if where == START:
            _kill_now(worker)
            worker.wait_alive(_WORKS_WITHIN)
            time.sleep(seconds)
            _kill_now(worker)
            return True, f"kill {START}"
        if where != ANY:
            within = _TRAP_WITHIN
            if where.endswith((JOIN, LIST)):
                # Made when a worker starts, so one must.
                _kill_now(worker)
                within = _WORKS_WITHIN
            if self._trap(worker, where, worker.kill, within):
                return True, f"kill {where}"
        _kill_now(worker)
        return True, f"kill {ANY}"


def _kill_now(worker: Worker) -> None:
    """Kill the present process, or the next one."""
    until = time.monotonic() + _WORKS_WITHIN
    while not worker.kill():
        worker.wait_alive(1)
        if time.monotonic() > until:
            raise RuntimeError(f"worker {worker.number} has no process to kill")
