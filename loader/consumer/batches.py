"""What was polled and is not written yet, a buffer for each partition, and when a batch closes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from loader import config
from loader.consumer.runs import Collected, Run


@dataclass(slots=True)
class Buffer:
    """The open batch of one partition.

    Attributes:
        topic: Kafka topic.
        partition: Kafka partition.
        first: the offset at which the batch begins: the chain's tail, whatever message came first.
        epoch: the assignment that this buffer belongs to; a result for another one is stale.
        held: its messages.
        opened: monotonic time of the first message, seconds.
        ended: where Kafka last said that the partition ends: every message before it was polled.
        ended_at: monotonic time when it said so, seconds.
    """

    topic: str
    partition: int
    first: int
    epoch: int
    held: Collected = field(default_factory=Collected)
    opened: float = 0.0
    ended: int = 0
    ended_at: float = 0.0

    def fits(self, run: Run) -> bool:
        """Whether these can be the next messages: ascending, and behind what is here."""
        offset, last = int(run.offsets[0]), int(run.offsets[-1])
        return offset >= (self.held.read or self.first) and last - offset >= len(run) - 1

    @property
    def rows(self) -> int:
        """How many messages are here."""
        return self.held.rows

    @property
    def weight(self) -> int:
        """Bytes that they hold in memory."""
        return self.held.weight

    def restart(self, offset: int) -> None:
        """Drop what is here; reading begins anew at ``offset``."""
        self.held = Collected()
        self.first = offset
        self.ended = 0

    def add(self, run: Run, *, now: float) -> None:
        """Take the next messages; at least one."""
        if not self.rows:
            self.opened = now
        self.held.add(run)

    def closes(self, limits: config.Batch, now: float) -> bool:
        """True if the batch has met a limit. A message larger than the limit is a batch of its own."""
        return self.rows > 0 and (
            self.rows >= limits.max_rows
            or self.held.bytes >= limits.max_bytes
            or now - self.opened >= limits.max_age
        )

    def close(self, position: int, limits: config.Batch) -> Batch:
        """Hand messages over as a batch, and begin anew behind them.

        Args:
            position: the offset after everything polled, control records included.
            limits: what was polled beyond them stays for the next batch.
        """
        run, self.held = self.held.take(), Collected()
        count = _within(run, limits)
        # Whatever lies between two messages (control records, aborted ones) goes with the first.
        next_ = int(run.offsets[count]) if count < len(run) else position
        if count < len(run):
            self.held.add(run.slice(count, len(run)))
            run = run.slice(0, count)
        batch = Batch(self.topic, self.partition, self.first, next_, self.epoch, run, self.opened)
        self.first = next_
        return batch


def _within(run: Run, limits: config.Batch) -> int:
    """Messages up to the one that meets a limit, or all."""
    count = min(len(run), limits.max_rows)
    if run.values.size >= limits.max_bytes:
        wanted = run.values.bounds[0] + limits.max_bytes
        count = min(count, int(np.searchsorted(run.values.bounds[1:], wanted)) + 1)
    return count


@dataclass(slots=True)
class Batch:
    """Messages of one partition that cover offsets ``[first, next)``; Kafka may have gaps inside.

    ``run`` is None once they are decoded and nobody needs them here.
    """

    topic: str
    partition: int
    first: int
    next: int
    epoch: int
    run: Run | None
    opened: float = 0.0

    @property
    def weight(self) -> int:
        """Bytes that it holds in memory, as long as its messages are there."""
        return self.run.weight if self.run else 0
