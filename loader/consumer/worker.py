"""The consumer's loop: one thread owns the Kafka client, others decode, encode and upload.

Batches go through a :class:`~loader.consumer.pipeline.Pipeline`, which keeps the order of each
partition. What is held in memory is bounded: when it is too much, the largest batches are closed, then
partitions are paused and polling goes on, so that the group does not take us for dead.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from loader import config
from loader.consumer.assignment import DRAIN_SECONDS, Assignment
from loader.consumer.batches import Buffer
from loader.consumer.effects import Effect, Effects
from loader.consumer.folder import Folder
from loader.consumer.intake import Intake
from loader.consumer.memory import tune_allocator
from loader.consumer.observer import Observer, PartitionState
from loader.consumer.pausing import Pausing
from loader.consumer.pipeline import Pipeline
from loader.consumer.polling import Told, open_polling
from loader.consumer.progress import Place, Progress, Target
from loader.consumer.starts import Starts
from loader.consumer.steps import Steps
from loader.consumer.vigil import Vigil
from loader.consumer.writer import Written
from loader.errors import LoaderError
from loader.kafka.clients import (
    consumer_settings,
    new_consumer,
    rebalances_incrementally,
)
from loader.kafka.faults import consumer_fault, explain
from loader.lake.chain import Chains, Lost
from loader.lake.commit_log import CommitRecord
from loader.lake.positions import offset_out_of_range
from loader.logs import log

_POLL_SECONDS = 0.1
#: Seconds between two runs of the cyclic collector over what came since.
_GARBAGE_SECONDS = 10.0


class Worker:
    """One member of the consumer group.

    Args:
        settings: the whole configuration.
        topics: the topics to read.
        topic_ids: Kafka's ids of them.
        log_: the lake's commit log.
        pipeline: writes batches; closed with the run.
        vigil: watches the topics while they are read.
        stop: set from outside to end the run.
        on_progress: called after each batch that won.
        observer: is told what happens.
        steps: takes the CPU time of polling.
        effects: told of each effect.
    """

    def __init__(
        self,
        settings: config.Settings,
        topics: Sequence[str],
        *,
        topic_ids: dict[str, str],
        log_: Chains[CommitRecord],
        pipeline: Pipeline,
        vigil: Vigil,
        stop: threading.Event,
        on_progress: Callable[[Progress], None],
        observer: Observer | None = None,
        steps: Steps | None = None,
        effects: Effects | None = None,
    ) -> None:
        self._settings = settings
        self._observer = observer or Observer()
        self._effects = effects or Effects()
        self._topics = list(topics)
        self._starts = Starts(settings.kafka, topic_ids, log_, self._effects)
        self._pipeline = pipeline
        self._vigil = vigil
        self._stop = stop
        self._on_progress = on_progress
        self._consumer: Consumer = new_consumer(settings.kafka, self._on_commit)
        self._polling = open_polling(self._consumer, direct=settings.consumer.direct)
        self._intake = Intake(settings.batch)
        self._buffers = self._intake.buffers
        self._pausing = Pausing(self._consumer, pipeline, self._intake, settings.consumer.memory)
        self._tidied = 0.0
        self._target: Target | None = None
        self._assignment = Assignment(
            self._starts,
            self._pipeline,
            self._intake,
            self._vigil,
            self._observer,
            assigning=self._polling.assigned,
            incremental=rebalances_incrementally(consumer_settings(settings.kafka)),
            paused=lambda: self._pausing.paused,
        )
        self._folder = Folder(log_, self._effects)
        self._steps = steps or Steps()
        self.progress = Progress(steps=self._steps.seconds)

    def run(self, target: Target | None = None) -> Progress:
        """Consume until stopped, or until every assigned partition has reached its target.

        Raises:
            NeedsOperator: data would be lost or the chain does not fit Kafka.
            Unreachable: Kafka or the lake stayed away.
        """
        self._target = target
        tune_allocator()
        # Thousands of short-lived Message objects a poll make the cyclic collector run for nothing. What
        # is here stays: to look for garbage in it costs a third of a second.
        collecting = gc.isenabled()
        gc.disable()
        gc.freeze()
        started = time.monotonic()
        self._consumer.subscribe(
            self._topics,
            on_assign=self._assignment.came,
            on_revoke=self._assignment.went,
            on_lost=self._assignment.lost,
        )
        try:
            while not self._stop.is_set() and not self._caught_up():
                with self._steps.timed("poll"), self._effects.doing(Effect.POLL):
                    self._poll()
                self._collect()
                self._submit()
                self._pausing.balance(self._collect)
            self._drain()
            self.progress.seconds = time.monotonic() - started
        finally:
            self._buffers.clear()
            # A batch may wait for Kafka to say that the topics are the ones they were.
            self._vigil.close()
            self._pipeline.close()
            self._folder.close()
            gc.unfreeze()
            if collecting:
                gc.enable()
            self._close()
        return self.progress

    # Reading

    def _poll(self) -> None:
        self._observer.polled()
        if self._observer.due():
            self._observer.partitions(
                self._states(),
                held=self._pausing.held(),
                paused=self._pausing.count(),
            )
        epoch = self._intake.epoch
        try:
            polled = self._polling.poll(_POLL_SECONDS)
        except KafkaException as error:
            raise explain(error.args[0], self._settings.kafka, "consume") from None
        try:
            failure = self._assignment.failure or self._vigil.fault
            if failure:
                raise failure
            ends = [end for told in polled.told for end in self._on_told(told)]
            again = self._intake.take(polled.runs, ends, epoch=epoch, now=time.monotonic())
        finally:
            polled.release()
        for place in again:
            log.debug("reading again", topic=place[0], partition=place[1])
            self._seek(self._buffers[place], self._buffers[place].first)

    def _on_told(self, told: Told) -> list[tuple[Place, int]]:
        """Act on what came in place of a message; gives the partition that it is the end of, if it is."""
        place, error = told.place, told.error
        if error.code() == KafkaError._PARTITION_EOF:
            return [(place, told.offset)]
        self._observer.poll_error(error.name())
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise self._out_of_range(place, error.str())
        if error.code() == KafkaError._MAX_POLL_EXCEEDED:
            log.warning("max.poll.interval.ms exceeded; joining the group again")
            return []
        fault = consumer_fault(error, self._settings.kafka, *place)
        if fault is not None:
            raise fault
        log.warning("kafka", topic=place[0], partition=place[1], error=error.str())
        return []

    def _states(self) -> Iterator[PartitionState]:
        """How far each partition is, without a question to Kafka."""
        for place, buffer in self._buffers.items():
            try:
                _, high = self._consumer.get_watermark_offsets(TopicPartition(*place), cached=True)
            except KafkaException:
                high = -1
            durable = self._pipeline.end(place)
            oldest = buffer.oldest_ms
            if durable < buffer.first:
                # What is older is being written, and its times are no longer at hand.
                oldest = -1
            yield PartitionState(place, durable, self._position(place), high, oldest)

    def _out_of_range(self, place: Place, said: str) -> LoaderError:
        buffer = self._buffers.get(place)
        position = buffer.read if buffer else 0
        (evidence,) = self._starts.evidence(self._consumer, [place])
        return offset_out_of_range(evidence, position, said)

    def _caught_up(self) -> bool:
        """Every assigned partition is at its target, and nothing waits to be written."""
        if self._target is None:
            return False
        settled = [
            place
            for place, buffer in self._buffers.items()
            if not buffer.rows
            and self._reached(buffer, buffer.first)
            and self._pipeline.end(place) == buffer.first
        ]
        self._observer.settled(settled)
        # Where several workers share the work, whoever started them knows when all of it is done.
        return bool(settled) and len(settled) == len(self._buffers) and not self._target.shared

    # Writing

    def _submit(self) -> None:
        now = time.monotonic()
        if self._pipeline.has_room():
            due = self._intake.due(
                now,
                short=self._pausing.short(),
                takes=self._pipeline.takes,
                complete=self._at_end,
                passed=lambda buffer: self._passed(buffer, now),
            )
            for place in due:
                if not self._pipeline.has_room():
                    break
                buffer = self._buffers[place]
                position = self._position(place) if buffer.rows else buffer.ended
                self._pipeline.submit(buffer.close(position))
        if now - self._tidied >= _GARBAGE_SECONDS:
            gc.collect(0)
            self._tidied = now

    def _passed(self, buffer: Buffer, now: float) -> bool:
        """Whether offsets without a message were passed that the chain should cover by now.

        Aborted transactions and control records can be all that comes. If retention took them before the
        chain covered them, it would look as if messages had been lost.
        """
        place = (buffer.topic, buffer.partition)
        if buffer.ended <= buffer.first or self._pipeline.end(place) != buffer.first:
            return False
        bounded = self._target is not None
        return bounded or now - buffer.ended_at >= self._settings.batch.max_age

    def _at_end(self, place: Place) -> bool:
        buffer = self._buffers[place]
        return self._reached(buffer, max(self._position(place), buffer.ended))

    def _reached(self, buffer: Buffer, offset: int) -> bool:
        """Whether nothing is left behind ``offset`` of what a bounded run wants of a partition.

        Kafka's word counts too, since the last offsets may be control records, but only what it said in
        this assignment: what was polled in an earlier one may have been dropped with it.
        """
        if self._target is None:
            return False
        told = 0 < buffer.ended <= offset
        return told or self._target.at((buffer.topic, buffer.partition), offset)

    def _position(self, place: Place) -> int:
        """The offset after everything polled, control records included."""
        position = self._consumer.position([TopicPartition(*place)])[0].offset
        return max(position, self._buffers[place].first)

    def _collect(self) -> None:
        for written in self._pipeline.results():
            self._finish(written)

    def _finish(self, written: Written) -> None:
        record = written.record
        buffer = self._buffers.get((record.topic, record.partition))
        ours = buffer is not None and buffer.epoch == written.batch.epoch
        if isinstance(written.outcome, Lost):
            self.progress.lost_batches += 1
            self._observer.batch_lost()
            log.warning(
                "batch lost to another writer",
                topic=record.topic,
                partition=record.partition,
                first=record.first,
                next=record.next,
                chain_next=written.outcome.next,
            )
            # Also where the batch was of an earlier assignment: those behind it were dropped with it.
            if buffer is not None:
                self._pipeline.begin((record.topic, record.partition), written.outcome.next)
                self._seek(buffer, written.outcome.next)
            return
        self.progress.add(record)
        self._observer.batch_written(record, time.monotonic() - written.batch.opened)
        log.info(
            "batch",
            topic=record.topic,
            partition=record.partition,
            first=record.first,
            next=record.next,
            read=record.read,
            written=record.written,
            dead_lettered=record.dead_lettered,
            files=len(record.files),
            bytes=sum(file.bytes for file in record.files),
        )
        if ours:
            self._mirror(record)
            self._folder.fold_if_due(record.topic, record.partition)
        self._on_progress(self.progress)

    def _seek(self, buffer: Buffer, offset: int) -> None:
        buffer.restart(offset)
        try:
            self._consumer.seek(TopicPartition(buffer.topic, buffer.partition, offset))
        except KafkaException as error:
            where = f"seek {buffer.topic}[{buffer.partition}] to {offset}"
            raise explain(error.args[0], self._settings.kafka, where) from None

    def _mirror(self, record: CommitRecord) -> None:
        """Tell Kafka how far the lake is: a mirror for lag tools, never the truth."""
        offset = TopicPartition(record.topic, record.partition, record.next, metadata=record.batch)
        try:
            with self._effects.doing(Effect.COMMIT_OFFSET):
                self._consumer.commit(offsets=[offset], asynchronous=True)
        except KafkaException as error:
            self._observer.mirror_failed(error.args[0].name())
            log.warning("offset not mirrored to Kafka", error=error.args[0].str())

    def _on_commit(self, error: KafkaError | None, _: list[TopicPartition]) -> None:
        if error is not None:
            self._observer.mirror_failed(error.name())
            log.warning("offset not mirrored to Kafka", error=error.str())

    # Stopping

    def _drain(self) -> None:
        """Let batches under way land within a bound; what is open is dropped and read again."""
        self._pipeline.drain(DRAIN_SECONDS)
        self._collect()

    def _close(self) -> None:
        """Leave the group. After a fatal error librdkafka's close may hang, so it gets a deadline."""
        self._polling.close()
        closing = threading.Thread(target=self._consumer.close, name="close", daemon=True)
        closing.start()
        closing.join(DRAIN_SECONDS)
        if closing.is_alive():
            log.warning("the Kafka client did not close in time")
