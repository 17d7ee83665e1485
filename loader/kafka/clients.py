"""Kafka clients, configured in one place, and the questions we ask the cluster.

Properties that carry the exactly-once protocol are ours; everything else may be set by the user
under ``[kafka.client]`` (librdkafka's CONFIGURATION.md lists the names).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from loader import config
from loader.errors import UsageError
from loader.kafka.faults import explain as explain  # noqa: PLC0414 - asked for here by most
from loader.kafka.faults import unauthenticated
from loader.logs import log, retried

T = TypeVar("T")

#: Seconds that one question to the cluster may take.
TIMEOUT: Final = 10.0

#: Progress is what the lake says: Kafka must neither commit by itself nor choose where to begin.
_PROTOCOL: Final[dict[str, Any]] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "isolation.level": "read_committed",
    "enable.partition.eof": True,
    "allow.auto.create.topics": False,
}

#: Static membership: the id under which a consumer is known to its group.
_INSTANCE: Final = "group.instance.id"

#: What makes a client a member of its group. Clients that only ask questions must not carry them:
#: a second client under one ``group.instance.id`` would throw the first one out of the group.
_MEMBERSHIP: Final = frozenset(
    {
        "group.protocol",
        _INSTANCE,
        "group.remote.assignor",
        "partition.assignment.strategy",
        "session.timeout.ms",
        "heartbeat.interval.ms",
        "max.poll.interval.ms",
    }
)


#: Milliseconds between two heartbeats of a member. With one it learns that the group changes: a worker that
#: joins waits for the others' next ones, 3 s by the client's default, and so do a dead one's partitions.
_HEARTBEAT: Final = 500


def common(settings: config.Kafka) -> dict[str, Any]:
    """What every client gets: the servers and the user's own properties, but for those of a member."""
    return {
        "bootstrap.servers": settings.bootstrap_servers,
        "log_level": 2,
        "error_cb": _log_error,
        **{name: value for name, value in settings.client.items() if name not in _MEMBERSHIP},
    }


def consumer_settings(settings: config.Kafka) -> dict[str, Any]:
    """Properties of a consumer of the group.

    Raises:
        UsageError: the user sets a property that carries the protocol.
    """
    taken = sorted({*_PROTOCOL, "group.id"} & settings.client.keys())
    if taken:
        raise UsageError(
            f"kafka.client.{taken[0]} cannot be set: the exactly-once protocol depends on it."
        )
    member = {name: settings.client[name] for name in _MEMBERSHIP & settings.client.keys()}
    if member.get("group.protocol") != "consumer":
        # With KIP-848 the broker assigns and says how often to call, and the client refuses to be created
        # with either. By topic, so that workers share the heavy topic evenly. Sticky assignment counts
        # partitions of all topics alike: it gave one of two workers all of heap.events, the other all user
        # updates.
        member = {
            "partition.assignment.strategy": "range",
            "heartbeat.interval.ms": _HEARTBEAT,
            **member,
        }
    return {
        **member,
        # How soon partitions that were added to a topic are found.
        "topic.metadata.refresh.interval.ms": 30_000,
        # Bounds what librdkafka itself holds, whatever the number of partitions. What comes is packed:
        # a fetch of 8 MiB may be 50 MiB of messages. Larger ones are no faster.
        "queued.max.messages.kbytes": 32_768,
        "queued.min.messages": 50_000,
        "fetch.max.bytes": 8_388_608,
        "max.partition.fetch.bytes": 1_048_576,
        # The next fetch starts as soon as there is room, instead of a second later.
        "fetch.queue.backoff.ms": 20,
        "fetch.wait.max.ms": 100,
        **common(settings),
        **_PROTOCOL,
        "group.id": settings.group_id,
    }


def as_static_member(settings: config.Kafka, instance_id: str) -> config.Kafka:
    """The same settings for a consumer that joins its group under an id of its own (KIP-345).

    Raises:
        UsageError: the user gives all consumers the same id.
    """
    if _INSTANCE in settings.client:
        raise UsageError(
            f"kafka.client.{_INSTANCE} and consumer.static_id are both set.",
            hint="Keep consumer.static_id: it gives each worker an id of its own.",
        )
    return settings.model_copy(update={"client": {**settings.client, _INSTANCE: instance_id}})


def producer_settings(settings: config.Kafka) -> dict[str, Any]:
    """Properties of a producer: idempotent, with the partitioner of Kafka's own clients."""
    allowed = {
        name: value
        for name, value in settings.client.items()
        if not name.startswith(("fetch.", "queued."))
    }
    return {
        **common(settings.model_copy(update={"client": allowed})),
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "compression.type": "lz4",
        "linger.ms": 20,
    }


def rebalances_incrementally(properties: dict[str, Any]) -> bool:
    """True if assignments come as differences (cooperative, KIP-848)."""
    strategy = str(properties.get("partition.assignment.strategy", ""))
    return properties.get("group.protocol") == "consumer" or "cooperative" in strategy


