"""Both ways to poll a real broker give the same, message by message."""

from __future__ import annotations

import random
import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from loader.codec.spans import Messages
from loader.config import Settings
from loader.consumer.polling import (
    DirectPolling,
    ObjectPolling,
    Polling,
    Told,
    open_polling,
)
from loader.consumer.progress import Place
from loader.consumer.runs import Collected, Run
from loader.kafka import native
from loader.kafka.clients import consumer_settings
from loader.kafka.native import open_queue
from loader.local.environment import Environment

Row = tuple[int, int, bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]
Opened = tuple[Consumer, Polling]
Open = Callable[[type[Polling]], Opened]
WAYS = [ObjectPolling, DirectPolling]
#: Messages of a long partition.
LONG = 2500


@pytest.fixture(scope="module")
def topics(environment: Environment) -> list[str]:
    """Two topics of three partitions, with all that a message can be."""
    servers = environment.kafka.bootstrap_servers
    names = [f"polling-{uuid.uuid4().hex}" for _ in range(2)]
    admin = AdminClient({"bootstrap.servers": servers})
    for future in admin.create_topics([NewTopic(name, 3, 1) for name in names]).values():
        future.result()
    rng = random.Random(7)
    contents: list[Any] = [None, b"", b"x", bytes(range(256)), "ü".encode(), rng.randbytes(5000)]
    plain = Producer({"bootstrap.servers": servers, "compression.type": "lz4"})
    for n in range(3000):
        headers: list[Any] = [("a", b"1"), ("é", b""), ("a", None)][: max(rng.randint(-8, 3), 0)]
        place = rng.choice(names), rng.choice(contents), rng.choice(contents), rng.randint(0, 2)
        time = rng.choice([0, 1_700_000_000_000 + n])
        plain.produce(*place, timestamp=time, headers=headers or None)
        plain.poll(0)
    assert plain.flush(30) == 0
    within = Producer({"bootstrap.servers": servers, "transactional.id": names[0], "linger.ms": 0})
    within.init_transactions(30)
    for end in (within.abort_transaction, within.commit_transaction, within.abort_transaction):
        within.begin_transaction()
        for partition in range(3):
            within.produce(names[0], b"of a transaction", b"k", partition)
        assert within.flush(30) == 0
        end(30)
    return names


@pytest.fixture
def opened(settings: Settings) -> Iterator[Open]:
    """Opens a consumer with a way to poll it; all are closed after the test."""
    held: list[Opened] = []

    def opening(way: type[Polling]) -> Opened:
        properties = {**consumer_settings(settings.kafka), "group.id": uuid.uuid4().hex}
        consumer = Consumer(properties)
        polling: Polling = ObjectPolling(consumer)
        if way is DirectPolling:
            queue = open_queue(consumer, 1000)
            assert queue is not None, "the client that is locked is not a known one"
            polling = DirectPolling(consumer, queue)
        held.append((consumer, polling))
        return held[-1]

    yield opening
    for consumer, polling in held:
        polling.close()
        closing = threading.Thread(target=consumer.close, daemon=True)
        closing.start()
        closing.join(30)
        assert not closing.is_alive(), "the client waits for messages that nobody gives back"


def assign(opened: Opened, places: list[Place], offset: int = 0) -> None:
    consumer, polling = opened
    polling.assigned(places)
    consumer.assign([TopicPartition(*place, offset) for place in places])


def poll(
    opened: Opened, timeout: float = 0.1
) -> tuple[list[tuple[Place, Run[Messages]]], list[Told]]:
    """What one poll gives, copied."""
    polled = opened[1].poll(timeout)
    runs = []
    for place, run in polled.runs:
        held = Collected()
        held.add(run)
        runs.append((place, held.take()))
    polled.release()
    return runs, polled.told


def read(opened: Opened, count: int) -> tuple[dict[Place, list[Row]], dict[Place, int]]:
    """Rows by partition, until ``count`` partitions have ended, and where they ended."""
    rows: dict[Place, list[Row]] = defaultdict(list)
    ends: dict[Place, int] = {}
    while len(ends) < count:
        runs, all_told = poll(opened)
        for place, run in runs:
            rows[place] += [
                (
                    int(run.offsets[n]),
                    int(run.arrival_ms[n]),
                    run.keys.value(n),
                    run.values.value(n),
                    tuple(run.headers.get(n, ())),
                )
                for n in range(len(run))
            ]
        for told in all_told:
            assert told.error.code() == KafkaError._PARTITION_EOF, told.error
            ends.setdefault(told.place, told.offset)
            offsets = [row[0] for row in rows[told.place]]
            assert offsets == sorted(set(offsets))
            # What is before the end is here: the lake will cover it. Control records hold no message.
            assert not offsets or told.offset - 6 <= offsets[-1] + 1 <= told.offset
    return rows, ends


def places_of(topics: list[str]) -> list[Place]:
    return [(topic, partition) for topic in topics for partition in range(3)]


