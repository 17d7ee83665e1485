"""What was polled and is not written yet, a buffer for each partition, and when a batch closes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, cast

from confluent_kafka import Message

from loader import config

#: Bytes that a message takes in memory beside its value: the object, its key, the value's header.
MESSAGE_BYTES: Final = 320


@dataclass(slots=True)
class Buffer:
    """The open batch of one partition.

    Attributes:
        topic: Kafka topic.
        partition: Kafka partition.
        first: the offset at which the batch begins: the chain's tail, whatever message came first.
        epoch: the assignment that this buffer belongs to; a result for another one is stale.
        messages: in the order of their offsets.
        bytes: sum of the values' sizes.
        opened: monotonic time of the first message, seconds.
        ended: where Kafka last said that the partition ends: every message before it was polled.
        ended_at: monotonic time when it said so, seconds.
    """

    topic: str
    partition: int
    first: int
    epoch: int
    messages: list[Message] = field(default_factory=list)
    bytes: int = 0
    opened: float = 0.0
    ended: int = 0
    ended_at: float = 0.0

    def fits(self, messages: Sequence[Message]) -> bool:
        """Whether these can be the next messages: ascending, and behind what is here."""
        offset, last = (cast("int", messages[place].offset()) for place in (0, -1))
        following = cast("int", self.messages[-1].offset()) + 1 if self.messages else self.first
        return offset >= following and last - offset >= len(messages) - 1

    def restart(self, offset: int) -> None:
        """Drop what is here; reading begins anew at ``offset``."""
        self.messages = []
        self.bytes = 0
        self.first = offset
        self.ended = 0

    def add(self, *messages: Message, now: float) -> None:
        """Take the next messages."""
        if not self.messages:
            self.opened = now
        self.messages += messages
        self.bytes += sum(map(len, messages))

    @property
    def weight(self) -> int:
        """Bytes that it holds in memory."""
        return self.bytes + MESSAGE_BYTES * len(self.messages)

    def closes(self, limits: config.Batch, now: float) -> bool:
        """True if the batch has met a limit. A message larger than the limit is a batch of its own."""
        return bool(self.messages) and (
            len(self.messages) >= limits.max_rows
            or self.bytes >= limits.max_bytes
            or now - self.opened >= limits.max_age
        )

    def close(self, position: int, limits: config.Batch) -> Batch:
        """Hand messages over as a batch, and begin anew behind them.

        Args:
            position: the offset after everything polled, control records included.
            limits: what was polled beyond them stays for the next batch.
        """
        count = min(len(self.messages), limits.max_rows)
        if self.bytes > limits.max_bytes:
            sizes = enumerate(accumulate(map(len, self.messages)), start=1)
            count = min(count, next(n for n, size in sizes if size >= limits.max_bytes))
        taken, left = self.messages[:count], self.messages[count:]
        # Whatever lies between two messages (control records, aborted ones) goes with the first.
        next_ = cast("int", left[0].offset()) if left else position
        size = sum(map(len, taken)) if left else self.bytes
        batch = Batch(
            self.topic, self.partition, self.first, next_, self.epoch, taken, size, self.opened
        )
        self.first = next_
        self.messages = left
        self.bytes -= size
        return batch


@dataclass(slots=True)
class Batch:
    """Messages of one partition that cover offsets ``[first, next)``; Kafka may have gaps inside."""

    topic: str
    partition: int
    first: int
    next: int
    epoch: int
    messages: list[Message]
    bytes: int
    opened: float = 0.0

    @property
    def weight(self) -> int:
        """Bytes that it holds in memory, as long as its messages are there."""
        return self.bytes + MESSAGE_BYTES * len(self.messages)
