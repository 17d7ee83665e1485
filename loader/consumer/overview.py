"""All workers at one glance: what they have done together, and whether each of them is well.

Pure: reports go in, totals come out. Whoever runs workers feeds it, whoever shows something asks it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Final

from loader import __version__, metrics
from loader.consumer.progress import Place, Progress, Target
from loader.consumer.reports import Report
from loader.metrics import Samples, Snapshot, lasting, merged

#: Seconds in which a worker's loop goes round at the latest: a rebalance waits 20 s for what is in writing,
#: then asks Kafka and the lake, with retries. Twice that, and the worker is taken to hang.
LOOP_SECONDS: Final = 30.0


@dataclass(slots=True)
class _Worker:
    """One worker, over all its incarnations.

    Attributes:
        running: there is a process.
        report: the last one of this incarnation; None before the first.
        since: when something was last heard that shows it alive, monotonic seconds.
        heard: when the last report came.
    """

    running: bool = False
    report: Report | None = None
    since: float = 0.0
    heard: float = 0.0


@dataclass(slots=True)
class _Past:
    """What ended incarnations leave behind."""

    progress: Progress = field(default_factory=Progress)
    samples: Snapshot = field(default_factory=list)
    reached: set[Place] = field(default_factory=set)
    started: float = 0.0
    wrote: float = 0.0


class Overview:
    """Of ``count`` workers. Safe for threads.

    Args:
        count: how many there are to be.
        target: where a bounded run ends.
        clock: monotonic seconds, as in the reports.
    """

    def __init__(
        self,
        count: int,
        target: Target | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._workers = [_Worker(since=clock()) for _ in range(count)]
        self._ends = None if target is None else set(target.ends)
        self._past = _Past()
        self._own = Samples()
        self._own.set(metrics.WORKERS, count)
        self._own.set(metrics.BUILD_INFO, 1, __version__)

    # What happens

    def started(self, worker: int) -> None:
        """A process was started."""
        with self._lock:
            self._workers[worker] = _Worker(running=True, since=self._clock())

    def reported(self, worker: int, report: Report) -> None:
        """A report came."""
        with self._lock:
            one = self._workers[worker]
            one.report = report
            one.heard = self._clock()
            one.since = max(one.since, report.polled)

    def ended(self, worker: int) -> None:
        """A process has ended; what it had done stays counted."""
        with self._lock:
            report = self._workers[worker].report
            self._workers[worker] = _Worker(since=self._clock())
            if report is not None:
                past = self._past
                past.progress = _sum([past.progress, report.progress])
                past.samples = merged([past.samples, lasting(report.samples)])
                past.reached.update(report.reached)
                past.started = _earliest([past.started, report.started])
                past.wrote = max(past.wrote, report.wrote)

    def restarting(self, worker: int, reason: str) -> None:
        """A worker ended that should not have, and is started again."""
        self._own.add(metrics.WORKER_RESTARTS, str(worker), reason)

    # What is asked

    def progress(self) -> Progress:
        """What was done, all workers together; ``seconds`` from the first poll to the last record."""
        with self._lock:
            reports = self._reports()
            total = _sum([self._past.progress, *(report.progress for report in reports)])
            started = _earliest([self._past.started, *(report.started for report in reports)])
            wrote = max([self._past.wrote, *(report.wrote for report in reports)])
        total.seconds = max(wrote - started, 0.0) if started else 0.0
        return total

    def missing(self) -> list[Place]:
        """Partitions of a bounded run that no worker has seen at the target yet."""
        with self._lock:
            seen = self._past.reached.union(*(report.reached for report in self._reports()))
            return sorted((self._ends or set()) - seen)

    @property
    def caught_up(self) -> bool:
        """Whether a bounded run is at its end."""
        return self._ends is not None and not self.missing()

    def samples(self) -> Snapshot:
        """The metrics of all workers, and of the workers as such."""
        now = self._clock()
        with self._lock:
            heard = sorted(
                (worker for worker in self._workers if worker.report is not None),
                key=lambda worker: worker.heard,
            )
            snapshots = [worker.report.samples for worker in heard if worker.report is not None]
            past = self._past.samples
            ages = [now - worker.since for worker in self._workers]
            running = sum(worker.running for worker in self._workers)
        self._own.set(metrics.WORKERS_RUNNING, running)
        for number, age in enumerate(ages):
            self._own.set(metrics.WORKER_POLL_AGE, max(age, 0.0), str(number))
        return merged([past, *snapshots, self._own.snapshot()])

    def health(self) -> tuple[bool, list[dict[str, object]]]:
        """Whether each worker's loop goes round; and what is known of each."""
        workers = self._described()
        return all(bool(worker["alive"]) for worker in workers), workers

    def readiness(self) -> tuple[bool, list[dict[str, object]]]:
        """Whether each worker runs and has joined the group; and what is known of each."""
        workers = self._described()
        return all(bool(worker["joined"]) for worker in workers), workers

    def _described(self) -> list[dict[str, object]]:
        now = self._clock()
        with self._lock:
            return [
                {
                    "worker": number,
                    "running": worker.running,
                    "joined": worker.report is not None and worker.report.joined,
                    "alive": now - worker.since < 2 * LOOP_SECONDS,
                    "poll_age_seconds": round(max(now - worker.since, 0.0), 1),
                }
                for number, worker in enumerate(self._workers)
            ]

    def _reports(self) -> list[Report]:
        return [worker.report for worker in self._workers if worker.report is not None]


def _sum(parts: list[Progress]) -> Progress:
    """Every counter summed but ``seconds``, which overlap; counters by name are summed by name."""
    total = Progress()
    for one in (f.name for f in fields(Progress) if f.name != "seconds"):
        values = [getattr(part, one) for part in parts]
        if isinstance(getattr(total, one), dict):
            by_name: Counter[str] = Counter()
            for value in values:
                by_name.update(value)
            setattr(total, one, dict(by_name))
        else:
            setattr(total, one, sum(values))
    return total


def _earliest(times: list[float]) -> float:
    return min((moment for moment in times if moment), default=0.0)
