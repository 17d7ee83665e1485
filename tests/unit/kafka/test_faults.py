"""Kafka's errors as ours: which end a consumer, and what a person is told to do."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from loader import config
from loader.errors import LoaderError, NeedsOperator, Terminal, Transient, Unreachable, UsageError
from loader.kafka.faults import consumer_fault, explain

KAFKA = config.Kafka(bootstrap_servers="b1:9092", group_id="loaders")
AS_USER = config.Kafka(
    bootstrap_servers="b1:9092", group_id="loaders", client={"sasl.username": "heap"}
)
#: What the client says where a static member met another one of its id: no code, not even "fatal".
FENCED = "Fatal error: Broker: Static consumer fenced by other consumer with same group.instance.id"
UNRELEASED = (
    "Fatal error: Broker: The instance ID is still used by another member in the consumer group"
)


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError._TIMED_OUT,
        KafkaError._ALL_BROKERS_DOWN,
    ],
)
def test_a_cluster_that_finds_its_feet_is_asked_again(code: int) -> None:
    fault = explain(KafkaError(code), KAFKA, "committed offsets")
    assert isinstance(fault, Transient)
    assert "b1:9092, committed offsets" in fault.message
    assert consumer_fault(KafkaError(code), KAFKA, "heap.events", 2) is None


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        (KafkaError.GROUP_AUTHORIZATION_FAILED, 4),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, 4),
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED, 4),
        (KafkaError.SASL_AUTHENTICATION_FAILED, 4),
        (KafkaError.UNSUPPORTED_VERSION, 1),
        (KafkaError._FATAL, 1),
    ],
)
def test_no_retry_helps_against_a_refusal(code: int, exit_code: int) -> None:
    fault = explain(KafkaError(code), KAFKA, "consume")
    assert isinstance(fault, Terminal)
    assert fault.exit_code == exit_code
    assert type(consumer_fault(KafkaError(code), KAFKA, "heap.events", 2)) in {
        type(fault),
        Terminal,
    }


def ended(code: int, kafka: config.Kafka = KAFKA, text: str = "") -> LoaderError:
    fault = consumer_fault(KafkaError(code, text or None), kafka, "heap.events", 2)
    assert fault is not None
    assert fault.hint
    return fault


def test_a_missing_right_names_the_acl_that_is_needed() -> None:
    topic = ended(KafkaError.TOPIC_AUTHORIZATION_FAILED, AS_USER)
    assert "User:heap may not Read on topic heap.events" in topic.message
    assert topic.hint == (
        "kafka-acls --bootstrap-server b1:9092 --add --allow-principal User:heap --operation Read "
        "--topic heap.events"
    )
    group = ended(KafkaError.GROUP_AUTHORIZATION_FAILED)
    assert "the principal of this client may not Read on group loaders" in group.message
    assert group.hint.endswith("--allow-principal User:NAME --operation Read --group loaders")
    letters = explain(
        KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED),
        KAFKA,
        "writing",
        topic="heap.dead_letters",
        operation="Write",
    )
    assert letters.hint.endswith("--operation Write --topic heap.dead_letters")


def test_a_static_member_that_met_another_of_its_id_is_told_so() -> None:
    """Classic groups take the newcomer, for good; KIP-848 keeps the one that is there, for now."""
    member = config.Kafka(group_id="loaders", client={"group.instance.id": "pod-1"})
    old = ended(KafkaError._FATAL, member, FENCED)
    assert isinstance(old, UsageError)
    assert "another consumer joined group loaders as pod-1 and took this one's place" in old.message
    new = ended(KafkaError._FATAL, member, UNRELEASED)
    assert isinstance(new, Unreachable)
    assert "group loaders still has a member pod-1" in new.message


def test_an_offset_that_kafka_does_not_have_needs_an_operator() -> None:
    fault = ended(KafkaError._AUTO_OFFSET_RESET)
    assert isinstance(fault, NeedsOperator)
    assert "heap.events[2]" in fault.message


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (KafkaError.INCONSISTENT_GROUP_PROTOCOL, "one protocol"),
        (KafkaError.UNSUPPORTED_VERSION, "brokers from 4.0 on"),
        (KafkaError.GROUP_MAX_SIZE_REACHED, "group.max.size"),
        (KafkaError.INVALID_SESSION_TIMEOUT, "group.min.session.timeout.ms"),
    ],
)
def test_one_that_the_group_will_never_take_is_told_why(code: int, said: str) -> None:
    assert said in ended(code).hint


@pytest.mark.parametrize(
    "code",
    [
        KafkaError._MAX_POLL_EXCEEDED,
        KafkaError._TRANSPORT,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
    ],
)
def test_what_the_client_mends_by_itself_ends_nothing(code: int) -> None:
    assert consumer_fault(KafkaError(code), KAFKA, "heap.events", 2) is None
