"""The consumer and a schema registry that is away: it waits, and refuses no message."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import stamina

from loader.codec.encode import encode_avro
from loader.codec.schemas import ShippedSchemas
from loader.config import Settings
from loader.consumer import app
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


def test_partitions_whose_schema_is_known_go_on_meanwhile(
    with_registry: Settings, registry: SchemaRegistry
) -> None:
    """The other topic's messages are JSON, and more than the few batches that may be under way at once."""
    updates = with_registry.topics.user_updates.name
    settings = with_registry.model_copy(
        update={"batch": with_registry.batch.model_copy(update={"max_age": 0.1, "max_rows": 5})}
    )
    stop = threading.Event()
    store = S3Store.open(settings.lake)
    written: list[int] = []

    def on_progress(progress: Progress) -> None:
        written.append(progress.read)
        if progress.read >= 60:
            stop.set()

    worker = threading.Thread(target=lambda: app.run(settings, stop=stop, on_progress=on_progress))
    worker.start()
    try:
        assert registry.requested.wait(60)
        produce(
            settings.kafka.bootstrap_servers,
            updates,
            [
                {"user_id": n, "identity": f"user-{n}", "time": 1_700_000_000_000_000 + n}
                for n in range(60)
            ],
        )
        assert stop.wait(60), f"{written} messages were read"
    finally:
        stop.set()
        worker.join()
    assert len(rows(store, updates)) == 60
    assert records(store, settings.topics.events.name) == []


def test_a_bounded_run_ends_with_the_registrys_address_and_writes_nothing(
    with_registry: Settings, registry: SchemaRegistry
) -> None:
    with pytest.raises(Unreachable, match=registry.url):
        app.run(with_registry, until_caught_up=True, stop=threading.Event())
    store = S3Store.open(with_registry.lake)
    assert records(store, with_registry.topics.events.name) == []
