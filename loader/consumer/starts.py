"""Where an assigned partition is read from: the end of its chain, if Kafka can still give that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from loader import config
from loader.consumer.effects import Effect, Effects
from loader.consumer.progress import Place
from loader.kafka.clients import TIMEOUT, explain
from loader.lake.chain import Chains
from loader.lake.commit_log import CommitRecord
from loader.lake.positions import Evidence, start_offset
from loader.logs import retried

T = TypeVar("T")

#: Chains that are asked for at once.
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
        """The offset to read from of each partition.

        Raises:
            NeedsOperator: messages would be lost or read from a topic that is not the chain's.
            Unreachable: Kafka or the lake stayed away.
        """
        return [start_offset(evidence) for evidence in self.evidence(consumer, places)]

    def evidence(self, consumer: Consumer, places: Sequence[Place]) -> list[Evidence]:
        """What the lake and Kafka know of partitions now.

        The group waits for whoever is given partitions. So Kafka is asked once for all committed offsets,
        and the lake, whose answers take longest, for several chains at once.

        Raises:
            Unreachable: one of them stayed away.
        """
        if not places:
            return []
        asked = [TopicPartition(*place) for place in places]
        # In this order. Whoever has the partition meanwhile appends a record and commits it, then
        # retention follows: what is asked later is further on, so none of that looks like a loss.
        group = f"offsets of group {self._settings.group_id}"
        committed = self._asked(
            group, places[0][0], lambda: consumer.committed(asked, timeout=TIMEOUT)
        )
        marks = [self._watermarks(consumer, place) for place in asked]
        # The client itself answers no other thread while it hands partitions over.
        with ThreadPoolExecutor(min(len(places), _AT_ONCE), thread_name_prefix="start") as pool:
            tails = list(pool.map(self._tail, places))
        found = []
        for place, stored, mark, tail in zip(asked, committed, marks, tails, strict=True):
            log_start, high = mark
            if tail is not None and tail.next > high:
                _, high = self._watermarks(consumer, place)
            found.append(
                Evidence(
                    topic=place.topic,
                    partition=place.partition,
                    topic_id=self._topic_ids[place.topic],
                    chain_next=tail.next if tail else None,
                    chain_topic_id=tail.topic_id if tail else None,
                    committed=stored.offset if stored.offset >= 0 else None,
                    log_start=log_start,
                    high_watermark=high,
                )
            )
        return found

    def _tail(self, place: Place) -> CommitRecord | None:
        with self._effects.doing(Effect.LIST_CHAIN):
            return self._log.tail(*place)

    def _watermarks(self, consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
        def ask() -> tuple[int, int]:
            try:
                return consumer.get_watermark_offsets(place, timeout=TIMEOUT)
            except KafkaException as error:
                if error.args[0].code() == KafkaError._UNKNOWN_PARTITION:
                    # It is ours, so it exists. The client believes what it heard of the topic for minutes.
                    consumer.list_topics(place.topic, timeout=TIMEOUT)
                raise

        return self._asked(f"offsets of {place.topic}[{place.partition}]", place.topic, ask)

    def _asked(self, what: str, topic: str, question: Callable[[], T]) -> T:
        """Kafka's answer. The coordinator may be moving just then: a rebalance is when it does."""

        def ask() -> T:
            try:
                return question()
            except KafkaException as error:
                raise explain(error.args[0], self._settings, what, topic=topic) from None

        return retried(ask)
