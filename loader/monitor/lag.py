"""``heap-loader lag``: how far the lake is behind Kafka, in offsets and in seconds, by partition."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from loader import config
from loader.errors import UsageError
from loader.kafka.clients import Cluster
from loader.lake.commit_log import commit_log
from loader.lake.positions import Evidence
from loader.lake.registry import registry_log
from loader.lake.s3 import S3Store
from loader.lake.store import ObjectStore
from loader.monitor import offsets
from loader.monitor.first_messages import End, First, Place, first_messages
from loader.monitor.verdicts import (
    FAILING,
    Judgement,
    Message,
    NoAnswer,
    Nothing,
    Thresholds,
    Verdict,
    Waiting,
    judge,
    lake_next,
    worst,
)

#: A reader writes a record at least once in ``batch.max_age`` while messages come; this many times
#: that age without one, and it does not read.
_MISSED_BATCHES = 3


class Tail(Protocol):
    """What is asked of the last record of a chain, be it of the commit log or of the registry."""

    @property
    def next(self) -> int:
        """Where the chain ends."""
        ...

    @property
    def topic_id(self) -> str:
        """Kafka's id of the topic that was read."""
        ...

    @property
    def created(self) -> str:
        """When it was written, ISO 8601."""
        ...


class Log(Protocol):
    """A root of chains."""

    def partitions(self, topic: str) -> list[int]:
        """Partitions that have a chain."""
        ...

    def tail(self, topic: str, partition: int) -> Tail | None:
        """The last record."""
        ...


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """One partition. Offsets are half-open; ``lag_messages`` is an upper bound: Kafka has gaps."""

    evidence: Evidence
    judgement: Judgement

    @property
    def lag_messages(self) -> int:
        """High watermark minus the lake's end; negative where Kafka lost its tail."""
        return self.evidence.high_watermark - lake_next(self.evidence)

    def document(self) -> dict[str, Any]:
        """The partition in ``lag --json``."""
        seconds = self.judgement.lag_seconds
        return {
            "topic": self.evidence.topic,
            "partition": self.evidence.partition,
            "lake_next": lake_next(self.evidence),
            "group_committed": self.evidence.committed,
            "log_start": self.evidence.log_start,
            "high_watermark": self.evidence.high_watermark,
            "lag_messages": self.lag_messages,
            "lag_seconds": None if seconds is None else round(seconds, 3),
            "verdict": str(self.judgement.verdict),
            "reason": self.judgement.reason,
            "hint": self.judgement.hint,
        }


