"""The consumer and a schema registry that is away: it waits, and refuses no message."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

import pytest
import stamina

from loader.codec.encode import encode_avro
from loader.codec.schemas import ShippedSchemas
from loader.config import Settings
from loader.consumer import app
from loader.consumer.observer import Observer, PartitionState
from loader.consumer.progress import Progress
from loader.errors import Unreachable
from loader.lake.s3 import S3Store
from tests.support.kafka import event, produce
from tests.support.lake import records, rows
from tests.support.schema_registry import SchemaRegistry, schema_registry

EVENT = ShippedSchemas().writer_schema(1) or ""
MESSAGES = 40


@pytest.fixture
def registry() -> Iterator[SchemaRegistry]:
    """One that is overloaded, and knows the schema of the events."""
    with schema_registry() as served, stamina.set_testing(True, attempts=2):
        served.schemas[4711] = EVENT
        served.status = 503
        yield served


@pytest.fixture
def with_registry(settings: Settings, registry: SchemaRegistry) -> Settings:
    """Avro events in the topic, whose schema only the registry knows."""
    topics = settings.topics
    events = topics.events.model_copy(update={"format": "avro"})
    produce(
        settings.kafka.bootstrap_servers,
        events.name,
        [encode_avro(event(n), schema_id=4711, schema=EVENT) for n in range(MESSAGES)],
    )
    return settings.model_copy(
        update={
            "topics": topics.model_copy(update={"events": events}),
            "schema_registry": settings.schema_registry.model_copy(update={"url": registry.url}),
        }
    )


def test_it_waits_and_goes_on_when_the_registry_is_back(
    with_registry: Settings, registry: SchemaRegistry
) -> None:
    settings = with_registry.model_copy(
        update={"batch": with_registry.batch.model_copy(update={"max_age": 0.1})}
    )
    stop = threading.Event()
    ended: list[Progress] = []

    def on_progress(progress: Progress) -> None:
        if progress.read == MESSAGES:
            stop.set()

    worker = threading.Thread(
        target=lambda: ended.append(app.run(settings, stop=stop, on_progress=on_progress))
    )
    worker.start()
    try:
        assert registry.requested.wait(60)
        registry.status = None
        assert stop.wait(60)
    finally:
        stop.set()
        worker.join()
    assert (ended[0].written, ended[0].dead_lettered) == (MESSAGES, 0)
    table = rows(S3Store.open(settings.lake), settings.topics.events.name)
    assert sorted(table.column("event_id").to_pylist()) == list(range(MESSAGES))
    assert set(table.column("_schema_id").to_pylist()) == {4711}


class Watching(Observer):
    """Knows how far each topic was polled, and says when a partition is paused."""

    def __init__(self) -> None:
        super().__init__()
        self.polled_to: dict[str, int] = {}
        self.held_back = threading.Event()

    def partitions(self, states: Iterable[PartitionState], *, held: int, paused: int) -> None:
        known = list(states)
        for topic in {state.place[0] for state in known}:
            self.polled_to[topic] = sum(s.position for s in known if s.place[0] == topic)
        if paused == 1:
            self.held_back.set()
        super().partitions(known, held=held, paused=paused)


def test_partitions_whose_schema_is_known_go_on_meanwhile(
    with_registry: Settings, registry: SchemaRegistry
) -> None:
    """The other topic's messages are JSON, and more than the few batches that may be under way at once."""
    servers = with_registry.kafka.bootstrap_servers
    events, updates = (with_registry.topics.events.name, with_registry.topics.user_updates.name)
    settings = with_registry.model_copy(
        update={"batch": with_registry.batch.model_copy(update={"max_age": 0.1, "max_rows": 5})}
    )
    store = S3Store.open(settings.lake)
    observer = Watching()
    stop, went_on = threading.Event(), threading.Event()

    def on_progress(progress: Progress) -> None:
        if progress.read >= 60:
            went_on.set()
        if progress.read >= 60 + 2 * MESSAGES:
            stop.set()

    worker = threading.Thread(
        target=lambda: app.run(settings, stop=stop, on_progress=on_progress, observer=observer)
    )
    worker.start()
    try:
        assert observer.held_back.wait(60)
        # Of the partition whose schema is away nothing more is read, and nothing of it is lost.
        more = [encode_avro(event(n), schema_id=4711, schema=EVENT) for n in range(40, 80)]
        produce(servers, events, more)
        time = 1_700_000_000_000_000
        sent = [{"user_id": n, "identity": f"user-{n}", "time": time + n} for n in range(60)]
        produce(servers, updates, sent)
        assert went_on.wait(60)
        assert records(store, events) == []
        assert observer.polled_to[events] <= MESSAGES
        registry.status = None
        assert stop.wait(60)
    finally:
        stop.set()
        worker.join()
    assert len(rows(store, updates)) == 60
    assert sorted(rows(store, events).column("event_id").to_pylist()) == list(range(2 * MESSAGES))


def test_a_bounded_run_ends_with_the_registrys_address_and_writes_nothing(
    with_registry: Settings, registry: SchemaRegistry
) -> None:
    with pytest.raises(Unreachable, match=registry.url):
        app.run(with_registry, until_caught_up=True, stop=threading.Event())
    store = S3Store.open(with_registry.lake)
    assert records(store, with_registry.topics.events.name) == []
