"""A group's committed offsets and a topic's watermarks, asked without joining any group."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition

from loader import config
from loader.kafka.clients import TIMEOUT, common, explain
from loader.logs import retried

T = TypeVar("T")


def committed(
    kafka: config.Kafka, group: str, topic: str, partitions: Iterable[int]
) -> dict[int, int]:
    """The group's committed offsets; partitions without one are absent.

    Raises:
        Unreachable: Kafka stayed away.
    """
    asked = [TopicPartition(topic, partition) for partition in partitions]
    if not asked:
        return {}

    def ask(consumer: Consumer) -> dict[int, int]:
        answers = consumer.committed(asked, timeout=TIMEOUT)
        return {tp.partition: tp.offset for tp in answers if tp.offset >= 0}

    return _ask(kafka, {"group.id": group}, f"committed offsets of {group}", ask)


def watermarks(
    kafka: config.Kafka, topic: str, partitions: Iterable[int]
) -> dict[int, tuple[int, int]]:
    """``(log start, high watermark)`` of each partition.

    Open transactions count: with ``read_committed``, the client's default, the broker answers the
    last stable offset instead of the high watermark (Kafka protocol: ListOffsets, isolation_level).

    Raises:
        Unreachable: Kafka stayed away.
    """
    asked = list(partitions)
    if not asked:
        return {}

    def ask(consumer: Consumer) -> dict[int, tuple[int, int]]:
        return {
            partition: consumer.get_watermark_offsets(
                TopicPartition(topic, partition), timeout=TIMEOUT
            )
            for partition in asked
        }

    properties = {"group.id": f"{kafka.group_id}-lag", "isolation.level": "read_uncommitted"}
    return _ask(kafka, properties, f"watermarks of {topic}", ask)


def _ask(
    kafka: config.Kafka, properties: dict[str, Any], what: str, question: Callable[[Consumer], T]
) -> T:
    def attempt() -> T:
        with closing(Consumer({**common(kafka), **properties})) as consumer:
            try:
                return question(consumer)
            except KafkaException as error:
                raise explain(error.args[0], kafka, what) from None

    return retried(attempt)
