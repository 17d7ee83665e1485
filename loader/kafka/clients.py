"""Kafka clients, configured in one place, and the questions we ask the cluster.

Properties that carry the exactly-once protocol are ours; everything else may be set by the user
under ``[kafka.client]`` (librdkafka's CONFIGURATION.md lists the names).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from loader import config
from loader.errors import LoaderError, Terminal, Unreachable, UsageError
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

_REFUSED: Final = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)

#: The cluster is finding its feet: a leader or a group's coordinator moves, is elected or loads. The
#: client marks none of these as retriable, though the same question is answered a moment later.
_PASSING: Final = frozenset(
    {
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.NOT_CONTROLLER,
    }
)


def common(settings: config.Kafka) -> dict[str, Any]:
    """What every client gets: the servers and the user's own properties."""
    return {
        "bootstrap.servers": settings.bootstrap_servers,
        "log_level": 2,
        "error_cb": _log_error,
        **settings.client,
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
    return {
        "partition.assignment.strategy": "cooperative-sticky",
        # Bounds what librdkafka itself holds, whatever the number of partitions.
        "queued.max.messages.kbytes": 65_536,
        "queued.min.messages": 50_000,
        "fetch.max.bytes": 33_554_432,
        "max.partition.fetch.bytes": 4_194_304,
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
        if not name.startswith(
            ("fetch.", "queued.", "session.", "heartbeat.", "max.poll", "group.")
        )
        and name != "partition.assignment.strategy"
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


class Cluster:
    """Questions to the cluster, each bounded in time and retried."""

    def __init__(self, settings: config.Kafka) -> None:
        self._settings = settings
        self._admin = AdminClient(common(settings))

    def partitions(self, topics: Iterable[str]) -> dict[str, int]:
        """Number of partitions of each topic that exists.

        Raises:
            Unreachable: no broker answered, after retries.
        """
        wanted = set(topics)

        def ask() -> dict[str, int]:
            found = self._admin.list_topics(timeout=TIMEOUT).topics
            return {
                name: len(found[name].partitions)
                for name in wanted
                if name in found and found[name].error is None
            }

        return self._retried("list topics", ask)

    def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        """Kafka's id of each topic: another one for a topic that was deleted and made again."""
        from confluent_kafka import TopicCollection  # noqa: PLC0415 - rarely needed

        names = list(topics)

        def ask() -> dict[str, str]:
            futures = self._admin.describe_topics(TopicCollection(names), request_timeout=TIMEOUT)
            return {name: str(future.result().topic_id) for name, future in futures.items()}

        return self._retried("describe topics", ask)

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

    def _retried(self, what: str, ask: Callable[[], T]) -> T:
        def attempt() -> T:
            try:
                return ask()
            except KafkaException as error:
                raise explain(error.args[0], self._settings, what) from None

        return retried(attempt)


def explain(error: KafkaError, settings: config.Kafka, what: str) -> LoaderError:
    """A Kafka error as one of ours, naming the servers and what was being done."""
    where = f"Kafka at {settings.bootstrap_servers}, {what}"
    if _says(error, KafkaError.FENCED_INSTANCE_ID):
        return UsageError(
            f"{where}: another consumer joined group {settings.group_id} as "
            f"{settings.client.get(_INSTANCE)} and took this one's place.",
            hint="Every host needs a consumer.static_id of its own; is an older process still running?",
        )
    if _says(error, KafkaError.UNRELEASED_INSTANCE_ID):
        return Unreachable(
            f"{where}: group {settings.group_id} still has a member {settings.client.get(_INSTANCE)}.",
            hint="If it was killed, the group forgets it after its session timeout; if it runs, give "
            "every host a consumer.static_id of its own.",
        )
    if error.code() in _REFUSED:
        return _Refused(
            f"{where}: {error.str()}.", hint="Check [kafka.client] and the ACLs of this user."
        )
    if error.retriable() or error.code() < 0 or error.code() in _PASSING:
        return Unreachable(
            f"{where}: {error.str()}.", hint="Is the broker up and kafka.bootstrap_servers right?"
        )
    return Terminal(f"{where}: {error.str()}.")


def _says(error: KafkaError, code: int) -> bool:
    """Whether an error is ``code``, or the client's end because of it: that one has only its text."""
    if error.code() == KafkaError._FATAL:
        return KafkaError(code).str() in error.str()
    return error.code() == code


class _Refused(Terminal):
    """Credentials or rights are wrong: no retry helps, and the dependency cannot be used."""

    exit_code = 4


def new_consumer(settings: config.Kafka) -> Consumer:
    """A consumer of the group, not subscribed yet."""
    return _new(Consumer, consumer_settings(settings))


def new_producer(settings: config.Kafka) -> Producer:
    """An idempotent producer."""
    return _new(Producer, producer_settings(settings))


def _new(kind: Callable[[dict[str, Any]], T], properties: dict[str, Any]) -> T:
    try:
        return kind(properties)
    except KafkaException as error:
        raise UsageError(f"kafka.client: {error.args[0].str()}.") from None


def _log_error(error: KafkaError) -> None:
    """Librdkafka reports every failed connection attempt; they show with ``-v``."""
    log.debug("kafka client", error=error.str())
