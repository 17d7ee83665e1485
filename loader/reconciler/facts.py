"""What the reconciler asks Kafka besides reading: watermarks, topic ids, commits, gaps. Blocking."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from typing import Final, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from loader import config
from loader.errors import Unreachable
from loader.kafka.clients import TIMEOUT, Cluster, common, explain
from loader.logs import retried

#: Seconds to wait for a message or the end of a partition.
_READ_SECONDS: Final = 30.0


class Facts(Protocol):
    """Questions about control partitions. Safe for one thread at a time."""

    def topic_id(self, topic: str) -> str:
        """Kafka's id of a topic."""
        ...

    def watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        """``(log start, high watermark)``."""
        ...

    def committed(self, topic: str, partition: int) -> int | None:
        """The reconciler group's committed offset."""
        ...

    def first_at(self, topic: str, partition: int, offset: int) -> int | None:
        """The first committed message's offset at or after ``offset``; None where there is none."""
        ...


class KafkaFacts:
    """`Facts` from a cluster.

    Args:
        settings: how to reach it.
        group: the group whose commits are asked for.
        topic_ids: ids of the topics, asked for once at start: a topic cannot be made anew under a
            reader without the reader noticing a reset.
    """

    def __init__(self, settings: config.Kafka, group: str, topic_ids: Mapping[str, str]) -> None:
        self._settings = settings
        self._cluster = Cluster(settings)
        self._group = group
        self._topic_ids = topic_ids

    def topic_id(self, topic: str) -> str:
        """See `Facts`."""
        return self._topic_ids[topic]

    def watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        """See `Facts`."""
        return self._cluster.watermarks(topic, [partition])[partition]

    def committed(self, topic: str, partition: int) -> int | None:
        """See `Facts`."""

        def ask() -> int | None:
            with closing(self._consumer()) as consumer:
                try:
                    asked = consumer.committed([TopicPartition(topic, partition)], timeout=TIMEOUT)
                except KafkaException as error:
                    raise explain(error.args[0], self._settings, "committed offsets") from None
            return asked[0].offset if asked[0].offset >= 0 else None

        return retried(ask)

    def first_at(self, topic: str, partition: int, offset: int) -> int | None:
        """See `Facts`.

        Raises:
            Unreachable: neither a message nor the end of the partition came in time.
        """
        with closing(self._consumer()) as consumer:
            consumer.assign([TopicPartition(topic, partition, offset)])
            until = time.monotonic() + _READ_SECONDS
            while time.monotonic() < until:
                message = consumer.poll(0.5)
                if message is None:
                    continue
                error = message.error()
                if error is None:
                    return message.offset()
                if error.code() == KafkaError._PARTITION_EOF:
                    return None
                if not error.retriable():
                    raise explain(error, self._settings, f"reading {topic}[{partition}]")
        raise Unreachable(
            f"Kafka at {self._settings.bootstrap_servers}: no answer for {topic}[{partition}] from "
            f"offset {offset} within {_READ_SECONDS:.0f} s."
        )

    def _consumer(self) -> Consumer:
        """A consumer that is assigned by hand and never joins the group."""
        return Consumer(
            {
                **common(self._settings),
                "group.id": self._group,
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
            }
        )
