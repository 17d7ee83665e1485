"""What was polled and is not written yet, a buffer for each partition, and when a batch closes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from loader import config
from loader.codec.joining import Values
from loader.codec.spans import Messages
from loader.consumer.runs import Collected, Run


@dataclass(slots=True)
class _Part:
    """Messages of one batch to be; ``opened`` is the monotonic time of the first, seconds."""

    opened: float
    held: Collected = field(default_factory=Collected)

    def full(self, limits: config.Batch) -> bool:
        """Whether it has met a limit. A message larger than the limit is a batch of its own."""
        return self.held.rows >= limits.max_rows or self.held.bytes >= limits.max_bytes

    def room(self, run: Run[Values], limits: config.Batch) -> int:
        """How many of these come in: up to the one that meets a limit, which is one at least."""
        count = min(len(run), limits.max_rows - self.held.rows)
        missing = limits.max_bytes - self.held.bytes
        if run.values.size >= missing:
            wanted = run.values.bounds[0] + missing
            count = min(count, int(np.searchsorted(run.values.bounds[1:], wanted)) + 1)
        return count


@dataclass(slots=True)
class Buffer:
    """What was polled of one partition: a batch that is open, or several of which all but the last are full.

    They are cut as messages come, so that closing one copies nothing of the others.

    Attributes:
        topic: Kafka topic.
        partition: Kafka partition.
        first: the offset at which the next batch begins: the chain's tail, whatever message came first.
        epoch: the assignment that this buffer belongs to; a result for another one is stale.
        limits: of a batch.
        ended: where Kafka last said that the partition ends: every message before it was polled.
        ended_at: monotonic time when it said so, seconds.
    """

    topic: str
    partition: int
    first: int
    epoch: int
    limits: config.Batch
    ended: int = 0
    ended_at: float = 0.0
    _parts: deque[_Part] = field(default_factory=deque)

    def fits(self, run: Run[Values]) -> bool:
        """Whether these can be the next messages: ascending, and behind what is here."""
        offset, last = int(run.offsets[0]), int(run.offsets[-1])
        return offset >= self.read and last - offset >= len(run) - 1

    @property
    def rows(self) -> int:
        """How many messages are here."""
        return sum(part.held.rows for part in self._parts)

    @property
    def weight(self) -> int:
        """Bytes that they hold in memory."""
        return sum(part.held.weight for part in self._parts)

    @property
    def read(self) -> int:
        """The offset after the last message, or ``first``."""
        return self._parts[-1].held.read if self._parts else self.first

    @property
    def oldest_ms(self) -> int:
        """Kafka's time of the first message, milliseconds; -1 if there is none."""
        return self._parts[0].held.oldest_ms if self._parts else -1

    @property
    def opened(self) -> float:
        """When the first message came; where there is none, when the end was told."""
        return self._parts[0].opened if self._parts else self.ended_at

    def restart(self, offset: int) -> None:
        """Drop what is here; reading begins anew at ``offset``."""
        self._parts.clear()
        self.first = offset
        self.ended = 0

    def add(self, run: Run[Values], *, now: float) -> None:
        """Take the next messages; at least one."""
        while len(run):
            if not self._parts or self._parts[-1].full(self.limits):
                self._parts.append(_Part(now))
            count = self._parts[-1].room(run, self.limits)
            whole = count == len(run)
            self._parts[-1].held.add(run if whole else run.slice(0, count))
            run = run.slice(count, len(run))

    def closes(self, now: float) -> bool:
        """True if the first batch has met a limit: of rows, of bytes or of age."""
        if not self._parts:
            return False
        first = self._parts[0]
        return first.full(self.limits) or now - first.opened >= self.limits.max_age

    def close(self, position: int) -> Batch:
        """Hand the first batch over.

        Args:
            position: the offset after everything polled, control records included.
        """
        opened = self.opened
        held = self._parts.popleft().held if self._parts else Collected()
        # Whatever lies between two messages (control records, aborted ones) goes with the first.
        next_ = self._parts[0].held.first if self._parts else position
        batch = Batch(
            self.topic, self.partition, self.first, next_, self.epoch, held.take(), opened
        )
        self.first = next_
        return batch


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
    run: Run[Messages] | None
    opened: float = 0.0

    @property
    def weight(self) -> int:
        """Bytes that it holds in memory, as long as its messages are there."""
        return self.run.weight if self.run else 0
