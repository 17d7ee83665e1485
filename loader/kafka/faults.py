"""Kafka's errors as ours: which pass by themselves, which need a person, and what that person does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from confluent_kafka import KafkaError

from loader import config
from loader.errors import LoaderError, NeedsOperator, Terminal, Unreachable, UsageError

_UNAUTHENTICATED: Final = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError.ILLEGAL_SASL_STATE,
    }
)

#: The resource that is denied, as `kafka-acls` has it.
_DENIED: Final[Mapping[int, str]] = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "topic",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "group",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "transactional-id",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "cluster",
}

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

#: A static member met another one of its id. The client wraps it in a fatal error, whose code it keeps
#: to itself: the text is all there is.
_FENCED: Final = re.compile(r"same group\.instance\.id")
_UNRELEASED: Final = re.compile(r"instance ID is still used")

#: With these a consumer gets no partitions, and asks for them again for ever.
_NO_MEMBER: Final[Mapping[int, str]] = {
    KafkaError.INCONSISTENT_GROUP_PROTOCOL: "Members of one group must use one protocol: stop those "
    "with the other kafka.client.partition.assignment.strategy or group.protocol, then start this one.",
    KafkaError.GROUP_MAX_SIZE_REACHED: "The broker's group.max.size allows no more members.",
    KafkaError.INVALID_SESSION_TIMEOUT: "kafka.client.session.timeout.ms must lie between the broker's "
    "group.min.session.timeout.ms and group.max.session.timeout.ms.",
    KafkaError.UNSUPPORTED_ASSIGNOR: "kafka.client.group.remote.assignor must name one of the broker's "
    "group.consumer.assignors.",
    KafkaError.UNSUPPORTED_VERSION: "kafka.client.group.protocol = consumer needs brokers from 4.0 on.",
    KafkaError.INVALID_GROUP_ID: "Correct kafka.group_id.",
}


class Refused(Terminal):
    """Credentials or rights are wrong: no retry helps, and the dependency cannot be used."""

    exit_code = 4


class Denied(Refused):
    """We are let in, but a right is missing; the hint is the command that grants it."""


def explain(
    error: KafkaError,
    settings: config.Kafka,
    what: str,
    *,
    topic: str = "",
    operation: str = "Read",
) -> LoaderError:
    """A Kafka error as one of ours, naming the servers and what was being done.

    Args:
        error: what Kafka or its client said.
        settings: the cluster.
        what: what was being done.
        topic: on which topic, if on one.
        operation: what an ACL must allow there.
    """
    where = f"Kafka at {settings.bootstrap_servers}, {what}"
    text = f"{where}: {error.str()}."
    if error.code() in _UNAUTHENTICATED:
        return Refused(text, hint="Check the credentials in [kafka.client].")
    if error.code() in _DENIED:
        return _denied(error, settings, where, topic, operation)
    member = settings.client.get("group.instance.id")
    if _FENCED.search(error.str()):
        return UsageError(
            f"{where}: another consumer joined group {settings.group_id} as {member} and took this one's "
            "place.",
            hint="Every host needs a consumer.static_id of its own. If a new process has replaced this "
            "one, all is well: it goes on where the lake ends.",
        )
    if _UNRELEASED.search(error.str()):
        return Unreachable(
            f"{where}: group {settings.group_id} still has a member {member}.",
            hint="If it was killed, the group forgets it after its session timeout; if it runs, give "
            "every host a consumer.static_id of its own.",
        )
    if not is_fatal(error) and (error.retriable() or error.code() < 0 or error.code() in _PASSING):
        return Unreachable(text, hint="Is the broker up and kafka.bootstrap_servers right?")
    return Terminal(text)


def consumer_fault(
    error: KafkaError, settings: config.Kafka, topic: str, partition: int
) -> LoaderError | None:
    """What came in place of a message, as an error that ends the consumer; None if it passes.

    The client goes on by itself after what passes: lost connections, moving leaders, a rebalance, a
    topic that is gone for a moment (whether it comes back as another one is watched elsewhere).

    Args:
        error: the message's error, neither the end of a partition nor a poll that came too late.
        settings: the cluster.
        topic: the message's topic; empty where it is about the whole consumer.
        partition: the message's partition.
    """
    what = f"read {topic}[{partition}]" if topic and partition >= 0 else f"read {topic}".strip()
    if error.code() == KafkaError._AUTO_OFFSET_RESET:
        return NeedsOperator(
            f"{topic}[{partition}]: Kafka does not have the offset that comes next ({error.str()}).",
            hint="Retention overtook the reader, or the log was truncated. Nothing was skipped.",
        )
    if error.code() in _NO_MEMBER:
        return Terminal(
            f"Kafka at {settings.bootstrap_servers}, group {settings.group_id}: {error.str()}.",
            hint=_NO_MEMBER[error.code()],
        )
    if is_fatal(error) or error.code() in _UNAUTHENTICATED or error.code() in _DENIED:
        return explain(error, settings, what, topic=topic)
    return None


def unauthenticated(error: KafkaError) -> bool:
    """True if the broker does not take our credentials."""
    return error.code() in _UNAUTHENTICATED


def is_fatal(error: KafkaError) -> bool:
    """True if the client can do nothing more. What comes from ``consume`` says so by its code alone."""
    return error.fatal() or error.code() == KafkaError._FATAL


def _denied(
    error: KafkaError, settings: config.Kafka, where: str, topic: str, operation: str
) -> LoaderError:
    """A missing ACL, with the command that adds it."""
    kind = _DENIED[error.code()]
    name = {"topic": topic, "group": settings.group_id}.get(kind, "")
    if kind == "group":
        operation = "Read"
    user = settings.client.get("sasl.username", settings.client.get("sasl.user", ""))
    principal = f"User:{user}" if user else "the principal of this client"
    option = f"User:{user}" if user else "User:NAME"
    resource = f"--{kind} {name or 'NAME'}" if kind != "cluster" else "--cluster"
    if kind in {"cluster", "transactional-id"}:
        return Denied(
            f"{where}: {error.str()}.",
            hint=f"{principal} lacks a right on {kind}; see kafka-acls.",
        )
    return Denied(
        f"{where}: {principal} may not {operation} on {kind} {name or '(not named by Kafka)'}.",
        hint=f"kafka-acls --bootstrap-server {settings.bootstrap_servers} --add --allow-principal "
        f"{option} --operation {operation} {resource}",
    )
