"""One poll of the Kafka client: messages by partition, and what came in their place.

Two ways that give the same. Through the client's objects, of which each message makes four; and from
the memory of the library under it (:mod:`loader.kafka.native`), for less than half the CPU. The first is
the client's public interface and the reference; the second is taken where it is there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import ne
from typing import Final, Protocol, cast

import numpy as np
from confluent_kafka import Consumer, KafkaError, Message

from loader.codec.client_memory import Addresses, Functions, Scanned
from loader.codec.joining import Values
from loader.consumer.progress import Place
from loader.consumer.runs import Run
from loader.kafka.native import MessageQueue, address, open_queue

#: Messages of one poll by the client's objects: about a megabyte, so that they are still in the CPU's cache
#: when they are taken over. Ten times as many cost two thirds more CPU a message.
_OBJECTS: Final = 1_000
#: Messages of one poll from the library's memory. What Python does for a poll is shared by more of them:
#: a fifth less CPU a message than with 1,000.
_DIRECT: Final = 4_000
#: How often the ways of all partitions are made again, should the library let go of one unasked.
_AGAIN_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Told:
    """What the client says in place of a message.

    Attributes:
        place: topic, empty where it concerns none, and partition.
        error: what it is.
        offset: where it is said to be; 0 if nowhere.
    """

    place: Place
    error: KafkaError
    offset: int


@dataclass(slots=True)
class Polled:
    """What one poll gave; its messages may be the client's until they are released.

    Attributes:
        runs: messages of one partition each, as they came.
        told: what was told.
        held: what is given back by `release`.
    """

    runs: list[tuple[Place, Run[Values]]] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    held: list[Scanned] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.runs) + len(self.told)

    def __add__(self, later: Polled) -> Polled:
        return Polled(self.runs + later.runs, self.told + later.told, self.held + later.held)

    def release(self) -> None:
        """Give the messages back to the client: what is wanted of them was copied."""
        for scanned in self.held:
            scanned.release()


class Polling(Protocol):
    """A way to poll. Rebalances happen within a poll, in the thread that polls."""

    def assigned(self, places: Sequence[Place]) -> None:
        """These partitions are about to be assigned."""

    def poll(self, timeout: float) -> Polled:
        """Messages that are there; waits up to ``timeout`` seconds for the first.

        What it gives has to be released, before the consumer is closed at the latest.

        Raises:
            KafkaException: the client refuses.
        """

    def close(self) -> None:
        """No more polls. To be called before the consumer is closed."""


class ObjectPolling:
    """Through the client's objects.

    Args:
        consumer: the client.
    """

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    def assigned(self, places: Sequence[Place]) -> None:
        """Nothing is to be done for them."""

    def poll(self, timeout: float) -> Polled:
        """See :meth:`Polling.poll`."""
        messages = self._consumer.consume(_OBJECTS, timeout)
        polled = Polled()
        if any(map(Message.error, messages)):
            polled.told = [_told(message, error) for message, error in _errors(messages)]
            messages = [message for message in messages if message.error() is None]
        polled.runs = by_partition(messages)
        return polled

    def close(self) -> None:
        """Nothing is held."""


class DirectPolling:
    """From the library's memory. Whatever is no message of an assigned partition comes by objects.

    So there are two queues, and what a partition has in both has to be taken in its order: the end of a
    partition that overtakes its messages would have the lake pass them. Two things see to that, each
    enough by itself. A partition's way here is made before it is assigned; from then on the library never
    puts anything of it into the consumer's own queue (rdkafka_partition.c, ``RD_KAFKA_Q_F_FWD_APP``). And
    the consumer's own queue is emptied before anything is taken here: what was put there before the way
    was made comes first.

    Args:
        consumer: the client.
        queue: a queue of it.
    """

    def __init__(self, consumer: Consumer, queue: MessageQueue) -> None:
        self._objects = ObjectPolling(consumer)
        self._queue = queue
        self._functions = Functions(
            *map(address, [f"rd_kafka_message_{x}" for x in ("timestamp", "headers", "destroy")])
        )
        # Assigned, and nothing of them has come yet. When an assignment ends, the library lets go of the
        # partition's way here, but in a thread of its own: it may do so after the next one has begun. What
        # was fetched then waits in the partition's own queue, until the way is made again.
        self._awaited: set[Place] = set()
        self._places: set[Place] = set()
        self._made = 0.0
        self._assignments = 0

    def assigned(self, places: Sequence[Place]) -> None:
        """Their messages come by the queue from now on."""
        for place in places:
            self._queue.route(*place)
        self._awaited.update(places)
        self._places.update(places)
        self._assignments += 1

    def poll(self, timeout: float) -> Polled:
        """See :meth:`Polling.poll`."""
        if not self._places:
            return self._objects.poll(timeout)
        self._make_ways(time.monotonic())
        assignments = self._assignments
        polled = self._emptied()
        if assignments == self._assignments:
            taken = self._take(timeout)
            self._awaited.difference_update(place for place, _ in taken.runs)
            self._awaited.difference_update(told.place for told in taken.told)
            polled = polled + taken
        # Else: what comes now is of after the rebalance that this poll has seen. The next one takes it.
        return polled

    def _emptied(self) -> Polled:
        """All that is in the consumer's own queue."""
        polled = more = self._objects.poll(0.0)
        while len(more):
            more = self._objects.poll(0.0)
            polled = polled + more
        return polled

    def _make_ways(self, now: float) -> None:
        again = now - self._made >= _AGAIN_SECONDS
        for place in self._places if again else self._awaited:
            self._queue.route(*place)
        if again:
            self._made = now

    def _take(self, timeout: float) -> Polled:
        addresses = self._queue.receive(timeout)
        if not len(addresses):
            return Polled()
        scanned = Scanned(addresses, self._functions)
        try:
            return self._sorted(addresses, scanned)
        except BaseException:
            # The client's close would wait for them.
            scanned.release()
            raise

    def _sorted(self, addresses: Addresses, scanned: Scanned) -> Polled:
        """Messages by partition, and what came in their place."""
        polled = Polled(held=[scanned])
        change = (scanned.partitions[1:] != scanned.partitions[:-1]) | (
            scanned.topics[1:] != scanned.topics[:-1]
        )
        if scanned.errors.any():
            change |= (scanned.errors[1:] != 0) | (scanned.errors[:-1] != 0)
        for start, stop in _between(change):
            topic, partition = int(scanned.topics[start]), int(scanned.partitions[start])
            place = (self._queue.topic(topic), partition)
            if scanned.errors[start]:
                text = self._queue.error_text(int(addresses[start]))
                error = KafkaError(int(scanned.errors[start]), text)
                polled.told.append(Told(place, error, max(int(scanned.offsets[start]), 0)))
                continue
            headers = {
                int(n): self._queue.headers(int(addresses[start + n]))
                for n in np.flatnonzero(scanned.with_headers[start:stop])
            }
            run = Run(
                scanned.offsets[start:stop],
                scanned.arrival_ms[start:stop],
                scanned.values(start, stop),
                scanned.keys(start, stop),
                headers,
            )
            polled.runs.append((place, run))
        return polled

    def close(self) -> None:
        """What is in the queue is thrown away."""
        self._queue.close()


