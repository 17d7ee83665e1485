"""Kafka and the lake: whether they answer, and whether we may do there what the jobs do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclOperation

from loader import config
from loader.doctor.report import Check, State, failed
from loader.errors import LoaderError
from loader.kafka.clients import TIMEOUT, Cluster, common
from loader.lake.metadata import read_metadata
from loader.lake.s3 import S3Store
from loader.monitor import offsets

KAFKA: Final = "kafka"
LAKE: Final = "lake"


def kafka_checks(settings: config.Settings) -> Iterator[Check]:
    """Every topic: that it is there, and that its readers may read and writers write."""
    kafka = settings.kafka
    topics = {key: getattr(settings.topics, key).name for key in type(settings.topics).model_fields}
    try:
        found = Cluster(kafka).topics(topics.values())
    except LoaderError as error:
        yield failed(KAFKA, f"answers at {kafka.bootstrap_servers}", error)
        return
    yield Check(KAFKA, f"answers at {kafka.bootstrap_servers}", State.OK)
    allowed = _allowed(kafka, list(found))
    for key, name in topics.items():
        operation = AclOperation.WRITE if key == "dead_letters" else AclOperation.READ
        word = operation.name.lower()
        if name not in found:
            yield Check(
                KAFKA,
                f"topic {name}",
                State.MISSING,
                "There is no such topic.",
                (
                    f"kafka-topics --bootstrap-server {kafka.bootstrap_servers} --create --topic {name}",
                ),
            )
        elif name in allowed and operation not in allowed[name]:
            yield Check(
                KAFKA,
                f"{word} topic {name}",
                State.MISSING,
                f"We may not {word} it.",
                (_acl(kafka, operation.name.capitalize(), f"--topic {name}"),),
                "an administrator of Kafka",
            )
        else:
            yield Check(KAFKA, f"{word} topic {name}", State.OK)
    yield _tried(
        KAFKA,
        f"group {kafka.group_id}",
        lambda: offsets.committed(
            kafka, kafka.group_id, next(iter(found), ""), [0] if found else []
        ),
    )


def _allowed(kafka: config.Kafka, topics: list[str]) -> dict[str, set[AclOperation]]:
    """What the broker says that we may do with each topic; nothing where it does not say."""
    if not topics:
        return {}
    admin = AdminClient(common(kafka))
    asked = admin.describe_topics(
        TopicCollection(topics), include_authorized_operations=True, request_timeout=TIMEOUT
    )
    said: dict[str, set[AclOperation]] = {}
    for name, future in asked.items():
        try:
            operations = future.result().authorized_operations
        except KafkaException:
            continue
        if operations:
            said[name] = set(operations)
    return said


def _acl(kafka: config.Kafka, operation: str, resource: str) -> str:
    user = kafka.client.get("sasl.username", "NAME")
    return (
        f"kafka-acls --bootstrap-server {kafka.bootstrap_servers} --add --allow-principal "
        f"User:{user} --operation {operation} {resource}"
    )


def lake_checks(store: S3Store) -> Iterator[Check]:
    """Reading, listing, writing, deleting, and the conditional writes that exactly-once stands on."""
    tries: tuple[tuple[str, Callable[[], object]], ...] = (
        (f"list {store.url}", lambda: next(iter(store.scan("log/")), None)),
        ("read", lambda: read_metadata(store)),
        ("write, delete, and conditional writes (If-None-Match)", store.check_conditional_writes),
    )
    for name, work in tries:
        check = _tried(LAKE, name, work)
        yield check
        if check.state is not State.OK:
            return


def _tried(area: str, name: str, work: Callable[[], object]) -> Check:
    try:
        work()
    except LoaderError as error:
        return failed(area, name, error)
    return Check(area, name, State.OK)
