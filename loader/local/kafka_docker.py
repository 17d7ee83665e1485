"""The stack's Kafka as a container, where a Docker engine answers: Apache's image by testcontainers.

The container has a name made of the stack's id, so any later command finds it; testcontainers'
reaper, which would remove it when the command that started it ends, is switched off for it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loader.errors import Unreachable
from loader.local import ports
from loader.local.kafka_broker import NAME, TOPICS, cluster_id, create_topics
from loader.local.kafka_jars import KAFKA_VERSION
from loader.local.parts import NotReady, PartStatus, Progress
from loader.local.ports import HOST
from loader.local.state import StateFile

IMAGE = f"apache/kafka:{KAFKA_VERSION}"

_SOCKETS = ("/var/run/docker.sock", "~/.docker/run/docker.sock", "~/.docker/desktop/docker.sock")
_ENGINE_TIMEOUT = 3.0
_READY_WITHIN = 120.0


def engine_answers() -> bool:
    """Tell, within seconds and without a word, whether a Docker engine can be used."""
    named = os.environ.get("DOCKER_HOST")
    if not named and not any(Path(path).expanduser().exists() for path in _SOCKETS):
        return False
    # Slow to load, and needed on few machines.
    import docker  # type: ignore[import-untyped]  # noqa: PLC0415

    try:
        client = docker.from_env(timeout=int(_ENGINE_TIMEOUT))
        with contextlib.closing(client):
            return bool(client.ping())
    except Exception:  # noqa: BLE001 - whatever it is, there is no engine to use
        return False


class KafkaContainer:
    """A single-node KRaft broker in a container.

    Args:
        states: the stack's memory: its id, its cluster id and the broker's port.
    """

    name = NAME

    def __init__(self, states: StateFile) -> None:
        self._states = states

    @property
    def container_name(self) -> str:
        """Name of the container: unique to the stack."""
        return f"heap-loader-{self._states.state.stack_id[:12]}-kafka"

    @property
    def bootstrap_servers(self) -> str:
        """``127.0.0.1:PORT``."""
        return f"{HOST}:{self._states.state.ports['kafka']}"

    def up(self, progress: Progress) -> None:
        """Start the container, or make it; wait until it answers; make the topics.

        Raises:
            Unreachable: the engine refused, or the broker did not become ready.
        """
        with _engine() as client:
            container = _find(client, self.container_name)
            kept = container is not None and container.status == "running"
            if container is None:
                self._create(progress)
            elif not kept:
                progress(NAME, "starting", self.bootstrap_servers)
                container.start()
            self._await(client)
        create_topics(self.bootstrap_servers, TOPICS.values())
        progress(NAME, "kept" if kept else "ready", self.bootstrap_servers)

    def down(self, progress: Progress, *, forget: bool) -> None:
        """Stop the container; with ``forget`` remove it and its data."""
        with _engine() as client:
            container = _find(client, self.container_name)
            if container is not None:
                progress(NAME, "stopping", self.container_name)
                if forget:
                    container.remove(force=True, v=True)
                else:
                    container.stop(timeout=20)
        progress(NAME, "stopped", "")

    def status(self) -> PartStatus:
        """Ask the engine, then the broker."""
        state, detail, address = "absent", "", ""
        if "kafka" in self._states.state.ports:
            address = self.bootstrap_servers
            try:
                with _engine() as client:
                    container = _find(client, self.container_name)
                if container is not None:
                    state = "dead"
                    if container.status == "running":
                        cluster_id(address)
                        state = "running"
            except (NotReady, Unreachable) as reason:
                state, detail = "unhealthy", str(reason)
        return PartStatus(NAME, state, None, address, None, None, detail)

    def _create(self, progress: Progress) -> None:
        from testcontainers.core.config import testcontainers_config  # noqa: PLC0415
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415

        remembered = self._states.state.ports
        chosen = ports.choose(("kafka",), remembered={}, avoid=remembered.values())
        self._states.set_ports(chosen)
        port = chosen["kafka"]
        progress(NAME, "preparing", f"image {IMAGE}")
        testcontainers_config.ryuk_disabled = True
        container = (
            DockerContainer(IMAGE)
            .with_name(self.container_name)
            # Bound to loopback: a port published without an address is open to the network.
            .with_kwargs(ports={f"{port}/tcp": (HOST, port)}, labels={"heap-loader": "stack"})
        )
        for key, value in _settings(port, self._states.state.cluster_id).items():
            container = container.with_env(key, value)
        progress(NAME, "starting", self.bootstrap_servers)
        try:
            container.start()
        except Exception as error:
            raise Unreachable(
                f"Docker did not start {IMAGE}: {error}",
                hint="Pull the image by hand, or stop Docker to run Kafka from jars instead.",
            ) from error

    def _await(self, client: Any) -> None:
        deadline = time.monotonic() + _READY_WITHIN
        while True:
            try:
                found = cluster_id(self.bootstrap_servers, timeout=1.0)
            except NotReady as reason:
                container = _find(client, self.container_name)
                if container is None or container.status in {"exited", "dead"}:
                    log = container.logs(tail=15).decode("utf-8", "replace") if container else ""
                    raise Unreachable(f"The Kafka container ended.\n{log}") from None
                if time.monotonic() > deadline:
                    raise Unreachable(
                        f"Kafka did not become ready in {_READY_WITHIN:.0f} s: {reason}",
                        hint=f"See: docker logs {self.container_name}",
                    ) from None
            else:
                if found != self._states.state.cluster_id:
                    raise Unreachable(f"Another Kafka answers on {self.bootstrap_servers}.")
                return


def _settings(port: int, cluster: str) -> Mapping[str, str]:
    """Return the image's settings: ``KAFKA_`` and the property's name, dots as underscores."""
    return {
        "CLUSTER_ID": cluster,
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:29093",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENERS": f"PLAINTEXT://:{port},CONTROLLER://:29093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{HOST}:{port}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "4",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "4",
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    }


@contextlib.contextmanager
def _engine() -> Any:
    import docker  # noqa: PLC0415
    from docker.errors import DockerException  # type: ignore[import-untyped]  # noqa: PLC0415

    try:
        client = docker.from_env()
        with contextlib.closing(client):
            yield client
    except DockerException as error:
        raise Unreachable(
            f"This stack's Kafka is a container, and Docker failed: {error}",
            hint="Start Docker, or forget the stack: heap-loader local down --purge",
        ) from error


def _find(client: Any, name: str) -> Any:
    from docker.errors import NotFound  # noqa: PLC0415

    try:
        return client.containers.get(name)
    except NotFound:
        return None
