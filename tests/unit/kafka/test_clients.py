"""Which of Kafka's errors pass by themselves, and which need a person."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from loader import config
from loader.errors import Terminal, Transient
from loader.kafka.clients import explain


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
