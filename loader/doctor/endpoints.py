"""Kafka and the lake: whether they answer, and whether we may do there what the jobs do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclOperation

from loader import config
from loader.doctor.report import Check, State, failed
from loader.errors import LoaderError
from loader.kafka.clients import TIMEOUT, Cluster, common
from loader.kafka.faults import Denied, explain
from loader.lake.metadata import read_metadata
from loader.lake.s3 import S3Store
from loader.logs import retried

KAFKA: Final = "kafka"
LAKE: Final = "lake"


def kafka_checks(settings: config.Settings) -> Iterator[Check]:
    """Every topic: that it is there, and that its readers may read and writers write. And the group."""
    kafka = settings.kafka
    topics = {key: getattr(settings.topics, key).name for key in type(settings.topics).model_fields}
    answers = f"answers at {kafka.bootstrap_servers}"
    try:
        found, refused = _seen(Cluster(kafka), topics.values())
    except LoaderError as error:
        yield failed(KAFKA, answers, error)
        return
    yield Check(KAFKA, answers, State.OK)
    allowed = _allowed(kafka, found)
    for key, name in topics.items():
        operation = AclOperation.WRITE if key == "dead_letters" else AclOperation.READ
        word = operation.name.lower()
        if name in refused:
            # Who may read a topic may look at it, too: one right is enough.
            yield _may_not(kafka, f"{word} topic {name}", operation, f"--topic {name}")
        elif name not in found:
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
            yield _may_not(kafka, f"{word} topic {name}", operation, f"--topic {name}")
        else:
            yield Check(KAFKA, f"{word} topic {name}", State.OK)
    yield _group(kafka)


def _seen(cluster: Cluster, names: Iterable[str]) -> tuple[list[str], set[str]]:
    """The topics that are there, and those that we may not even look at.

    Raises:
        LoaderError: there is no answer, or we are not let in at all.
    """
    found: list[str] = []
    refused: set[str] = set()
    for name in names:
        try:
            found += cluster.topics([name])
        except Denied:
            refused.add(name)
    return found, refused


def _group(kafka: config.Kafka) -> Check:
    """Whether we may join the group, and store its offsets."""
    name, group = f"group {kafka.group_id}", kafka.group_id
    admin = AdminClient(common(kafka))

    def ask() -> Sequence[AclOperation] | None:
        asked = admin.describe_consumer_groups(
            [group], include_authorized_operations=True, request_timeout=TIMEOUT
        )
        try:
            operations: Sequence[AclOperation] | None = asked[group].result().authorized_operations
        except KafkaException as error:
            raise explain(error.args[0], kafka, f"describe group {group}") from None
        return operations

    try:
        operations = retried(ask)
    except Denied:
        operations = []
    except LoaderError as error:
        return failed(KAFKA, name, error)
    # Looking at a group takes less than joining it; old brokers do not say.
    if operations is not None and AclOperation.READ not in operations:
        return _may_not(kafka, name, AclOperation.READ, f"--group {group}")
    return Check(KAFKA, name, State.OK)


def _may_not(kafka: config.Kafka, name: str, operation: AclOperation, resource: str) -> Check:
    word = operation.name.lower()
    return Check(
        KAFKA,
        name,
        State.MISSING,
        f"We may not {word} it.",
        (_acl(kafka, operation.name.capitalize(), resource),),
        "an administrator of Kafka",
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
