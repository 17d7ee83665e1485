"""Which partitions are not read for now: all of them where memory is short, and those that cannot be decoded.

A partition that is paused in the Kafka client sends nothing, and polling goes on, so that the group does
not take us for dead. A pause throws away what the client had fetched ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from loader.consumer.intake import Intake
from loader.consumer.memory_limit import water_marks
from loader.consumer.pipeline import Pipeline
from loader.consumer.progress import Place

#: Seconds to wait for a batch to end before all partitions are paused, and between two looks while they are.
_BEFORE: Final = 1.0
_WHILE: Final = 0.1


class Pausing:
    """Pauses and resumes the partitions of a consumer. For the thread that polls.

    Args:
        consumer: the client.
        pipeline: batches that are being written.
        intake: the open batches.
        memory: ``consumer.memory``, bytes.

    Attributes:
        paused: whether all partitions are.
    """

    def __init__(self, consumer: Consumer, pipeline: Pipeline, intake: Intake, memory: int) -> None:
        self._consumer = consumer
        self._pipeline = pipeline
        self._intake = intake
        self._high_water, self._low_water = water_marks(memory)
        self._held_back: set[Place] = set()
        self.paused = False

    def held(self) -> int:
        """Bytes that wait here: in open batches, and in those that are being written."""
        return self._intake.weight() + self._pipeline.held()

    def short(self) -> bool:
        """Whether memory is. While paused nothing comes that could fill a batch."""
        return self.paused or self.held() >= self._high_water

    def count(self) -> int:
        """Partitions that are not read for now."""
        return len(self._intake.buffers if self.paused else self._held_back)

    def balance(self, collect: Callable[[], None]) -> None:
        """Pause all partitions above the high-water mark, resume them below the low one.

        Args:
            collect: takes what ended in the pipeline.
        """
        self._hold_back()
        if self.paused:
            self._pipeline.wait(_WHILE)
        held = self.held()
        if not self.paused and held >= self._high_water and len(self._pipeline):
            # A short wait is cheaper than a pause, which throws fetched messages away.
            self._pipeline.wait(_BEFORE)
            collect()
            if self.held() >= self._high_water:
                self.paused = True
                self._consumer.pause(_asked(self._intake.buffers))
        elif self.paused and held < self._low_water:
            self.paused = False
            self._consumer.resume(_asked(self._intake.buffers.keys() - self._held_back))

    def _hold_back(self) -> None:
        """Read no more of partitions whose batch waits for its schema: the memory is for the others."""
        ours = self._intake.buffers.keys()
        waiting = self._pipeline.waiting() & ours
        if waiting == self._held_back:
            return
        self._consumer.pause(_asked(waiting - self._held_back))
        if not self.paused:
            self._consumer.resume(_asked((self._held_back - waiting) & ours))
        self._held_back = waiting


def _asked(places: Iterable[Place]) -> list[TopicPartition]:
    return [TopicPartition(*place) for place in places]
