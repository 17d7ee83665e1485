"""The first message at or after an offset, of many partitions at once; joins no group, commits nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from confluent_kafka import Consumer, KafkaError, TopicPartition

from loader import config
from loader.kafka.clients import common, explain

Place = tuple[str, int]

#: Seconds after which a partition counts as not having answered.
READ_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class First:
    """A message: its offset and its Kafka time, milliseconds since the epoch (None: it has none)."""

    offset: int
    time_ms: int | None


@dataclass(frozen=True, slots=True)
class End:
    """There is none: ``offset`` is the end of what can be read."""

    offset: int


def first_messages(
    settings: config.Kafka,
    starts: Mapping[Place, int],
    *,
    uncommitted: bool = False,
    seconds: float = READ_SECONDS,
) -> dict[Place, First | End]:
    """Read one message of each partition.

    Args:
        settings: the cluster.
        starts: where to look, by topic and partition; not below Kafka's log start.
        uncommitted: see messages of open transactions too.
        seconds: how long to wait for all of them together.

    Returns:
        What was found; a partition that did not answer in time is absent.

    Raises:
        LoaderError: Kafka refuses us.
    """
    found: dict[Place, First | End] = {}
    if not starts:
        return found
    with closing(_reader(settings, uncommitted=uncommitted)) as consumer:
        consumer.assign([TopicPartition(*place, offset) for place, offset in starts.items()])
        until = time.monotonic() + seconds
        pending = set(starts)
        while pending and time.monotonic() < until:
            message = consumer.poll(0.2)
            if message is None:
                continue
            place = (message.topic() or "", message.partition() or 0)
            error = message.error()
            if error is None:
                if place in pending:
                    kind, at = message.timestamp()
                    found[place] = First(message.offset() or 0, at if kind else None)
            elif error.code() == KafkaError._PARTITION_EOF:
                if place in pending:
                    found[place] = End(message.offset() or 0)
            elif error.code() != KafkaError._AUTO_OFFSET_RESET:
                if error.fatal() or not (error.retriable() or error.code() < 0):
                    raise explain(error, settings, f"reading {place[0]}[{place[1]}]")
                continue
            if place in pending:
                pending.discard(place)
                consumer.pause([TopicPartition(*place)])
    return found


def _reader(settings: config.Kafka, *, uncommitted: bool) -> Consumer:
    """A consumer that is assigned by hand, and fetches as little as it can."""
    return Consumer(
        {
            **common(settings),
            "group.id": f"{settings.group_id}-lag",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_uncommitted" if uncommitted else "read_committed",
            "enable.partition.eof": True,
            "queued.min.messages": 1,
            "queued.max.messages.kbytes": 8192,
            "fetch.wait.max.ms": 100,
            "max.partition.fetch.bytes": 65_536,
        }
    )
