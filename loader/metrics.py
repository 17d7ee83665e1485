"""Every metric, once: name, kind, unit, labels, meaning. And a store of their values.

Values are kept in a :class:`Samples` by the process that does the work. A snapshot of it is plain data
that travels to the process that serves all of them, where snapshots are merged. Labels come from a
closed set (operations, reasons, workers) or from the configuration (topics, partitions): never an
offset, a key, an id or anything secret.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

PREFIX: Final = "heap_loader_"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: with its unit, without :data:`PREFIX`; a counter ends in ``_total``.
        kind: gauges are what stands now, counters and histograms only grow.
        unit: of one sample.
        meaning: what it says, and for a gauge when it is absent.
        labels: their names.
        bounds: upper bounds of a histogram's buckets, ascending, without infinity.
    """

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


_PLACE: Final = ("topic", "partition")

DURABLE_OFFSET: Final = Metric(
    "durable_offset",
    "gauge",
    "offset",
    "The lake holds everything before it: its chain's end.",
    _PLACE,
)
POSITION_OFFSET: Final = Metric(
    "position_offset", "gauge", "offset", "The offset after everything polled.", _PLACE
)
LOG_END_OFFSET: Final = Metric(
    "log_end_offset",
    "gauge",
    "offset",
    "Kafka's high watermark as the last fetch told it; stale while the partition is paused.",
    _PLACE,
)
LAG_MESSAGES: Final = Metric(
    "lag_messages",
    "gauge",
    "offsets",
    "log_end_offset - durable_offset: an upper bound, since offsets may hold no message.",
    _PLACE,
)
LAG_SECONDS: Final = Metric(
    "lag_seconds",
    "gauge",
    "seconds",
    "Age, by Kafka's message time, of the first message that is not in the lake; 0 when there is "
    "none, absent while it has not been fetched.",
    _PLACE,
)
LAST_COMMIT: Final = Metric(
    "last_commit_timestamp_seconds",
    "gauge",
    "seconds since the epoch",
    "When the last record of this partition was written; absent until this worker has written one.",
    _PLACE,
)
ASSIGNED_PARTITIONS: Final = Metric(
    "assigned_partitions", "gauge", "partitions", "Partitions that this worker reads.", ("worker",)
)
PAUSED_PARTITIONS: Final = Metric(
    "paused_partitions",
    "gauge",
    "partitions",
    "Partitions that wait because the worker holds as much as its memory allows.",
    ("worker",),
)
BUFFERED_BYTES: Final = Metric(
    "buffered_bytes", "gauge", "bytes", "Message bytes polled and not in the lake yet.", ("worker",)
)
WORKER_MEMORY: Final = Metric(
    "worker_resident_memory_bytes", "gauge", "bytes", "Resident memory.", ("worker",)
)
WORKER_POLL_AGE: Final = Metric(
    "worker_poll_age_seconds",
    "gauge",
    "seconds",
    "Time since the worker's loop last went round; /healthz fails above 60.",
    ("worker",),
)
REBALANCES: Final = Metric(
    "rebalances_total",
    "counter",
    "rebalances",
    "Changes of the assignment: kind is assigned, revoked or lost.",
    ("kind",),
)
RECORDS: Final = Metric(
    "records_total",
    "counter",
    "messages",
    "Messages whose record is in the commit log: outcome is written or dead_lettered.",
    ("topic", "outcome"),
)
DEAD_LETTERS: Final = Metric(
    "dead_letters_total",
    "counter",
    "messages",
    "Refused messages that a record counts.",
    ("reason",),
)
BATCH_ROWS: Final = Metric(
    "batch_rows",
    "histogram",
    "rows",
    "Rows of a batch.",
    ("topic",),
    (100, 1_000, 10_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000),
)
BATCH_BYTES: Final = Metric(
    "batch_bytes",
    "histogram",
    "bytes",
    "Bytes of a batch's data files.",
    ("topic",),
    tuple(float(1 << power) for power in range(12, 31, 2)),
)
BATCH_AGE: Final = Metric(
    "batch_age_seconds",
    "histogram",
    "seconds",
    "From a batch's first message to its record.",
    ("topic",),
    (0.5, 1, 2.5, 5, 10, 30, 60, 90, 120, 300, 600),
)
COMMIT_CONFLICTS: Final = Metric(
    "commit_conflicts_total",
    "counter",
    "conflicts",
    "Records that met another at their place: result is lost (another writer's: the batch is "
    "dropped) or own_retry (our own write, whose answer was lost).",
    ("result",),
)
MIRROR_FAILURES: Final = Metric(
    "kafka_commit_failures_total",
    "counter",
    "commits",
    "Offsets that were not mirrored to the group; the next one makes up for it.",
    ("code",),
)
POLL_ERRORS: Final = Metric(
    "poll_errors_total",
    "counter",
    "errors",
    "Errors that Kafka's client gave to a poll.",
    ("code",),
)
S3_REQUESTS: Final = Metric(
    "s3_requests_total",
    "counter",
    "requests",
    "HTTP requests to S3, retries included.",
    ("operation",),
)
S3_SECONDS: Final = Metric(
    "s3_request_seconds",
    "histogram",
    "seconds",
    "Time of one call to the object store, its retries included; of a list, until its end.",
    ("operation",),
    (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
S3_ERRORS: Final = Metric(
    "s3_errors_total",
    "counter",
    "calls",
    "Calls to the object store that failed after their retries, by the kind of error.",
    ("operation", "error"),
)
WORKERS: Final = Metric("workers", "gauge", "processes", "Workers that there are to be.")
WORKERS_RUNNING: Final = Metric("workers_running", "gauge", "processes", "Workers that run now.")
WORKER_RESTARTS: Final = Metric(
    "worker_restarts_total",
    "counter",
    "restarts",
    "Workers that ended and were started again: reason is signal, memory, unreachable or failure.",
    ("worker", "reason"),
)
BUILD_INFO: Final = Metric("build_info", "gauge", "always 1", "The loader's version.", ("version",))

#: All metrics, in the order of the reference page. Names are unique.
CATALOGUE: Final[tuple[Metric, ...]] = (
    DURABLE_OFFSET,
    POSITION_OFFSET,
    LOG_END_OFFSET,
    LAG_MESSAGES,
    LAG_SECONDS,
    LAST_COMMIT,
    RECORDS,
    DEAD_LETTERS,
    BATCH_ROWS,
    BATCH_BYTES,
    BATCH_AGE,
    COMMIT_CONFLICTS,
    MIRROR_FAILURES,
    POLL_ERRORS,
    REBALANCES,
    ASSIGNED_PARTITIONS,
    PAUSED_PARTITIONS,
    BUFFERED_BYTES,
    S3_REQUESTS,
    S3_SECONDS,
    S3_ERRORS,
    WORKERS,
    WORKERS_RUNNING,
    WORKER_RESTARTS,
    WORKER_MEMORY,
    WORKER_POLL_AGE,
    BUILD_INFO,
)
BY_NAME: Final[dict[str, Metric]] = {metric.name: metric for metric in CATALOGUE}

#: A histogram's value: the sum of what was observed, then how much fell into each bucket, the one up
#: to infinity included. Not cumulative.
Buckets: TypeAlias = list[float]
#: A metric's name, its labels' values, its value. JSON as it stands.
Sample: TypeAlias = tuple[str, tuple[str, ...], float | Buckets]
Snapshot: TypeAlias = list[Sample]


class Samples:
    """Values of metrics by labels. Safe for threads; a call costs about a microsecond.

    Every method raises ``ValueError`` for labels that the metric does not have.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[tuple[str, tuple[str, ...]], float | Buckets] = {}

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        """A gauge stands at ``value``."""
        key = _key(metric, "gauge", labels)
        with self._lock:
            self._values[key] = value

    def drop(self, metric: Metric, *labels: str) -> None:
        """A gauge says nothing more; no error if it said nothing."""
        key = _key(metric, "gauge", labels)
        with self._lock:
            self._values.pop(key, None)

    def add(self, metric: Metric, *labels: str, amount: float = 1) -> None:
        """A counter grows by ``amount``, which is not negative."""
        key = _key(metric, "counter", labels)
        with self._lock:
            self._values[key] = self._values.get(key, 0.0) + amount  # type: ignore[operator]

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """A histogram takes one value."""
        key = _key(metric, "histogram", labels)
        with self._lock:
            buckets = self._values.setdefault(key, [0.0] * (len(metric.bounds) + 2))
            buckets[0] += value  # type: ignore[index]
            buckets[1 + bisect_left(metric.bounds, value)] += 1  # type: ignore[index]

    def total(self, metric: Metric) -> float:
        """A counter summed over its labels."""
        with self._lock:
            found = [v for (name, _), v in self._values.items() if name == metric.name]
        return sum(value for value in found if isinstance(value, float | int))

    def snapshot(self) -> Snapshot:
        """All values as they stand, as data of its own."""
        with self._lock:
            return [
                (name, labels, list(value) if isinstance(value, list) else value)
                for (name, labels), value in self._values.items()
            ]


def _key(metric: Metric, kind: str, labels: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    if metric.kind != kind or len(labels) != len(metric.labels):
        raise ValueError(f"{metric.name} is a {metric.kind} with labels {metric.labels}")
    return metric.name, labels


def merged(snapshots: Iterable[Snapshot]) -> Snapshot:
    """One snapshot for several processes: what grows is summed; of a gauge the last one stands."""
    values: dict[tuple[str, tuple[str, ...]], float | Buckets] = {}
    for snapshot in snapshots:
        for name, labels, value in snapshot:
            key = (name, tuple(labels))
            before = values.get(key)
            if before is None or BY_NAME[name].kind == "gauge":
                values[key] = value
            elif isinstance(before, list) and isinstance(value, list):
                values[key] = [a + b for a, b in zip(before, value, strict=True)]
            elif not isinstance(before, list) and not isinstance(value, list):
                values[key] = before + value
    return [(name, labels, value) for (name, labels), value in values.items()]


def lasting(snapshot: Snapshot) -> Snapshot:
    """What of a snapshot still holds when its process has ended: everything but gauges."""
    return [sample for sample in snapshot if BY_NAME[sample[0]].kind != "gauge"]
