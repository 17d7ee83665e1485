"""Reads the dead-letter topic up to where it ends now, and asks the lake what became of each letter.

The reader is in nobody's way: it is assigned by hand, under a group of its own that never joins and
never commits.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import closing
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from loader import config
from loader.deadletters.letters import (
    Catalogue,
    Content,
    Filters,
    Found,
    Letter,
    Listing,
    Origin,
    Place,
    marked,
    parse,
    summary,
)
from loader.deadletters.standing import Standing
from loader.errors import Unreachable, UsageError
from loader.kafka.clients import Cluster, common, explain
from loader.lake import layout
from loader.lake.s3 import S3Store
from loader.lake.store import ObjectStore

#: Told how many messages were read, and how many there are at most.
OnRead = Callable[[int, int], None]

#: Seconds without a message or an end after which Kafka counts as away.
_SILENCE: Final = 30.0
_POLL_MESSAGES: Final = 500
_POLL_SECONDS: Final = 0.1


class DeadLetterTopic:
    """The dead-letter topic as it stands when this is made: what comes later is not looked at.

    Args:
        settings: the whole configuration.

    Raises:
        Unreachable: Kafka stayed away, or has no such topic.
    """

    def __init__(self, settings: config.Settings) -> None:
        self._kafka = settings.kafka
        self.name = settings.topics.dead_letters.name
        cluster = Cluster(settings.kafka)
        partitions = cluster.partitions([self.name])
        if self.name not in partitions:
            raise Unreachable(
                f"Kafka at {settings.kafka.bootstrap_servers} has no topic {self.name}.",
                hint="Create it, or correct topics.dead_letters.",
            )
        self._bounds: Mapping[int, tuple[int, int]] = cluster.watermarks(
            self.name, range(partitions[self.name])
        )

    def catalogue(self, on_read: OnRead = lambda *_: None) -> Catalogue:
        """Every letter, without the messages' bytes.

        Raises:
            Unreachable: Kafka stayed away.
        """
        catalogue = Catalogue()
        read = 0
        for message in self._messages(self._bounds, on_read):
            read += 1
            parsed = _parse(message)
            catalogue.add(None if parsed is None else parsed[0])
        catalogue.complete = read == sum(high for _, high in self._bounds.values())
        return catalogue

    def contents(self, places: Collection[Place]) -> Generator[tuple[Letter, Content], None, None]:
        """The letters at ``places`` with their messages, each partition's in order, if they stand there.

        Raises:
            Unreachable: Kafka stayed away.
        """
        bounds: dict[int, tuple[int, int]] = {}
        for partition, offset in places:
            start, end = self._bounds.get(partition, (0, 0))
            if start <= offset < end:
                low, high = bounds.get(partition, (offset, offset + 1))
                bounds[partition] = (min(low, offset), max(high, offset + 1))
        wanted = frozenset(places)
        with closing(self._messages(bounds)) as messages:
            for message in messages:
                if _place(message) in wanted:
                    parsed = _parse(message)
                    if parsed is not None:
                        yield parsed

    def _messages(
        self, bounds: Mapping[int, tuple[int, int]], on_read: OnRead = lambda *_: None
    ) -> Generator[Message, None, None]:
        """The messages at offsets ``[low, high)`` of each partition."""
        ends = {partition: high for partition, (low, high) in bounds.items() if low < high}
        total = sum(high - low for low, high in bounds.values())
        if not ends:
            return
        with closing(self._consumer()) as consumer:
            consumer.assign([TopicPartition(self.name, p, bounds[p][0]) for p in ends])
            read = 0
            heard = time.monotonic()
            while ends:
                batch = self._poll(consumer)
                if not batch and time.monotonic() - heard > _SILENCE:
                    raise Unreachable(
                        f"Kafka at {self._kafka.bootstrap_servers}: nothing more of {self.name} "
                        f"came within {_SILENCE:.0f} s."
                    )
                for message in batch:
                    partition, offset = _place(message)
                    if partition not in ends:
                        continue
                    if message.error() is None and offset < ends[partition]:
                        read += 1
                        yield message
                    if message.error() is not None or offset + 1 >= ends[partition]:
                        del ends[partition]
                        consumer.incremental_unassign([TopicPartition(self.name, partition)])
                on_read(read, total)
                if batch:
                    # Now, after whoever takes the messages took them, however long that was.
                    heard = time.monotonic()

    def _poll(self, consumer: Consumer) -> list[Message]:
        """Messages and ends of partitions. What heals by itself is left to the client."""
        try:
            batch = consumer.consume(_POLL_MESSAGES, _POLL_SECONDS)
        except KafkaException as error:
            raise explain(error.args[0], self._kafka, f"reading {self.name}") from None
        kept = []
        for message in batch:
            fault = message.error()
            if fault is None or fault.code() == KafkaError._PARTITION_EOF:
                kept.append(message)
            elif not fault.retriable():
                raise explain(fault, self._kafka, f"reading {self.name}")
        return kept

    def _consumer(self) -> Consumer:
        properties: dict[str, Any] = {
            "queued.max.messages.kbytes": 65_536,
            "fetch.wait.max.ms": 100,
            **common(self._kafka),
            "group.id": f"heap-loader-dead-letters-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            # Retention may take the first offsets away while we read.
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "allow.auto.create.topics": False,
        }
        try:
            return Consumer(properties)
        except KafkaException as error:
            raise UsageError(f"kafka.client: {error.args[0].str()}.") from None


def _place(message: Message) -> Place:
    partition, offset = message.partition(), message.offset()
    assert partition is not None  # noqa: S101 - a consumed message has both
    assert offset is not None  # noqa: S101
    return Place(partition, offset)


def _parse(message: Message) -> tuple[Letter, Content] | None:
    kind, time_ms = message.timestamp()
    headers: Any = message.headers() or []
    written = time_ms if kind else -1
    return parse(_place(message), written, message.key(), message.value(), headers)


def redriven(store: ObjectStore) -> set[Origin]:
    """The messages that were sent again, by the markers in the lake.

    Raises:
        Unreachable: the lake stayed away.
    """
    found = (marked(info.key) for info in store.scan(layout.REDRIVE))
    return {origin for origin in found if origin is not None}


def listing(
    settings: config.Settings,
    filters: Filters,
    *,
    limit: int | None = None,
    on_read: OnRead = lambda *_: None,
    store: ObjectStore | None = None,
) -> Listing:
    """The letters that stand in the topic now, each message once.

    Args:
        settings: the whole configuration.
        filters: which letters.
        limit: at most this many; the summary is about all of them.
        on_read: progress of reading.
        store: instead of the configured lake.

    Raises:
        NeedsOperator: the lake's log is broken.
        Unreachable: Kafka or the lake stayed away.
    """
    store = S3Store.open(settings.lake) if store is None else store
    standing = Standing(store, settings.topics)
    topic = DeadLetterTopic(settings)
    catalogue = topic.catalogue(on_read)
    letters = catalogue.select(filters)
    again = redriven(store)
    found = []
    for letter in letters[:limit]:
        state = standing.state(letter.origin, catalogue)
        copies = catalogue.copies(letter.origin)
        found.append(Found(letter, copies, state, letter.origin in again))
    kinds = summary(letters, catalogue)
    return Listing(topic.name, found, kinds, len(letters), catalogue.strangers)


def find(
    settings: config.Settings,
    place: Place | Origin,
    *,
    on_read: OnRead = lambda *_: None,
    store: ObjectStore | None = None,
) -> tuple[Found, Content]:
    """One letter with its message, by its own place or by the message's.

    Raises:
        UsageError: there is none.
        NeedsOperator: the lake's log is broken.
        Unreachable: Kafka or the lake stayed away.
    """
    store = S3Store.open(settings.lake) if store is None else store
    standing = Standing(store, settings.topics)
    topic = DeadLetterTopic(settings)
    catalogue = Catalogue()
    if isinstance(place, Origin):
        catalogue = topic.catalogue(on_read)
        known = catalogue.get(place)
        if known is None:
            raise UsageError(
                f"{topic.name} holds no letter about {place}.",
                hint="heap-loader dead-letters list shows what there is.",
            )
        place = known.place
    for letter, content in topic.contents([place]):
        state = standing.state(letter.origin, catalogue)
        again = letter.origin in redriven(store)
        return Found(letter, catalogue.copies(letter.origin), state, again), content
    raise UsageError(
        f"{topic.name} holds no letter at {place}.",
        hint="heap-loader dead-letters list shows what there is.",
    )