def test_every_message_is_the_same(topics: list[str], opened: Open) -> None:
    places = places_of(topics)
    by_objects, direct = opened(ObjectPolling), opened(DirectPolling)
    found = []
    for each in (by_objects, direct):
        assign(each, places)
        found.append(read(each, len(places)))
    assert found[0] == found[1]
    rows = [row for of_place in found[0][0].values() for row in of_place]
    assert len(rows) == 3003  # what was aborted is not there
    assert {(key, value) for _, _, key, value, _ in rows} >= {(None, b""), (b"", None)}
    assert any(len(headers) == 3 for *_, headers in rows)
    positions = [
        [tp.offset for tp in consumer.position([TopicPartition(*place) for place in places])]
        for consumer, _ in (by_objects, direct)
    ]
    assert positions[0] == positions[1]


@pytest.mark.parametrize("way", WAYS)
def test_an_offset_that_is_not_there(topics: list[str], opened: Open, way: type[Polling]) -> None:
    place = (topics[0], 1)
    each = opened(way)
    assign(each, [place], 10_000_000)
    told = None
    while told is None:
        told = next(iter(poll(each)[1]), None)
    assert (told.place, told.error.code()) == (place, KafkaError._AUTO_OFFSET_RESET)
    assert "out of range" in told.error.str()


@pytest.mark.parametrize("way", WAYS)
def test_after_a_seek_nothing_of_before_it_comes(
    topics: list[str], opened: Open, way: type[Polling]
) -> None:
    place = (topics[1], 2)
    each = opened(way)
    assign(each, [place])
    while not (first := poll(each)[0]):
        pass
    consumer, _ = each
    consumer.pause([TopicPartition(*place)])
    assert not poll(each, 0.0)[0]
    consumer.seek(TopicPartition(*place, 0))
    consumer.resume([TopicPartition(*place)])
    rows, _ = read(each, 1)
    assert rows[place][0][0] == int(first[0][1].offsets[0])
    assert [offset for offset, *_ in rows[place]] == sorted({row[0] for row in rows[place]})


@pytest.mark.parametrize("way", WAYS)
def test_a_partition_that_goes_takes_what_was_fetched_of_it_along(
    topics: list[str], opened: Open, way: type[Polling]
) -> None:
    places = places_of(topics)
    each = opened(way)
    assign(each, places)
    while not poll(each)[0]:
        pass
    assign(each, places[:1], 0)
    rows, ends = read(each, 1)
    assert set(rows) == set(ends) == {places[0]}
    assert rows[places[0]][0][0] == min(row[0] for row in rows[places[0]])


def test_what_fails_while_it_is_sorted_is_given_back(
    topics: list[str], opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_queue: native.MessageQueue, _message: int) -> NoReturn:
        raise RuntimeError("no headers")

    monkeypatch.setattr(native.MessageQueue, "headers", fail)
    each = opened(DirectPolling)
    assign(each, places_of(topics))
    with pytest.raises(RuntimeError, match="no headers"):
        read(each, 6)
    # Closing, which comes now, would wait for them.


def test_the_direct_way_is_taken_unless_it_is_switched_off(opened: Open) -> None:
    consumer, _ = opened(ObjectPolling)
    assert isinstance(open_polling(consumer, direct=False), ObjectPolling)
    way = open_polling(consumer, direct=True)
    way.close()
    assert isinstance(way, DirectPolling)


def test_a_client_that_is_not_known_is_polled_by_its_objects(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "KNOWN_CLIENTS", frozenset())
    consumer, _ = opened(ObjectPolling)
    assert isinstance(open_polling(consumer, direct=True), ObjectPolling)


@pytest.fixture(scope="module")
def long_topic(environment: Environment) -> str:
    """Four partitions with more messages each than a poll gives."""
    servers, name = environment.kafka.bootstrap_servers, f"polling-{uuid.uuid4().hex}"
    admin = AdminClient({"bootstrap.servers": servers})
    for future in admin.create_topics([NewTopic(name, 4, 1)]).values():
        future.result()
    producer = Producer({"bootstrap.servers": servers})
    for n in range(4 * LONG):
        producer.produce(name, b"x", partition=n % 4)
        producer.poll(0)
    assert producer.flush(30) == 0
    return name


@pytest.mark.parametrize("way", WAYS)
def test_the_end_of_a_partition_never_overtakes_its_messages(
    long_topic: str, opened: Open, way: type[Polling]
) -> None:
    places = [(long_topic, partition) for partition in range(4)]
    for _ in range(5):
        each = opened(way)
        assign(each, places)
        rows, ends = read(each, 4)
        assert ends == dict.fromkeys(places, LONG)
        assert [len(rows[place]) for place in places] == [LONG] * 4


def test_what_went_the_other_way_before_comes_first(long_topic: str, opened: Open) -> None:
    """The way is made too late: the messages are in the consumer's own queue, the end will not be."""
    places = [(long_topic, partition) for partition in range(4)]
    consumer, polling = opened(DirectPolling)
    consumer.assign([TopicPartition(*place, 0) for place in places])
    pause = threading.Event()
    while not all(
        consumer.get_watermark_offsets(TopicPartition(*place), cached=True)[1] == LONG
        for place in places
    ):
        pause.wait(0.01)
    polling.assigned(places)
    rows, ends = read((consumer, polling), 4)
    assert ends == dict.fromkeys(places, LONG)
    assert [len(rows[place]) for place in places] == [LONG] * 4
