"""Read committed: what a producer took back never enters the lake, what is open is waited for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from loader.config import Settings
from loader.consumer import app
from loader.consumer.progress import Progress
from loader.lake.commit_log import commit_log
from loader.lake.s3 import S3Store
from tests.support.kafka import event
from tests.support.lake import records, rows


def consume(settings: Settings) -> Progress:
    return app.run(settings, until_caught_up=True, stop=threading.Event())


class Transactions:
    """A transactional producer on partition 0 of the events topic."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._topic = settings.topics.events.name
        self._producer = Producer(
            {
                "bootstrap.servers": settings.kafka.bootstrap_servers,
                "transactional.id": f"{name}-{self._topic}",
                "linger.ms": 0,
            }
        )
        self._producer.init_transactions(30)

    @contextmanager
    def open(self, numbers: range) -> Iterator[Producer]:
        """A transaction with these events, not ended; Kafka has them all."""
        self._producer.begin_transaction()
        for n in numbers:
            self._producer.produce(self._topic, orjson.dumps(event(n)), "1", partition=0)
        assert self._producer.flush(30) == 0
        yield self._producer

    def commit(self, numbers: range) -> None:
        with self.open(numbers) as producer:
            producer.commit_transaction(30)

    def abort(self, numbers: range) -> None:
        with self.open(numbers) as producer:
            producer.abort_transaction(30)


def loaded(settings: Settings) -> list[int]:
    table = rows(S3Store.open(settings.lake), settings.topics.events.name)
    return sorted(table.column("event_id").to_pylist()) if table.num_rows else []


def chain_end(settings: Settings) -> int:
    tail = commit_log(S3Store.open(settings.lake)).tail(settings.topics.events.name, 0)
    return 0 if tail is None else tail.next


@pytest.fixture
def transactions(settings: Settings) -> Transactions:
    return Transactions(settings, "one")


def test_aborted_messages_and_control_records_never_enter_the_lake(
    settings: Settings, transactions: Transactions
) -> None:
    transactions.commit(range(5))
    transactions.abort(range(100, 107))
    transactions.commit(range(5, 8))
    transactions.abort(range(200, 203))
    progress = consume(settings)
    assert (progress.read, progress.written) == (8, 8)
    assert loaded(settings) == list(range(8))
    # 18 messages and four control records; the chain covers them though the last hold no message.
    assert chain_end(settings) == 22
    assert (
        sum(r.read for r in records(S3Store.open(settings.lake), settings.topics.events.name)) == 8
    )
    assert consume(settings).read == 0
    transactions.commit(range(8, 10))
    assert consume(settings).read == 2
    assert loaded(settings) == list(range(10))


def test_a_topic_of_aborted_messages_only_is_caught_up_with(
    settings: Settings, transactions: Transactions
) -> None:
    transactions.abort(range(30))
    assert consume(settings).read == 0
    assert loaded(settings) == []


def test_offsets_that_hold_no_message_are_not_missed_when_retention_takes_them(
    settings: Settings, transactions: Transactions
) -> None:
    transactions.commit(range(5))
    assert consume(settings).read == 5
    transactions.abort(range(100, 110))
    assert consume(settings).read == 0
    assert chain_end(settings) == 17
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    everything = TopicPartition(settings.topics.events.name, 0, 17)
    for future in admin.delete_records([everything]).values():
        future.result()
    transactions.commit(range(5, 7))
    assert consume(settings).read == 2
    assert loaded(settings) == list(range(7))


def test_an_open_transaction_is_waited_for_and_nothing_overtakes_it(
    settings: Settings, transactions: Transactions
) -> None:
    transactions.commit(range(3))
    other = Transactions(settings, "two")
    with transactions.open(range(3, 6)) as producer:
        other.commit(range(50, 55))
        # Kafka holds back what comes after the open one, committed or not.
        assert consume(settings).read == 3
        assert chain_end(settings) == 4
        producer.commit_transaction(30)
    assert consume(settings).read == 8
    assert loaded(settings) == [*range(6), *range(50, 55)]
