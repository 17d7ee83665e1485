"""Where an assigned partition is read from: the end of its chain, if Kafka can still give that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition

from loader import config
from loader.consumer.effects import Effect, Effects
from loader.consumer.progress import Place
from loader.kafka.clients import TIMEOUT, explain
from loader.lake.chain import Chains
from loader.lake.commit_log import CommitRecord
from loader.lake.positions import Evidence, start_offset
from loader.logs import retried

T = TypeVar("T")

#: Partitions that are asked for at once.
_AT_ONCE: Final = 16


class Starts:
    """Asks the lake and Kafka where reading begins.

    Args:
        settings: names Kafka in errors.
        topic_ids: Kafka's ids of the topics.
        log: the lake's commit log.
        effects: told of each effect.
    """

    def __init__(
        self,
        settings: config.Kafka,
        topic_ids: Mapping[str, str],
        log: Chains[CommitRecord],
        effects: Effects,
    ) -> None:
        self._settings = settings
        self._topic_ids = topic_ids
        self._log = log
        self._effects = effects

    def offsets(self, consumer: Consumer, places: Sequence[Place]) -> list[int]:
        """The offset to read from of each partition; they are asked for at once.

        The group waits for whoever is given partitions, and each takes three answers of Kafka and
        the lake.

        Raises: see :meth:`offset`.
        """
        if not places:
            return []
        with ThreadPoolExecutor(min(len(places), _AT_ONCE), thread_name_prefix="start") as asking:
            return list(asking.map(lambda place: self.offset(consumer, *place), places))

    def offset(self, consumer: Consumer, topic: str, partition: int) -> int:
        """The offset to read from.

        Raises:
            NeedsOperator: messages would be lost or read from a topic that is not the chain's.
            Unreachable: Kafka or the lake stayed away.
        """
        return start_offset(self.evidence(consumer, topic, partition))

    def evidence(self, consumer: Consumer, topic: str, partition: int) -> Evidence:
        """What the lake and Kafka know of a partition now.

        Raises:
            Unreachable: one of them stayed away.
        """
        tp = TopicPartition(topic, partition)
        # In this order. Whoever has the partition meanwhile appends a record and commits it, then
        # retention follows: what is asked later is further on, so none of that looks like a loss.
        committed = self._asked(tp, lambda: consumer.committed([tp], timeout=TIMEOUT)[0].offset)
        log_start, high = self._watermarks(consumer, tp)
        with self._effects.doing(Effect.LIST_CHAIN):
            tail = self._log.tail(topic, partition)
        if tail is not None and tail.next > high:
            _, high = self._watermarks(consumer, tp)
        return Evidence(
            topic=topic,
            partition=partition,
            topic_id=self._topic_ids[topic],
            chain_next=tail.next if tail else None,
            chain_topic_id=tail.topic_id if tail else None,
            committed=committed if committed >= 0 else None,
            log_start=log_start,
            high_watermark=high,
        )

    def _watermarks(self, consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
        return self._asked(place, lambda: consumer.get_watermark_offsets(place, timeout=TIMEOUT))

    def _asked(self, place: TopicPartition, question: Callable[[], T]) -> T:
        """Kafka's answer. The coordinator may be moving just then: a rebalance is when it does."""

        def ask() -> T:
            try:
                return question()
            except KafkaException as error:
                what = f"offsets of {place.topic}[{place.partition}]"
                raise explain(error.args[0], self._settings, what, topic=place.topic) from None

        return retried(ask)