def open_polling(consumer: Consumer, *, direct: bool) -> Polling:
    """A way to poll a consumer.

    Args:
        consumer: the client.
        direct: from the library's memory, if that is possible.
    """
    queue = open_queue(consumer, _DIRECT) if direct else None
    return ObjectPolling(consumer) if queue is None else DirectPolling(consumer, queue)


def _errors(messages: Sequence[Message]) -> Iterator[tuple[Message, KafkaError]]:
    for message in messages:
        error = message.error()
        if error is not None:
            yield message, error


def _told(message: Message, error: KafkaError) -> Told:
    place = (message.topic() or "", cast("int", message.partition()))
    return Told(place, error, message.offset() or 0)


def by_partition(messages: Sequence[Message]) -> list[tuple[Place, Run[Values]]]:
    """Neighbours of one partition, taken over from the client's objects."""
    if not messages:
        return []
    topics = cast("list[str]", list(map(Message.topic, messages)))
    partitions = np.fromiter(map(Message.partition, messages), np.int64, len(messages))
    change = partitions[1:] != partitions[:-1]
    if topics.count(topics[0]) != len(topics):
        change |= np.fromiter(map(ne, topics[1:], topics), np.bool_, len(topics) - 1)
    return [
        ((topics[start], int(partitions[start])), Run.of(messages[start:stop]))
        for start, stop in _between(change)
    ]


def _between(change: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Iterator[tuple[int, int]]:
    """Stretches of equal neighbours, each from its begin to its end.

    Args:
        change: whether an entry differs from the next one; one less than there are entries.
    """
    return pairwise([0, *(np.flatnonzero(change) + 1).tolist(), len(change) + 1])
