"""Which of Kafka's errors pass by themselves, and which need a person."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from loader import config
from loader.errors import Terminal, Transient, UsageError
from loader.kafka.clients import as_static_member, consumer_settings, explain, producer_settings


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
    fault = explain(KafkaError(code), config.Kafka(), "committed offsets")
    assert isinstance(fault, Transient)
    assert "127.0.0.1:9092, committed offsets" in fault.message


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        (KafkaError.GROUP_AUTHORIZATION_FAILED, 4),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, 4),
        (KafkaError.UNSUPPORTED_VERSION, 1),
    ],
)
def test_no_retry_helps_against_a_refusal(code: int, exit_code: int) -> None:
    fault = explain(KafkaError(code), config.Kafka(), "consume")
    assert isinstance(fault, Terminal)
    assert fault.exit_code == exit_code


def fatal(code: int) -> KafkaError:
    """As the client tells of its own end: the cause is in the text alone."""
    return KafkaError(
        KafkaError._FATAL, f"Fatal error: {KafkaError(code).str()}: Fatal consumer error"
    )


@pytest.mark.parametrize("error", [fatal(KafkaError.FENCED_INSTANCE_ID), KafkaError(82)])
def test_a_static_id_that_two_consumers_use_is_a_mistake_of_the_configuration(
    error: KafkaError,
) -> None:
    settings = as_static_member(config.Kafka(), "host-a-0")
    fault = explain(error, settings, "consume")
    assert fault.exit_code == 2
    assert "another consumer joined group heap-loader as host-a-0" in fault.message
    assert "consumer.static_id" in fault.hint


def test_a_static_id_that_a_killed_member_still_has_is_free_after_a_while() -> None:
    settings = as_static_member(config.Kafka(), "host-a-0")
    fault = explain(fatal(KafkaError.UNRELEASED_INSTANCE_ID), settings, "consume")
    assert isinstance(fault, Transient)
    assert "still has a member host-a-0" in fault.message


def test_each_worker_joins_under_an_id_of_its_own() -> None:
    settings = config.Kafka(client={"fetch.min.bytes": 5})
    made = consumer_settings(as_static_member(settings, "host-a-1"))
    assert (made["group.instance.id"], made["fetch.min.bytes"]) == ("host-a-1", 5)
    assert "group.instance.id" not in producer_settings(as_static_member(settings, "host-a-1"))
    given = config.Kafka(client={"group.instance.id": "mine"})
    with pytest.raises(UsageError, match=r"consumer\.static_id are both set"):
        as_static_member(given, "host-a-1")
