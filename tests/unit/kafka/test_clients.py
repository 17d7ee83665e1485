"""Which properties a client gets: the protocol's are ours, a member's are for members only."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from loader import config
from loader.errors import Unreachable, UsageError
from loader.kafka import clients
from loader.kafka.clients import (
    as_static_member,
    check_properties,
    common,
    consumer_settings,
    new_consumer,
    new_producer,
    producer_settings,
    rebalances_incrementally,
)

STATIC: dict[str, Any] = {"group.instance.id": "pod-1", "session.timeout.ms": 30_000}


def with_client(client: dict[str, Any]) -> config.Kafka:
    return config.Kafka(client=client)


@pytest.mark.parametrize("name", ["group.id", "isolation.level", "enable.auto.commit"])
def test_what_carries_the_protocol_cannot_be_set(name: str) -> None:
    with pytest.raises(UsageError, match=rf"kafka\.client\.{name} cannot be set"):
        consumer_settings(with_client({name: "x"}))


@pytest.mark.parametrize(
    ("client", "strategy", "incremental"),
    [
        ({}, "range", False),
        ({"partition.assignment.strategy": "cooperative-sticky"}, "cooperative-sticky", True),
        ({"group.protocol": "classic"}, "range", False),
        ({"group.protocol": "consumer"}, None, True),
    ],
)
def test_each_rebalance_protocol_makes_a_consumer(
    client: dict[str, Any], strategy: str | None, incremental: bool
) -> None:
    settings = with_client(client)
    properties = consumer_settings(settings)
    assert properties.get("partition.assignment.strategy") == strategy
    assert rebalances_incrementally(properties) is incremental
    new_consumer(settings).close()


def test_what_a_protocol_does_not_take_is_a_usage_error_that_names_it() -> None:
    both = with_client({"group.protocol": "consumer", "session.timeout.ms": 6000})
    with pytest.raises(UsageError, match=r"session\.timeout\.ms.*not supported"):
        new_consumer(both)


@pytest.mark.parametrize(
    "client",
    [
        {"group.protocol": "consumer", "heartbeat.interval.ms": 1000},
        {"fetch.wait.max.ms": "soon"},
        {"no.such.property": 1},
        {"group.id": "another"},
    ],
)
def test_the_client_says_without_a_broker_what_it_will_not_take(client: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"kafka\.client"):
        check_properties(with_client(client))
    check_properties(with_client({}))


def test_only_members_carry_what_makes_a_member() -> None:
    settings = with_client({**STATIC, "client.id": "loader"})
    assert consumer_settings(settings).items() >= STATIC.items()
    for others in (common(settings), producer_settings(settings)):
        assert not STATIC.keys() & others.keys()
        assert others["client.id"] == "loader"
    new_producer(settings)


def test_new_partitions_are_found_within_a_minute_unless_somebody_says_otherwise() -> None:
    name = "topic.metadata.refresh.interval.ms"
    assert consumer_settings(with_client({}))[name] < 60_000
    assert consumer_settings(with_client({name: 1000}))[name] == 1000


def test_a_member_learns_soon_that_its_group_changes_where_the_client_decides_that() -> None:
    name = "heartbeat.interval.ms"
    assert consumer_settings(with_client({}))[name] <= 500
    assert consumer_settings(with_client({name: 2000}))[name] == 2000
    assert name not in consumer_settings(with_client({"group.protocol": "consumer"}))


def test_each_worker_joins_under_an_id_of_its_own() -> None:
    settings = config.Kafka(client={"fetch.min.bytes": 5})
    made = consumer_settings(as_static_member(settings, "host-a-1"))
    assert (made["group.instance.id"], made["fetch.min.bytes"]) == ("host-a-1", 5)
    assert "group.instance.id" not in producer_settings(as_static_member(settings, "host-a-1"))
    given = config.Kafka(client={"group.instance.id": "mine"})
    with pytest.raises(UsageError, match=r"consumer\.static_id are both set"):
        as_static_member(given, "host-a-1")


class NoController:
    """An AdminClient whose broker knew no controller; it learns of one when it asks anew who is there."""

    def __init__(self, _: dict[str, Any]) -> None:
        self._known = False

    def describe_topics(self, _: object, **__: Any) -> dict[str, Future[Any]]:
        answer: Future[Any] = Future()
        if self._known:
            answer.set_result(SimpleNamespace(topic_id="id", partitions=[0, 1]))
        else:
            answer.set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
        return {"t": answer}

    def list_topics(self, **_: Any) -> None:
        self._known = True


def test_a_client_that_knows_no_controller_looks_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "AdminClient", NoController)
    cluster = clients.Cluster(config.Kafka())
    with pytest.raises(Unreachable):
        cluster.ask_topics(["t"])
    assert cluster.ask_topics(["t"]) == {"t": clients.TopicNow("id", 2)}
