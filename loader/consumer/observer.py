"""What a worker tells about itself: typed events in, metrics and a few facts for its supervisor out.

The worker's loop calls it once a round, once a batch and once a rebalance, never once a message.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from loader import metrics
from loader.consumer.progress import Place
from loader.lake.commit_log import CommitRecord
from loader.metrics import Samples

#: Seconds between two looks at the partitions.
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class PartitionState:
    """How far one partition is.

    Attributes:
        place: topic and partition.
        durable: where its chain ends, as far as this worker knows.
        position: the offset after everything polled.
        log_end: Kafka's high watermark as last seen; -1 where unknown.
        oldest_ms: Kafka time of the first message held, milliseconds; -1 if none is held.
    """

    place: Place
    durable: int
    position: int
    log_end: int
    oldest_ms: int


class Observer:
    """Of one worker. Its methods are called by the thread that owns the Kafka client.

    Args:
        worker: its number, as a label.
        clock: monotonic seconds, the same for all processes of this machine.
        wall: seconds since the epoch; only ever compared with Kafka's message times.
    """

    def __init__(
        self,
        worker: int = 0,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.samples = Samples()
        self._worker = str(worker)
        self._clock = clock
        self._wall = wall
        self._looked = 0.0
        self._assigned: set[Place] = set()
        self._reached: set[Place] = set()
        self._lock = threading.Lock()
        #: Monotonic seconds: first round, last round and last record; 0 where there was none.
        self.started = 0.0
        self.polled_at = 0.0
        self.wrote_at = 0.0
        #: Set whenever there is something that the supervisor should know soon.
        self.news = threading.Event()
        #: True once the group has answered, even with nothing.
        self.joined = False

    # Every round of the loop

    def polled(self) -> None:
        """The loop goes round."""
        self.polled_at = self._clock()
        self.started = self.started or self.polled_at

    def waiting(self) -> None:
        """Alive, and not reading yet: a topic is missing."""
        self.polled_at = self._clock()

    def due(self) -> bool:
        """Whether :meth:`partitions` wants to be told, once a second."""
        now = self._clock()
        if now - self._looked < _LOOK_SECONDS:
            return False
        self._looked = now
        return True

    def partitions(self, states: Iterable[PartitionState], *, held: int, paused: int) -> None:
        """How far the assigned partitions are.

        Args:
            states: of each of them.
            held: message bytes polled and not in the lake.
            paused: how many partitions are paused.
        """
        now = self._wall()
        count = 0
        for state in states:
            count += 1
            place = _labels(state.place)
            self.samples.set(metrics.DURABLE_OFFSET, state.durable, *place)
            self.samples.set(metrics.POSITION_OFFSET, state.position, *place)
            if state.log_end >= 0:
                self.samples.set(metrics.LOG_END_OFFSET, state.log_end, *place)
                lag = max(state.log_end - state.durable, 0)
                self.samples.set(metrics.LAG_MESSAGES, lag, *place)
            seconds = _lag_seconds(state, now)
            if seconds is None:
                self.samples.drop(metrics.LAG_SECONDS, *place)
            else:
                self.samples.set(metrics.LAG_SECONDS, seconds, *place)
        self.samples.set(metrics.ASSIGNED_PARTITIONS, count, self._worker)
        self.samples.set(metrics.BUFFERED_BYTES, held, self._worker)
        self.samples.set(metrics.PAUSED_PARTITIONS, paused, self._worker)

    def settled(self, places: Iterable[Place]) -> None:
        """Of a bounded run: the lake holds all of these up to the target."""
        with self._lock:
            before = len(self._reached)
            self._reached.update(places)
            if len(self._reached) > before:
                self.news.set()

    @property
    def reached(self) -> list[Place]:
        """All that ever settled: a chain does not go back."""
        with self._lock:
            return sorted(self._reached)

    # Rebalances

    def assigned(self, places: Iterable[Place]) -> None:
        """Partitions came, or the group answered with none."""
        self.joined = True
        self.news.set()
        came = set(places)
        self._assigned |= came
        if came:
            self.samples.add(metrics.REBALANCES, "assigned")

    def revoked(self, places: Iterable[Place]) -> None:
        """Partitions were taken away in order."""
        self._gone(places, "revoked")

    def lost(self, places: Iterable[Place]) -> None:
        """Partitions were taken away behind our back."""
        self._gone(places, "lost")

    def _gone(self, places: Iterable[Place], kind: str) -> None:
        gone = set(places)
        self._assigned -= gone
        if gone:
            self.samples.add(metrics.REBALANCES, kind)
        for place in map(_labels, gone):
            for metric in metrics.CATALOGUE:
                if metric.kind == "gauge" and metric.labels == ("topic", "partition"):
                    self.samples.drop(metric, *place)

    # Batches

    def batch_written(self, record: CommitRecord, age_seconds: float) -> None:
        """A record won. ``age_seconds`` from the batch's first message in the buffer to now."""
        self.wrote_at = self._clock()
        samples = self.samples
        topic = record.topic
        samples.add(metrics.RECORDS, topic, "written", amount=record.written)
        samples.add(metrics.RECORDS, topic, "dead_lettered", amount=record.dead_lettered)
        for reason, count in record.dead_letter_reasons.items():
            samples.add(metrics.DEAD_LETTERS, reason, amount=count)
        samples.observe(metrics.BATCH_ROWS, record.written, topic)
        samples.observe(metrics.BATCH_BYTES, sum(file.bytes for file in record.files), topic)
        samples.observe(metrics.BATCH_AGE, age_seconds, topic)
        place = (topic, record.partition)
        # A batch may land after its partition was taken away; the new owner speaks for it now.
        if place in self._assigned:
            samples.set(metrics.LAST_COMMIT, self._wall(), *_labels(place))

    def batch_lost(self) -> None:
        """Another writer's record stands where ours should."""
        self.samples.add(metrics.COMMIT_CONFLICTS, "lost")

    # Kafka

    def poll_error(self, code: str) -> None:
        """A poll gave an error; ``code`` is its name."""
        self.samples.add(metrics.POLL_ERRORS, code)

    def mirror_failed(self, code: str) -> None:
        """An offset was not committed to the group; ``code`` is the error's name."""
        self.samples.add(metrics.MIRROR_FAILURES, code)

    # For the supervisor

    @property
    def requests(self) -> int:
        """Requests made to the lake so far."""
        return int(self.samples.total(metrics.S3_REQUESTS))

    def snapshot(self, resident: int) -> metrics.Snapshot:
        """All values now; ``resident`` is this process' memory in bytes."""
        self.samples.set(metrics.WORKER_MEMORY, resident, self._worker)
        return self.samples.snapshot()


def _labels(place: Place) -> tuple[str, str]:
    return place[0], str(place[1])


def _lag_seconds(state: PartitionState, now: float) -> float | None:
    if state.oldest_ms >= 0:
        # Producers' clocks may be ahead of ours.
        return max(now - state.oldest_ms / 1000, 0.0)
    if state.log_end >= 0 and state.position >= state.log_end:
        return 0.0
    return None
