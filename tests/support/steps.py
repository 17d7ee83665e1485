"""Steps of the pipeline that a test can hold, fail or make lose."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace

from confluent_kafka import Message

from loader.consumer.batches import Batch
from loader.consumer.runs import Run
from loader.consumer.writer import Prepared, Written
from loader.lake.chain import Lost, Won
from loader.lake.commit_log import CommitRecord
from tests.support import chains


@dataclass
class Recorder:
    """Steps that note what they were asked, and that a test can hold, fail or make lose."""

    prepared: list[int] = field(default_factory=list)
    committed: list[int] = field(default_factory=list)
    gates: dict[tuple[str, int], threading.Event] = field(default_factory=dict)
    failures: dict[tuple[str, int], list[Exception]] = field(default_factory=dict)
    losers: set[int] = field(default_factory=set)
    entered: dict[tuple[str, int], threading.Event] = field(default_factory=dict)

    def hold(self, step: str, first: int) -> threading.Event:
        self.entered[step, first] = threading.Event()
        return self.gates.setdefault((step, first), threading.Event())

    def _at(self, step: str, first: int) -> None:
        if (step, first) in self.gates:
            self.entered[step, first].set()
            assert self.gates[step, first].wait(30)
        failures = self.failures.get((step, first))
        if failures:
            raise failures.pop(0)

    def prepare(self, batch: Batch) -> Prepared:
        self._at("prepare", batch.first)
        self.prepared.append(batch.first)
        return Prepared(batch, record(batch), [], [], (), bytes=7)

    def commit(self, prepared: Prepared) -> Written:
        first = prepared.batch.first
        self._at("commit", first)
        self.committed.append(first)
        outcome = Lost(1000) if first in self.losers else Won()
        return Written(prepared.batch, prepared.record, outcome)


def record(batch: Batch) -> CommitRecord:
    """What stands in the chain of a batch."""
    made = chains.record(batch.first, batch.next, partition=batch.partition)
    return replace(made, topic=batch.topic)


def batch(first: int, partition: int = 0) -> Batch:
    run = Run.of([message(first, partition, 52)])
    return Batch("t", partition, first, first + 10, 1, run)


def message(offset: int, partition: int, size: int) -> Message:
    """A message of topic ``t`` with a value of so many bytes."""
    value = b"x" * size
    return Message(
        topic="t", partition=partition, offset=offset, key=b"", value=value, timestamp=(1, 0)
    )
