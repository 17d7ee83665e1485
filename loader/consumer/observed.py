"""A worker that tells its observer what happens: at each step of its loop, before or after the step."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from loader import config
from loader.consumer.observer import Observer, PartitionState
from loader.consumer.progress import Place, Progress
from loader.consumer.worker import Worker
from loader.consumer.writer import BatchWriter
from loader.kafka.clients import explain
from loader.lake.chain import Chains, Lost
from loader.lake.commit_log import CommitRecord
from loader.logs import log


class ObservedWorker(Worker):
    """See :class:`~loader.consumer.worker.Worker`; ``observer`` is told."""

    def __init__(
        self,
        settings: config.Settings,
        topics: Sequence[str],
        *,
        topic_ids: dict[str, str],
        log_: Chains[CommitRecord],
        writer: BatchWriter,
        stop: threading.Event,
        on_progress: Callable[[Progress], None],
        observer: Observer,
    ) -> None:
        super().__init__(
            settings,
            topics,
            topic_ids=topic_ids,
            log_=log_,
            writer=writer,
            stop=stop,
            on_progress=on_progress,
        )
        self._observer = observer
        self._opened: dict[Place, float] = {}

    def _poll(self) -> None:
        self._observer.polled()
        if self._observer.due():
            self._observer.partitions(
                self._states(),
                held=self._held(),
                paused=len(self._buffers) if self._paused else 0,
            )
        super()._poll()

    def _states(self) -> Iterator[PartitionState]:
        for place, buffer in self._buffers.items():
            writing = place in self._writing
            try:
                _, high = self._consumer.get_watermark_offsets(TopicPartition(*place), cached=True)
            except KafkaException:
                high = -1
            oldest = -1
            if not writing and buffer.messages:
                oldest = buffer.messages[0].timestamp()[1]
            yield PartitionState(place, buffer.first, self._position(place), high, oldest)

    def _on_error(self, message: Message) -> None:
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            self._observer.poll_error(error.name())
            if error.code() == KafkaError._FATAL:
                # The client has ended, though ``fatal()`` of its message says no.
                raise explain(error, self._settings.kafka, "consume")
        super()._on_error(message)

    def _caught_up(self) -> bool:
        if self._target is None:
            return False
        self._observer.settled(
            place
            for place, buffer in self._buffers.items()
            if place not in self._writing
            and not buffer.messages
            and self._target.at(place, buffer.first)
        )
        return not self._target.shared and super()._caught_up()

    def _submit(self, pool: ThreadPoolExecutor) -> None:
        opened = {place: buffer.opened for place, buffer in self._buffers.items()}
        before = set(self._writing)
        super()._submit(pool)
        self._opened |= {place: opened[place] for place in self._writing.keys() - before}

    def _finish(self, place: Place) -> None:
        future = self._writing[place]
        opened = self._opened.pop(place, time.monotonic())
        if future.exception() is None:
            written = future.result()
            if isinstance(written.outcome, Lost):
                self._observer.batch_lost()
            else:
                self._observer.batch_written(written.record, time.monotonic() - opened)
        super()._finish(place)

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        super()._on_assign(consumer, partitions)
        self._observer.assigned((tp.topic, tp.partition) for tp in partitions)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        super()._on_revoke(consumer, partitions)
        self._observer.revoked((tp.topic, tp.partition) for tp in partitions)
        log.info("revoked", partitions=[f"{tp.topic}[{tp.partition}]" for tp in partitions])

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        super()._on_lost(consumer, partitions)
        self._observer.lost((tp.topic, tp.partition) for tp in partitions)