@dataclass(frozen=True, slots=True)
class TopicNow:
    """A topic as Kafka has it now.

    Attributes:
        id: Kafka's id; a topic that is deleted and made again gets another one.
        partitions: how many there are; they can only grow.
    """

    id: str
    partitions: int


class Cluster:
    """Questions to the cluster, each bounded in time and retried."""

    def __init__(self, settings: config.Kafka) -> None:
        self._settings = settings
        self._refusal: KafkaError | None = None
        properties: dict[str, Any] = {**common(settings), "error_cb": self._on_error}
        self._admin = AdminClient(properties)

    def partitions(self, topics: Iterable[str]) -> dict[str, int]:
        """Number of partitions of each topic that exists.

        Raises:
            Unreachable: no broker answered, after retries.
            Terminal: we may not look at a topic.
        """
        return {name: topic.partitions for name, topic in self.topics(topics).items()}

    def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        """Kafka's id of each topic that exists: another one for one that was deleted and made again.

        Raises:
            Unreachable: no broker answered, after retries.
            Terminal: we may not look at a topic.
        """
        return {name: topic.id for name, topic in self.topics(topics).items()}

    def topics(self, topics: Iterable[str]) -> dict[str, TopicNow]:
        """The topics as they are now; those that do not exist are absent.

        Raises:
            Unreachable: no broker answered, after retries.
            Terminal: we may not look at a topic.
        """
        names = sorted(set(topics))
        return retried(lambda: self.ask_topics(names)) if names else {}

    def ask_topics(self, names: Sequence[str]) -> dict[str, TopicNow]:
        """:meth:`topics`, asked once.

        Raises:
            Unreachable: no broker answered.
            Terminal: we may not look at a topic.
        """
        # Each by its name: from a list of all topics those that we may not see are left out.
        found = self._admin.describe_topics(TopicCollection(list(names)), request_timeout=TIMEOUT)
        while not all(future.done() for future in found.values()):
            self._admin.poll(0.05)
            if self._refusal is not None:
                # The answer would be a timeout, which says nothing.
                raise explain(self._refusal, self._settings, "log in")
        now: dict[str, TopicNow] = {}
        for name, future in found.items():
            try:
                described = future.result()
            except KafkaException as error:
                fault = error.args[0]
                if fault.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    continue
                if fault.code() == KafkaError._TIMED_OUT:
                    self._look_round()
                raise explain(
                    fault,
                    self._settings,
                    f"describe topic {name}",
                    topic=name,
                    operation="Describe",
                ) from None
            now[name] = TopicNow(str(described.topic_id), len(described.partitions))
        return now

    def _look_round(self) -> None:
        """Have the client ask any broker who is there.

        A broker that has just started knows no controller yet. Who asked it waits for one to turn up,
        and asks nobody again for five minutes (librdkafka, rd_kafka_broker_controller_async).
        """
        with suppress(KafkaException):
            # An answer that comes later serves as well.
            self._admin.list_topics(timeout=1.0)

    def watermarks(self, topic: str, partitions: Iterable[int]) -> dict[int, tuple[int, int]]:
        """``(log start, high watermark)`` of each partition."""
        consumer = Consumer({**common(self._settings), "group.id": "heap-loader-watermarks"})
        try:
            return {
                partition: self._retried(
                    f"watermarks of {topic}[{partition}]",
                    partial(
                        consumer.get_watermark_offsets,
                        TopicPartition(topic, partition),
                        timeout=TIMEOUT,
                    ),
                )
                for partition in partitions
            }
        finally:
            consumer.close()

    def _on_error(self, error: KafkaError) -> None:
        if unauthenticated(error):
            self._refusal = error
        _log_error(error)

    def _retried(self, what: str, ask: Callable[[], T]) -> T:
        def attempt() -> T:
            try:
                return ask()
            except KafkaException as error:
                raise explain(error.args[0], self._settings, what) from None

        return retried(attempt)


def new_consumer(
    settings: config.Kafka,
    on_commit: Callable[[KafkaError | None, list[TopicPartition]], None] | None = None,
) -> Consumer:
    """A consumer of the group, not subscribed yet.

    Args:
        settings: the cluster.
        on_commit: told, while polling, what became of an asynchronous commit.
    """
    properties = consumer_settings(settings)
    return _new(Consumer, {**properties, "on_commit": on_commit} if on_commit else properties)


def new_producer(settings: config.Kafka) -> Producer:
    """An idempotent producer."""
    return _new(Producer, producer_settings(settings))


def check_properties(settings: config.Kafka) -> None:
    """Have the Kafka client itself say whether the user's properties are right. Asks no broker.

    Raises:
        UsageError: it refuses one of them.
    """
    _new(Consumer, consumer_settings(settings)).close()
    new_producer(settings)


def _new(kind: Callable[[dict[str, Any]], T], properties: dict[str, Any]) -> T:
    try:
        return kind(properties)
    except KafkaException as error:
        raise UsageError(f"kafka.client: {error.args[0].str()}.") from None


def _log_error(error: KafkaError) -> None:
    """Librdkafka reports every failed connection attempt; they show with ``-v``."""
    log.debug("kafka client", error=error.str())
