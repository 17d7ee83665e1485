"""Refused messages sent again: nothing is lost, nothing comes twice, whatever breaks in between."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Message, Producer

from loader.compactor.sync import run_sync
from loader.config import Settings
from loader.consumer.progress import Progress
from loader.deadletters.letters import Chunk, Filters, Origin
from loader.deadletters.reading import listing, redriven
from loader.deadletters.redriving import Decision, redrive
from loader.deadletters.sending import Delivery, KafkaSender
from loader.errors import Unreachable
from loader.kafka.dead_letters import DeadLetter, KafkaDeadLetters
from loader.lake import layout
from loader.lake.s3 import S3Store
from loader.reconciler.app import run as reconcile
from loader.reconciler.definition_files import list_definitions
from loader.warehouse.connection import connect
from loader.warehouse.sql import Rendered
from tests.support.cli import heap_loader
from tests.support.kafka import event, produce, read_all
from tests.support.lake import rows

Consume = Callable[[Settings], Progress]
EVENTS = 250
ALL = Filters()
PARTITIONS = range(4)


class Crash(BaseException):
    """The process is gone."""


class DyingStore:
    """The lake, until the ``nth`` marker: gone before or after it is put."""

    def __init__(self, store: S3Store, nth: int, when: str) -> None:
        self._store = store
        self._left = nth
        self._when = when

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put_if_absent(self, key: str, body: bytes) -> bool:
        if key.startswith(layout.REDRIVE):
            self._left -= 1
            if self._left < 0 or (self._left == 0 and self._when == "before"):
                raise Crash
            self._store.put_if_absent(key, body)
            if self._left == 0:
                raise Crash
        return self._store.put_if_absent(key, body)


class HalfSender:
    """Kafka that acknowledges every second message of the first chunk and then is away."""

    def __init__(self, settings: Settings) -> None:
        self._sender = KafkaSender(settings.kafka)

    def send(self, chunk: Chunk) -> Delivery:
        sent = iter(self._sender.send(chunk[::2]).places)
        places = [next(sent) if n % 2 == 0 else None for n in range(len(chunk))]
        return Delivery(places, Unreachable("away"))


def on_topic(settings: Settings, name: str) -> list[Message]:
    return read_all(settings.kafka.bootstrap_servers, name, PARTITIONS)


def again(settings: Settings) -> list[Message]:
    """The events that were sent again."""
    return [
        message
        for message in on_topic(settings, settings.topics.events.name)
        if "redrive-topic" in dict(message.headers() or [])
    ]


@pytest.fixture
def refused(misconfigured: Settings, consume: Consume) -> list[Message]:
    """Good JSON events that a consumer configured for Avro refused, every one; as they stand."""
    topic = misconfigured.topics.events.name
    produce(misconfigured.kafka.bootstrap_servers, topic, [event(n) for n in range(EVENTS)])
    progress = consume(misconfigured)
    assert (progress.written, progress.dead_lettered) == (0, EVENTS)
    return on_topic(misconfigured, topic)


def test_after_the_mend_every_event_is_in_the_lake_once(
    refused: list[Message],
    misconfigured: Settings,
    settings: Settings,
    store: S3Store,
    consume: Consume,
) -> None:
    useless = redrive(misconfigured, ALL)
    assert useless.sent == []
    assert useless.decisions[Decision.REFUSED] == EVENTS

    report = redrive(settings, ALL)
    assert len(report.sent) == report.selected == EVENTS
    first, *_ = again(settings)
    assert first.topic() == settings.topics.events.name
    consume(settings)
    table = rows(store, settings.topics.events.name)
    assert sorted(table.column("event_id").to_pylist()) == list(range(EVENTS))
    # Kafka's time, and with it the arrival, is the original one.
    arrivals = {m.value(): m.timestamp()[1] for m in refused}
    assert all(arrivals[m.value()] == m.timestamp()[1] for m in again(settings))

    second = redrive(settings, ALL)
    assert second.sent == []
    assert second.decisions == {Decision.REDRIVEN: EVENTS}
    assert consume(settings).read == 0
    assert all(one.redriven for one in listing(settings, ALL).found)


def test_key_value_headers_and_partition_are_the_producers(
    misconfigured: Settings, settings: Settings, consume: Consume
) -> None:
    servers, topic = settings.kafka.bootstrap_servers, settings.topics.events.name
    producer = Producer({"bootstrap.servers": servers, "partitioner": "murmur2_random"})
    own: list[tuple[str, str | bytes | None]] = [("trace", b"\x00\xff"), ("none", None)]
    for n in range(20):
        body = orjson.dumps(event(n))
        time = 1_600_000_000_000 + n
        producer.produce(topic, body, str(event(n)["user_id"]), headers=own, timestamp=time)
    assert producer.flush(30) == 0
    before = {m.value(): m for m in on_topic(settings, topic)}
    consume(misconfigured)
    report = redrive(settings, ALL)
    messages = again(settings)
    assert len(messages) == 20
    for message in messages:
        old = before[message.value()]
        assert (message.key(), message.partition()) == (old.key(), old.partition())
        assert message.timestamp() == old.timestamp()
        assert message.headers() == [
            *own,
            ("redrive-topic", topic.encode()),
            ("redrive-partition", str(old.partition()).encode()),
            ("redrive-offset", str(old.offset()).encode()),
        ]
    places = {(sent.partition, sent.offset) for sent in report.sent}
    assert places == {(m.partition(), m.offset()) for m in messages}


def test_a_dry_run_changes_nothing_and_a_limit_holds(
    refused: list[Message], config_file: Path, settings: Settings, store: S3Store
) -> None:
    def cli(*arguments: str) -> str:
        done = heap_loader(
            *("--config", str(config_file), "dead-letters", "redrive", *arguments),
            cwd=config_file.parent,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    lines = cli("--dry-run", "--limit", "7").splitlines()
    assert len([line for line in lines if line.startswith("would send ")]) == 7
    assert lines[-2:] == ["7 messages would be sent again.", "243 beyond the limit were left."]
    assert again(settings) == []
    assert redriven(store) == set()

    assert "110 messages sent again." in cli("--limit", "110")
    assert len(again(settings)) == 110
    rest = json.loads(cli("--json"))
    assert (rest["sent"], rest["skipped"]["already_redriven"], rest["left"]) == (140, 110, 0)
    values = Counter(m.value() for m in again(settings))
    assert set(values.values()) == {1}
    assert len(values) == EVENTS


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_between_message_and_marker_repeats_and_the_tables_stay_exact(
    refused: list[Message],
    settings: Settings,
    store: S3Store,
    consume: Consume,
    when: str,
) -> None:
    with pytest.raises(Crash):
        redrive(settings, ALL, store=DyingStore(store, 30, when))
    marked = len(redriven(store))
    assert 0 < marked < EVENTS
    report = redrive(settings, ALL)
    # Nothing is lost, and only the chunk in flight is sent again.
    assert len(report.sent) == EVENTS - marked
    copies = Counter(m.value() for m in again(settings))
    assert len(copies) == EVENTS
    assert 0 < sum(copies.values()) - EVENTS <= 100

    consume(settings)
    loaded = rows(store, settings.topics.events.name).column("event_id").to_pylist()
    assert set(loaded) == set(range(EVENTS))
    run_sync(settings)
    assert _counts(settings) == (EVENTS, EVENTS)


def test_what_was_acknowledged_before_kafka_went_away_is_not_sent_again(
    refused: list[Message], settings: Settings, store: S3Store
) -> None:
    with pytest.raises(Unreachable, match="away"):
        redrive(settings, ALL, sender=HalfSender(settings))
    assert len(redriven(store)) == 50
    redrive(settings, ALL)
    copies = Counter(m.value() for m in again(settings))
    assert len(copies) == EVENTS
    assert set(copies.values()) == {1}


def test_what_was_loaded_or_will_be_read_again_is_not_sent(
    settings: Settings, store: S3Store, consume: Consume
) -> None:
    """The letters of a consumer that crashed before its record, and was mended before its restart."""
    topic = settings.topics.events.name
    produce(
        settings.kafka.bootstrap_servers, topic, [event(n) for n in range(3)] + [b"?"], partition=0
    )
    sink = KafkaDeadLetters(settings.kafka, settings.topics.dead_letters.name)
    letters = [
        DeadLetter(topic, 0, n, b"1000", orjson.dumps(event(n)), [], "not_framed", "", 1)
        for n in range(3)
    ]
    sink.send([*letters, *letters])
    report = redrive(settings, ALL)
    assert (report.selected, report.decisions[Decision.PENDING], report.sent) == (3, 3, [])
    consume(settings)
    report = redrive(settings, ALL, force=True, dry_run=True)
    assert report.decisions[Decision.LOADED] == 3
    assert [sent.letter.origin for sent in report.sent] == [Origin(topic, 0, 3)]


def test_force_sends_what_is_refused_again_and_its_new_letter_is_another_one(
    settings: Settings, consume: Consume
) -> None:
    topic = settings.topics.events.name
    produce(settings.kafka.bootstrap_servers, topic, [event(0), b"?"], partition=2)
    consume(settings)
    assert redrive(settings, ALL).decisions[Decision.REFUSED] == 1
    assert len(redrive(settings, ALL, force=True).sent) == 1
    assert consume(settings).dead_lettered == 1
    found = listing(settings, ALL).found
    assert [(one.redriven, len(one.copies)) for one in found] == [(True, 1), (False, 1)]
    assert redrive(settings, ALL).decisions == {Decision.REDRIVEN: 1, Decision.REFUSED: 1}


def test_control_messages_come_again_but_no_definition_undoes_a_later_one(
    settings: Settings,
) -> None:
    """Their reader was mended: letters of good messages, counted by records that skip them."""
    servers, topics = settings.kafka.bootstrap_servers, settings.topics
    broken = settings.model_copy(
        update={
            "topics": topics.model_copy(
                update={
                    "user_migrations": topics.user_migrations.model_copy(update={"format": "avro"})
                }
            )
        }
    )
    merge = {"from_user_id": 1, "to_user_id": 2, "time": 5, "user_id": 1}
    produce(servers, topics.user_migrations.name, [merge], partition=0)
    producer = Producer({"bootstrap.servers": servers})
    old = {"id": "cta", "name": "Old", "source": "web", "event": "click"}
    for document in (b"{", orjson.dumps(old | {"name": "New"})):
        producer.produce(topics.definitions.name, document, "cta", partition=0)
    assert producer.flush(30) == 0
    reconcile(broken, until_caught_up=True, report=lambda _: None)
    assert listing(settings, ALL).letters == 2

    report = redrive(settings, ALL, force=True)
    assert [sent.letter.origin.topic for sent in report.sent] == [topics.user_migrations.name]
    assert report.decisions[Decision.OVERTAKEN] == 1
    reconcile(settings, until_caught_up=True, report=lambda _: None)
    assert [d.name for d in list_definitions(settings)] == ["New"]
    assert listing(settings, ALL).letters == 2
    assert redrive(settings, ALL, force=True).sent == []


class _Query:
    def __init__(self, text: str) -> None:
        self._text = text

    def render(self) -> Rendered:
        return Rendered(self._text, (), self._text)


def _counts(settings: Settings) -> tuple[int, int]:
    """Rows of the table of page views, and how many events they are."""
    session = connect(settings.warehouse)
    try:
        schema = settings.warehouse.db_schema
        query = f'SELECT count(*), count(DISTINCT event_id) FROM "{schema}".pageviews'
        ((rows_, distinct),) = session.execute(_Query(query)).rows
    finally:
        session.close()
    return int(rows_), int(distinct)
