"""Where reading begins while another member still writes: its progress must not look like a loss."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
import stamina
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from loader import config
from loader.consumer.effects import Effect, Effects, Side
from loader.consumer.starts import Starts
from loader.errors import NeedsOperator
from loader.lake.commit_log import CommitRecord, commit_log
from loader.lake.memory import MemoryStore

TOPIC = "heap.events"
RECORD = CommitRecord(
    topic=TOPIC,
    partition=0,
    first=0,
    next=10,
    topic_id="id",
    batch="b",
    writer="another member",
    created="2026-01-01T00:00:00+00:00",
    files=(),
    read=10,
    written=0,
    dead_lettered=10,
    dead_letter_reasons={},
    schema_ids=(),
    unknown_fields={},
    min_arrival=-1,
    max_arrival=-1,
)


class Busy:
    """Kafka and a member that goes on, as a consumer sees them: between two questions it appends, commits,
    and retention takes all that is in the lake."""

    def __init__(self) -> None:
        self.log = commit_log(MemoryStore())
        self.end = 0
        self.steps()

    def steps(self) -> None:
        self.log.append(replace(RECORD, first=self.end, next=self.end + 10))
        self.end += 10

    def listed(self, effect: Effect, side: Side) -> None:
        if effect is Effect.LIST_CHAIN and side == "before":
            self.steps()

    def committed(self, _: list[TopicPartition], **__: Any) -> list[TopicPartition]:
        self.steps()
        return [TopicPartition(TOPIC, 0, self.end)]

    def get_watermark_offsets(self, _: TopicPartition, **__: Any) -> tuple[int, int]:
        self.steps()
        return self.end, self.end


def starts(busy: Busy) -> Starts:
    return Starts(config.Kafka(), {TOPIC: "id"}, busy.log, Effects(busy.listed))


def test_what_another_member_does_meanwhile_is_no_loss() -> None:
    busy = Busy()
    consumer: Any = busy
    assert 0 < starts(busy).offsets(consumer, [(TOPIC, 0)])[0] <= busy.end


def test_a_loss_is_one() -> None:
    busy = Busy()

    class Trimmed(Busy):
        def get_watermark_offsets(self, _: TopicPartition, **__: Any) -> tuple[int, int]:
            return busy.end + 1000, busy.end + 1000

    consumer: Any = Trimmed()
    with pytest.raises(NeedsOperator, match="are gone from Kafka"):
        starts(busy).offsets(consumer, [(TOPIC, 0)])


class Kafka:
    """Nothing is committed; partition 2 begins at 20, and so on."""

    def committed(self, asked: list[TopicPartition], **_: Any) -> list[TopicPartition]:
        return [TopicPartition(place.topic, place.partition, -1001) for place in asked]

    def get_watermark_offsets(self, place: TopicPartition, **_: Any) -> tuple[int, int]:
        return 10 * place.partition, 1000


def test_chains_are_asked_for_at_once_and_answered_in_order() -> None:
    both = threading.Barrier(2)

    def met(_: Effect, side: Side) -> None:
        """No chain is answered before two were asked for."""
        if side == "before":
            both.wait(30)

    log = commit_log(MemoryStore())
    log.append(replace(RECORD, partition=3, first=30, next=77))
    asking = Starts(config.Kafka(), {TOPIC: "id"}, log, Effects(met))
    consumer: Any = Kafka()
    assert asking.offsets(consumer, [(TOPIC, 3), (TOPIC, 2)]) == [77, 20]
    assert asking.offsets(consumer, []) == []
    log.append(replace(RECORD, partition=1, first=0, next=5))
    with pytest.raises(
        NeedsOperator, match=r"heap.events\[1\]: offsets 5 to 9 are gone from Kafka"
    ):
        asking.offsets(consumer, [(TOPIC, 3), (TOPIC, 1)])


def test_a_partition_that_the_client_has_not_heard_of_is_asked_for_again() -> None:
    stamina.set_testing(True, attempts=2)

    class Ignorant(Kafka):
        heard = False

        def get_watermark_offsets(self, place: TopicPartition, **_: Any) -> tuple[int, int]:
            if not self.heard:
                raise KafkaException(KafkaError(KafkaError._UNKNOWN_PARTITION))
            return super().get_watermark_offsets(place)

        def list_topics(self, topic: str, **_: Any) -> None:
            self.heard = topic == TOPIC

    consumer: Any = Ignorant()
    asking = Starts(config.Kafka(), {TOPIC: "id"}, commit_log(MemoryStore()), Effects())
    try:
        assert asking.offsets(consumer, [(TOPIC, 2)]) == [20]
    finally:
        stamina.set_testing(False)