@dataclass(frozen=True, slots=True)
class LagReport:
    """All partitions, and topics that Kafka does not have and the lake never read."""

    partitions: tuple[PartitionLag, ...]
    missing_topics: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of all partitions."""
        return worst(lag.judgement.verdict for lag in self.partitions)

    @property
    def holds(self) -> bool:
        """False where the exit status is 3."""
        return self.verdict not in FAILING

    def document(self) -> dict[str, Any]:
        """``lag --json``."""
        return {
            "verdict": str(self.verdict),
            "partitions": [lag.document() for lag in self.partitions],
            "missing_topics": list(self.missing_topics),
        }


def reconciler_group(settings: config.Settings) -> str:
    """The group that reads the control topics."""
    return f"{settings.kafka.group_id}-reconcile"


def measure(
    settings: config.Settings,
    *,
    warn_seconds: float,
    stall_seconds: float,
    store: ObjectStore | None = None,
    now: float | None = None,
) -> LagReport:
    """Compare the ends of all chains with Kafka.

    Args:
        settings: the whole configuration.
        warn_seconds: a message may wait so long until `warning`; without a new record in that time
            (at least three times ``batch.max_age``) it is `stopped`.
        stall_seconds: a message may wait so long until `stalled`.
        store: instead of the configured lake.
        now: instead of the clock, seconds since the epoch.

    Raises:
        UsageError: the thresholds are in the wrong order.
        Unreachable: Kafka or the lake stayed away.
        NeedsOperator: the last record of a chain is no record.
    """
    if stall_seconds < warn_seconds:
        raise UsageError(
            f"--stall-seconds {stall_seconds:g} is less than --warn-seconds {warn_seconds:g}."
        )
    store = S3Store.open(settings.lake) if store is None else store
    topics = settings.topics
    sources: list[tuple[str, Log, str]] = [
        (topic.name, log, group)
        for log, group, named in (
            (commit_log(store), settings.kafka.group_id, (topics.events, topics.user_updates)),
            (
                registry_log(store),
                reconciler_group(settings),
                (topics.definitions, topics.user_migrations, topics.user_deletions),
            ),
        )
        for topic in named
    ]
    cluster = Cluster(settings.kafka)
    counts = cluster.partitions(name for name, _, _ in sources)
    ids = cluster.topic_ids(counts) if counts else {}
    seen: list[tuple[Evidence, float | None]] = []
    missing: list[str] = []
    for topic, log, group in sources:
        known = _Topic(topic, ids.get(topic, ""), counts.get(topic, 0), group)
        places = sorted({*range(known.partitions), *log.partitions(topic)})
        if not places:
            missing.append(topic)
        seen += _evidence(settings.kafka, known, places, log)
    thresholds = Thresholds(
        warn_seconds, stall_seconds, max(warn_seconds, _MISSED_BATCHES * settings.batch.max_age)
    )
    waiting = _waiting(settings.kafka, [evidence for evidence, _ in seen])
    moment = time.time() if now is None else now
    return LagReport(
        tuple(
            PartitionLag(
                evidence,
                judge(
                    evidence,
                    waiting.get((evidence.topic, evidence.partition), Nothing(0)),
                    written=written,
                    thresholds=thresholds,
                    now=moment,
                ),
            )
            for evidence, written in seen
        ),
        tuple(missing),
    )


@dataclass(frozen=True, slots=True)
class _Topic:
    """A topic as Kafka knows it now; ``id`` is empty and ``partitions`` 0 where it does not."""

    name: str
    id: str
    partitions: int
    group: str


def _evidence(
    kafka: config.Kafka, topic: _Topic, places: Iterable[int], log: Log
) -> list[tuple[Evidence, float | None]]:
    """What is known of a topic's partitions, and when the last record of each was written.

    Readers append, then commit; so the commits are asked for first, then the chains, and Kafka's
    watermarks last: what happens in between cannot look like a fault.
    """
    found: list[tuple[Evidence, float | None]] = []
    live = range(topic.partitions)
    committed = offsets.committed(kafka, topic.group, topic.name, live)
    tails = {partition: log.tail(topic.name, partition) for partition in places}
    watermarks = offsets.watermarks(kafka, topic.name, live)
    for partition, seen in tails.items():
        tail = seen
        log_start, high = watermarks.get(partition, (0, 0))
        if tail is not None and tail.next < log_start:
            # Retention may have passed the chain's end just after the reader did. By then Kafka, too,
            # may end elsewhere.
            tail = log.tail(topic.name, partition)
            _, high = offsets.watermarks(kafka, topic.name, [partition])[partition]
        evidence = Evidence(
            topic=topic.name,
            partition=partition,
            topic_id=topic.id,
            chain_next=None if tail is None else tail.next,
            chain_topic_id=None if tail is None else tail.topic_id,
            committed=committed.get(partition),
            log_start=log_start,
            high_watermark=high,
        )
        written = None if tail is None else dt.datetime.fromisoformat(tail.created).timestamp()
        found.append((evidence, written))
    return found


def _waiting(kafka: config.Kafka, seen: Iterable[Evidence]) -> dict[Place, Waiting]:
    """What waits in the partitions where something may."""
    behind = {(e.topic, e.partition): e for e in seen if e.high_watermark > lake_next(e)}
    starts = {place: max(lake_next(e), e.log_start) for place, e in behind.items()}
    # Where the log start is the end, nothing is there to be read, whatever was lost before it.
    readable = {p: offset for p, offset in starts.items() if offset < behind[p].high_watermark}
    found = first_messages(kafka, readable)
    blocked = {
        place: first.offset
        for place, first in found.items()
        if isinstance(first, End) and first.offset < behind[place].high_watermark
    }
    unread = first_messages(kafka, blocked, uncommitted=True)
    return {place: _describe(found.get(place), unread.get(place)) for place in readable}


def _describe(found: First | End | None, unread: First | End | None) -> Waiting:
    match found:
        case None:
            return NoAnswer()
        case First():
            return Message(None if found.time_ms is None else found.time_ms / 1000)
        case End():
            return Nothing(found.offset, _open_since(unread))


def _open_since(unread: First | End | None) -> float | None:
    if isinstance(unread, First) and unread.time_ms is not None:
        return unread.time_ms / 1000
    return None
