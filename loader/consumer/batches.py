"""What was polled and is not written yet, a buffer for each partition, and when a batch closes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

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
    """

    topic: str
    partition: int
    first: int
    epoch: int
    messages: list[Message] = field(default_factory=list)
    bytes: int = 0
    opened: float = 0.0

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

    def close(self, next_: int) -> Batch:
        """Hand the messages over as a batch that ends before ``next_``, and begin anew there."""
        batch = Batch(
            self.topic, self.partition, self.first, next_, self.epoch, self.messages, self.bytes
        )
        self.first = next_
        self.messages = []
        self.bytes = 0
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

    @property
    def weight(self) -> int:
        """Bytes that it holds in memory, as long as its messages are there."""
        return self.bytes + MESSAGE_BYTES * len(self.messages)
