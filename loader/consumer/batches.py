"""What was polled and is not written yet, a buffer for each partition, and when a batch closes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from loader import config
from loader.consumer.runs import Run


@dataclass(slots=True)
class Buffer:
    """The open batch of one partition.

    Attributes:
        topic: Kafka topic.
        partition: Kafka partition.
        first: the offset at which the batch begins: the chain's tail, whatever message came first.
        epoch: the assignment that this buffer belongs to; a result for another one is stale.
        runs: its messages in the order of their offsets, as they were polled; none is empty.
        rows: how many messages these are.
        bytes: sum of the values' sizes.
        weight: bytes that they hold in memory.
        opened: monotonic time of the first message, seconds.
        ended: where Kafka last said that the partition ends: every message before it was polled.
        ended_at: monotonic time when it said so, seconds.
    """

    topic: str
    partition: int
    first: int
    epoch: int
    runs: list[Run] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0
    weight: int = 0
    opened: float = 0.0
    ended: int = 0
    ended_at: float = 0.0

    def fits(self, run: Run) -> bool:
        """Whether these can be the next messages: ascending, and behind what is here."""
        offset, last = int(run.offsets[0]), int(run.offsets[-1])
        return offset >= (self.read or self.first) and last - offset >= len(run) - 1

    @property
    def read(self) -> int:
        """The offset after the last message that is here; 0 if none is."""
        return int(self.runs[-1].offsets[-1]) + 1 if self.runs else 0

    def restart(self, offset: int) -> None:
        """Drop what is here; reading begins anew at ``offset``."""
        self._hold([])
        self.first = offset
        self.ended = 0

    def add(self, run: Run, *, now: float) -> None:
        """Take the next messages; at least one."""
        if not self.rows:
            self.opened = now
        self.runs.append(run)
        self.rows += len(run)
        self.bytes += run.values.size
        self.weight += run.weight

    def closes(self, limits: config.Batch, now: float) -> bool:
        """True if the batch has met a limit. A message larger than the limit is a batch of its own."""
        return self.rows > 0 and (
            self.rows >= limits.max_rows
            or self.bytes >= limits.max_bytes
            or now - self.opened >= limits.max_age
        )

    def close(self, position: int, limits: config.Batch) -> Batch:
        """Hand messages over as a batch, and begin anew behind them.

        Args:
            position: the offset after everything polled, control records included.
            limits: what was polled beyond them stays for the next batch.
        """
        taken, left = self._split(limits)
        # Whatever lies between two messages (control records, aborted ones) goes with the first.
        next_ = int(left[0].offsets[0]) if left else position
        batch = Batch(self.topic, self.partition, self.first, next_, self.epoch, taken, self.opened)
        self.first = next_
        self._hold(left)
        return batch

    def _split(self, limits: config.Batch) -> tuple[list[Run], list[Run]]:
        """Up to the message that meets a limit, and what comes behind it."""
        rows = size = 0
        for number, run in enumerate(self.runs):
            count = min(len(run), limits.max_rows - rows)
            if size + run.values.size >= limits.max_bytes:
                wanted = run.values.bounds[0] + limits.max_bytes - size
                count = min(count, int(np.searchsorted(run.values.bounds[1:], wanted)) + 1)
            rows, size = rows + count, size + run.values.size
            if rows >= limits.max_rows or size >= limits.max_bytes:
                taken = [*self.runs[:number], run.slice(0, count)]
                if count == len(run):
                    return taken, self.runs[number + 1 :]
                return taken, [run.slice(count, len(run)), *self.runs[number + 1 :]]
        return self.runs, []

    def _hold(self, runs: list[Run]) -> None:
        self.runs = runs
        self.rows = sum(map(len, runs))
        self.bytes = sum(run.values.size for run in runs)
        self.weight = sum(run.weight for run in runs)


@dataclass(slots=True)
class Batch:
    """Messages of one partition that cover offsets ``[first, next)``; Kafka may have gaps inside."""

    topic: str
    partition: int
    first: int
    next: int
    epoch: int
    runs: list[Run]
    opened: float = 0.0

    @property
    def weight(self) -> int:
        """Bytes that it holds in memory, as long as its messages are there."""
        return sum(run.weight for run in self.runs)

    def give(self) -> Run:
        """Its messages, which it holds no longer."""
        return Run.concat(self.runs)
