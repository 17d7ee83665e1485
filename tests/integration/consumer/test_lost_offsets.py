"""What could lose data is found, named, and stops the consumer: never a silent skip, never a reset."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from loader.config import Settings
from loader.consumer import app
from loader.errors import NeedsOperator
from loader.lake import layout
from loader.lake.commit_log import CommitRecord, commit_log
from loader.lake.s3 import S3Store
from loader.local.kafka_broker import TopicSpec, create_topics
from tests.support.kafka import event, produce
from tests.support.lake import assert_each_offset_once, await_chains, rows
from tests.support.running_consumer import consumers

PROTOCOLS: list[dict[str, Any]] = [{}, {"group.protocol": "consumer"}]


@pytest.fixture
def admin(settings: Settings) -> AdminClient:
    return AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})


@pytest.fixture
def topic(settings: Settings) -> str:
    return settings.topics.events.name


def send(settings: Settings, numbers: range, partition: int = 0) -> None:
    topic = settings.topics.events.name
    produce(
        settings.kafka.bootstrap_servers, topic, [event(n) for n in numbers], partition=partition
    )


def consume(settings: Settings) -> None:
    app.run(settings, until_caught_up=True, stop=threading.Event())


def trim(admin: AdminClient, topic: str, offset: int) -> None:
    """What retention does."""
    for future in admin.delete_records([TopicPartition(topic, 0, offset)]).values():
        future.result()


def make_again(settings: Settings, admin: AdminClient, topic: str) -> None:
    """Delete the topic and make it again, with four partitions."""
    admin.delete_topics([topic])[topic].result()
    await_partitions(admin, topic, 0)
    create_topics(settings.kafka.bootstrap_servers, [TopicSpec(topic, 4)])
    await_partitions(admin, topic, 4)


def await_partitions(admin: AdminClient, topic: str, count: int) -> None:
    """Wait until the broker tells everybody of so many partitions; 0: that there is no such topic."""
    pause = threading.Event()
    for _ in range(300):
        topics = admin.list_topics(timeout=10).topics
        if count == (len(topics[topic].partitions) if topic in topics else 0):
            return
        pause.wait(0.1)
    raise AssertionError(f"{topic} did not get {count} partitions")


def stopped(settings: Settings, match: str) -> str:
    with pytest.raises(NeedsOperator, match=match) as error:
        consume(settings)
    assert error.value.hint
    return error.value.message


def tail(settings: Settings, partition: int = 0) -> CommitRecord | None:
    store = S3Store.open(settings.lake)
    return commit_log(store).tail(settings.topics.events.name, partition)


# While the consumer was away


def test_offsets_that_retention_took(settings: Settings, admin: AdminClient, topic: str) -> None:
    send(settings, range(10))
    consume(settings)
    send(settings, range(10, 30))
    trim(admin, topic, 25)
    said = stopped(settings, r"offsets 10 to 24 are gone from Kafka and were never read")
    assert f"{topic}[0]" in said


def test_a_topic_made_again(settings: Settings, admin: AdminClient, topic: str) -> None:
    """The new one is longer: its offsets would fit."""
    send(settings, range(10))
    consume(settings)
    make_again(settings, admin, topic)
    send(settings, range(100, 150))
    stopped(settings, rf"{topic}\[0\]: the topic was deleted and made again")


def test_a_log_that_ends_before_the_lake_does(settings: Settings) -> None:
    send(settings, range(10))
    consume(settings)
    last = tail(settings)
    assert last is not None
    log = commit_log(S3Store.open(settings.lake))
    log.append(replace(last, first=last.next, next=40, batch="of a log that was longer once"))
    stopped(settings, r"read up to offset 40, Kafka ends at 10: the log was truncated")


def test_a_chain_whose_last_record_was_deleted(settings: Settings, topic: str) -> None:
    store = S3Store.open(settings.lake)
    send(settings, range(10))
    consume(settings)
    send(settings, range(10, 30))
    consume(settings)
    store.delete([layout.log_record(layout.LOG, topic, 0, 10)])
    stopped(settings, r"committed offset 30, the lake ends at 10: offsets 10 to 29 have no record")
    # A group that knows nothing of it: the range is read again, and is there once.
    other = settings.kafka.model_copy(update={"group_id": f"{settings.kafka.group_id}-new"})
    consume(settings.model_copy(update={"kafka": other}))
    assert_each_offset_once(store, topic, {0: 30})
    assert sorted(rows(store, topic).column("event_id").to_pylist()) == list(range(30))


# While it runs


class Running:
    """A consumer in a thread, and how it ended."""

    def __init__(self, settings: Settings) -> None:
        self.error: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(settings,))
        self._thread.start()

    def _run(self, settings: Settings) -> None:
        try:
            app.run(settings, stop=self._stop)
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            self.error = error

    def end(self) -> None:
        self._stop.set()
        self._thread.join()

    def wait(self) -> BaseException | None:
        """How it ends by itself."""
        self._thread.join(90)
        assert not self._thread.is_alive()
        return self.error


@contextmanager
def running(settings: Settings, **client: Any) -> Iterator[Running]:
    consumer = Running(quick(settings, client))
    try:
        yield consumer
    finally:
        consumer.end()


def quick(settings: Settings, client: dict[str, Any]) -> Settings:
    """Small batches, and news of partitions within a second."""
    if client.get("group.protocol") != "consumer":
        client = {**settings.kafka.client, **client}
    client = {"topic.metadata.refresh.interval.ms": 1000, **client}
    return settings.model_copy(
        update={
            "kafka": settings.kafka.model_copy(update={"client": client}),
            "batch": settings.batch.model_copy(update={"max_age": 0.2}),
        }
    )


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=["classic", "kip848"])
def test_a_topic_made_again_under_a_running_consumer(
    settings: Settings, admin: AdminClient, topic: str, protocol: dict[str, Any]
) -> None:
    """The client itself goes on with the new topic's messages as if they followed the old one's."""
    store = S3Store.open(settings.lake)
    send(settings, range(50))
    with running(settings, **protocol) as consumer:
        await_chains(store, topic, {0: 50})
        make_again(settings, admin, topic)
        send(settings, range(1000, 1080))
        error = consumer.wait()
    assert isinstance(error, NeedsOperator), error
    assert f"{topic}: the topic was deleted and made again" in error.message
    last = tail(settings)
    assert last is not None
    assert last.next == 50
    stopped(settings, r"the topic was deleted and made again")


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=["classic", "kip848"])
def test_partitions_that_are_added_are_read(
    settings: Settings, admin: AdminClient, topic: str, protocol: dict[str, Any]
) -> None:
    store = S3Store.open(settings.lake)
    send(settings, range(20))
    with running(settings, **protocol) as consumer:
        await_chains(store, topic, {0: 20})
        admin.create_partitions([NewPartitions(topic, 6)])[topic].result()
        await_partitions(admin, topic, 6)
        send(settings, range(20, 40), partition=5)
        await_chains(store, topic, {0: 20, 5: 20})
    assert consumer.error is None
    assert rows(store, topic).num_rows == 40


def test_retention_that_overtakes_a_running_consumer(
    settings: Settings, admin: AdminClient, topic: str, config_file: Path
) -> None:
    """It is frozen, so that its next fetch comes too late."""
    send(settings, range(20))
    with consumers(config_file) as start:
        consumer = start()
        consumer.await_lines("assigned", topic=topic, partition=0)
        consumer.freeze()
        # A fetch that waits at the broker takes what comes first; what comes then is for the next.
        send(settings, range(20, 21))
        send(settings, range(21, 200))
        trim(admin, topic, 190)
        consumer.thaw()
        assert consumer.wait() == 5
    told = "\n".join(consumer.text)
    assert f"{topic}[0]: offsets " in told
    assert "to 189 are gone from Kafka and were never read into the lake" in told
