"""Traffic through a real broker."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

import pytest

from loader.config import Kafka
from loader.errors import Unreachable, UsageError
from loader.local.environment import Environment
from loader.local.ports import choose
from loader.local.simulator import TOPICS, TrafficOptions, generate, publish
from loader.local.simulator.publish import _Sender
from tests.support.kafka import read_all

SMALL = TrafficOptions(1200, users=80, malformed=0.05, duplicates=0.1, late=0.1)


@pytest.fixture
def kafka(environment: Environment) -> Kafka:
    return Kafka(bootstrap_servers=environment.kafka.bootstrap_servers)


def partition_of(key: bytes, count: int) -> int:
    """Apache Kafka's default partitioner: murmur2 of the key (org.apache.kafka.common.utils.Utils)."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = 0x9747B28C ^ len(key)
    words, rest = divmod(len(key), 4)
    for place in range(words):
        k = int.from_bytes(key[4 * place : 4 * place + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    if rest:
        h = (h ^ int.from_bytes(key[4 * words :], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return ((h ^ h >> 15) & 0x7FFFFFFF) % count


def test_every_message_stands_in_order_under_its_key_with_its_arrival(
    kafka: Kafka, topic_names: dict[str, str]
) -> None:
    chunks = list(generate(SMALL))
    progress: list[int] = []
    sent = publish(chunks, kafka, topic_names, on_progress=progress.append)
    assert sent == {topic: sum(len(c.topics[topic]) for c in chunks) for topic in TOPICS}
    assert progress == sorted(progress)
    assert progress[-1] == sum(sent.values())
    for topic, partitions in (("events", 4), ("user_updates", 4), ("user_migrations", 1)):
        expected: defaultdict[int, list[Any]] = defaultdict(list)
        for chunk in chunks:
            messages = chunk.topics[topic]
            for key, value, arrival in zip(
                messages.keys, messages.values, messages.arrival_ms.tolist(), strict=True
            ):
                expected[partition_of(key, partitions)].append((key, value, (1, arrival)))
        found: defaultdict[int, list[Any]] = defaultdict(list)
        for message in read_all(
            kafka.bootstrap_servers, topic_names[topic], tuple(range(partitions))
        ):
            found[message.partition() or 0].append(
                (message.key(), message.value(), message.timestamp())
            )
        assert found == expected


def test_a_rate_holds_the_events_back(kafka: Kafka, topic_names: dict[str, str]) -> None:
    """A lower bound only: 1200 events at 1000/s cannot be through before the last 500 may go."""
    before = time.monotonic()
    publish(generate(SMALL), kafka, topic_names, rate=1000)
    assert time.monotonic() - before > 0.9


def test_a_missing_topic_is_named_before_anything_is_sent(
    kafka: Kafka, topic_names: dict[str, str]
) -> None:
    with pytest.raises(UsageError, match="no_such_topic"):
        publish(generate(SMALL), kafka, topic_names | {"user_migrations": "no_such_topic"})
    assert not read_all(kafka.bootstrap_servers, topic_names["events"], range(4))


@pytest.fixture
def nobody() -> Kafka:
    """A port where no broker listens."""
    port = choose(["nobody"], remembered={})["nobody"]
    return Kafka(bootstrap_servers=f"127.0.0.1:{port}")


def test_no_broker_at_all_is_unreachable(nobody: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loader.logs.ATTEMPTS", 1)
    monkeypatch.setattr("loader.kafka.clients.TIMEOUT", 0.5)
    names = {topic: topic for topic in TOPICS}
    with pytest.raises(Unreachable, match=nobody.bootstrap_servers):
        publish(generate(SMALL), nobody, names)


def test_a_broker_that_goes_away_is_unreachable(nobody: Kafka) -> None:
    (chunk, *_) = generate(SMALL)
    sender = _Sender(nobody, timeout=2)
    sender.send("events", chunk.events, None)
    with pytest.raises(Unreachable, match=nobody.bootstrap_servers):
        sender.settle()
    sender.drop()


def test_a_rate_of_nothing_is_refused(kafka: Kafka, topic_names: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="rate"):
        publish(generate(SMALL), kafka, topic_names, rate=0)
