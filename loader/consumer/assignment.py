"""Partitions come and go: what the Kafka client's callbacks do, in the thread that polls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from loader.consumer.intake import Intake
from loader.consumer.observer import Observer
from loader.consumer.pipeline import Pipeline
from loader.consumer.progress import Place
from loader.consumer.starts import Starts
from loader.consumer.vigil import Vigil
from loader.errors import LoaderError
from loader.logs import log

#: Seconds that a rebalance or a stop waits for batches in writing.
DRAIN_SECONDS: Final = 20.0


class Assignment:
    """The callbacks of a group member.

    Args:
        starts: says where a partition is read from.
        pipeline: told where each chain ends; its batches of partitions that go are dropped.
        intake: gets and loses the open batches.
        vigil: says whether the topics are still the ones that reading began with.
        observer: is told.
        assigning: told of partitions before they are assigned to the client.
        incremental: whether the group hands partitions over one by one.
        paused: whether all partitions are paused at the moment.

    Attributes:
        failure: why a partition cannot be read. An exception in a callback would be swallowed by the
            client's own state machine, so the loop looks here.
    """

    def __init__(
        self,
        starts: Starts,
        pipeline: Pipeline,
        intake: Intake,
        vigil: Vigil,
        observer: Observer,
        *,
        assigning: Callable[[Sequence[Place]], None],
        incremental: bool,
        paused: Callable[[], bool],
    ) -> None:
        self._starts = starts
        self._pipeline = pipeline
        self._intake = intake
        self._vigil = vigil
        self._observer = observer
        self._assigning = assigning
        self._incremental = incremental
        self._paused = paused
        self.failure: LoaderError | None = None

    def came(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Partitions are ours now: read each from the end of its chain."""
        places = [(tp.topic, tp.partition) for tp in partitions]
        try:
            # The chain's topic id is compared with the one that we know: is it the topic's still?
            self._vigil.confirm()
            offsets = self._starts.offsets(consumer, places)
        except LoaderError as error:
            self.failure = error
            return
        starts = []
        for place, offset in zip(places, offsets, strict=True):
            self._pipeline.begin(place, offset)
            starts.append(TopicPartition(*place, offset))
            log.info("assigned", topic=place[0], partition=place[1], offset=offset)
        self._intake.assign(((tp.topic, tp.partition), tp.offset) for tp in starts)
        self._assigning(places)
        if self._incremental:
            consumer.incremental_assign(starts)
        else:
            consumer.assign(starts)
        # A pause survives a rebalance inside librdkafka.
        consumer.resume(starts)
        if self._paused():
            consumer.pause(starts)
        self._observer.assigned(places)

    def went(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Drop open batches; let those that are prepared land: the next owner loses no work."""
        places = [(tp.topic, tp.partition) for tp in partitions]
        self._intake.unassign(places)
        self._pipeline.drop(places, DRAIN_SECONDS)
        if self._incremental:
            consumer.incremental_unassign(partitions)
        else:
            consumer.unassign()
        self._observer.revoked(places)
        log.info("revoked", partitions=[f"{topic}[{partition}]" for topic, partition in places])

    def lost(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Somebody else has them already."""
        places = [(tp.topic, tp.partition) for tp in partitions]
        self._intake.unassign(places)
        self._pipeline.drop(places, 0.0)
        for topic, partition in places:
            log.warning("assignment lost", topic=topic, partition=partition)
        self._observer.lost(places)
