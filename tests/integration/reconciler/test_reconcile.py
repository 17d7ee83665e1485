"""The reconciler on a real broker: each control message once in the registry, at its offset."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import stamina
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from loader.codec.control import ControlReader
from loader.codec.schemas import ShippedSchemas
from loader.config import Kafka, Settings
from loader.errors import NeedsOperator, Unreachable
from loader.kafka.clients import Cluster, common, producer_settings
from loader.kafka.dead_letters import KafkaDeadLetters
from loader.lake.memory import MemoryStore
from loader.lake.registry_state import RegistryState, read_registry
from loader.lake.s3 import S3Store
from loader.local.kafka_broker import TOPICS, create_topics
from loader.reconciler.app import group_of, run

from .conftest import Letters, Publish, definition, messages, migration, records

PROGRAM = (sys.executable, "-c", "from loader.cli import main; main()")


def reconcile(settings: Settings, store: MemoryStore, letters: Letters | None = None) -> list[str]:
    lines: list[str] = []
    code = run(
        settings,
        until_caught_up=True,
        report=lines.append,
        store=store,
        dead_letters=letters or Letters(),
    )
    assert code == 0
    return lines


def state(settings: Settings, store: MemoryStore) -> RegistryState:
    reader = ControlReader(settings.topics.user_migrations.format, ShippedSchemas())
    return read_registry(store, settings.topics, reader.user_migration)


def committed(settings: Settings, topic: str) -> int:
    consumer = Consumer({**common(settings.kafka), "group.id": group_of(settings)})
    try:
        return consumer.committed([TopicPartition(topic, 0)], timeout=10)[0].offset
    finally:
        consumer.close()


def test_every_control_message_is_recorded_once(
    settings: Settings, store: MemoryStore, publish: Publish
) -> None:
    topics = settings.topics
    migrations = topics.user_migrations.name
    publish(topics.definitions.name, (b"cta", definition()), (b"gone", definition("gone")))
    publish(topics.definitions.name, (b"gone", None))
    publish(migrations, *((str(n).encode(), migration(n, n + 1)) for n in range(1200)))
    letters = Letters()
    reconcile(settings, store, letters)

    assert letters.sent == []
    assert [m.offset for m in messages(store, migrations)] == list(range(1200))
    assert len(records(store, migrations)) < 100
    assert [(m.key, m.value) for m in messages(store, topics.definitions.name)][1:] == [
        (b"gone", definition("gone")),
        (b"gone", None),
    ]
    now = state(settings, store)
    assert list(now.definitions) == ["cta"]
    assert now.users.rows()["to_user_id"].to_pylist() == [1200] * 1200
    assert now.cut == {topics.definitions.name: {0: 3}, migrations: {0: 1200}}
    # Faust's commit mirrors the chain.
    assert committed(settings, migrations) == 1200

    before = [r.encode() for r in records(store, migrations)]
    assert reconcile(settings, store) == ["The registry is up to date."]
    publish(migrations, (b"1", migration(1, 5000)))
    reconcile(settings, store)
    after = [r.encode() for r in records(store, migrations)]
    assert after[:-1] == before
    assert [m.offset for m in records(store, migrations)[-1].messages] == [1200]
    # An earlier cut gives the earlier state.
    reader = ControlReader("json", ShippedSchemas())
    earlier = read_registry(store, topics, reader.user_migration, now.cut)
    assert earlier.users.version == now.users.version != state(settings, store).users.version


def test_what_does_not_parse_is_a_dead_letter_and_does_not_count(
    settings: Settings, store: MemoryStore, publish: Publish
) -> None:
    topics = settings.topics
    publish(topics.user_migrations.name, (b"1", migration(1, 2)), (b"3", b"{"), (b"4", None))
    publish(topics.definitions.name, (b"other", definition()), (b"cta", definition()), (b"?", None))
    sink = KafkaDeadLetters(settings.kafka, topics.dead_letters.name)
    run(settings, until_caught_up=True, report=print, store=store, dead_letters=sink)

    assert [m.accepted for m in messages(store, topics.user_migrations.name)] == [
        True,
        False,
        False,
    ]
    assert [m.accepted for m in messages(store, topics.definitions.name)] == [False, True, False]
    now = state(settings, store)
    assert list(now.definitions) == ["cta"]
    assert now.users.rows()["from_user_id"].to_pylist() == [1]
    consumer = Consumer(
        {**common(settings.kafka), "group.id": "x", "auto.offset.reset": "earliest"}
    )
    partitions = Cluster(settings.kafka).partitions([topics.dead_letters.name])
    name = topics.dead_letters.name
    consumer.assign([TopicPartition(name, p, 0) for p in range(partitions[name])])
    letters = consumer.consume(4, timeout=20)
    consumer.close()
    headers = [dict(letter.headers() or []) for letter in letters]
    assert {(h["dl-topic"], h["dl-offset"], h["dl-reason"]) for h in headers} == {
        (topics.user_migrations.name.encode(), b"1", b"not_decodable"),
        (topics.user_migrations.name.encode(), b"2", b"null_value"),
        (topics.definitions.name.encode(), b"0", b"bad_definition"),
        (topics.definitions.name.encode(), b"2", b"bad_definition"),
    }


def test_transactions_leave_gaps_and_aborted_messages_do_not_exist(
    settings: Settings, store: MemoryStore
) -> None:
    topic = settings.topics.user_migrations.name
    producer = Producer({**producer_settings(settings.kafka), "transactional.id": topic})
    producer.init_transactions(30)

    def transaction(ids: range, *, commit: bool) -> None:
        producer.begin_transaction()
        for n in ids:
            producer.produce(topic, migration(n, n + 1), str(n).encode(), partition=0)
        producer.flush(30)
        if commit:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)

    transaction(range(3), commit=True)
    transaction(range(100, 105), commit=False)
    transaction(range(3, 5), commit=True)
    transaction(range(200, 202), commit=False)
    reconcile(settings, store)
    # 3 messages and a marker, 5 aborted and a marker, 2 messages; what follows is no message.
    assert [m.offset for m in messages(store, topic)] == [0, 1, 2, 10, 11]
    assert records(store, topic)[-1].next == 12
    assert reconcile(settings, store) == ["The registry is up to date."]


def test_the_chain_begins_at_the_log_start_and_a_lost_range_stops(
    settings: Settings, store: MemoryStore, publish: Publish
) -> None:
    topic = settings.topics.user_deletions.name
    pairs = [(b"1", b'{"user_id": 1, "time": 5, "request_id": "r"}')] * 10
    publish(topic, *pairs)
    delete_before(settings, topic, 4)
    reconcile(settings, store)
    assert records(store, topic)[0].first == 4
    assert [m.offset for m in messages(store, topic)] == list(range(4, 10))

    publish(topic, *pairs)
    delete_before(settings, topic, 15)
    with pytest.raises(NeedsOperator, match="offsets 10 to 14 are gone"):
        reconcile(settings, store)


def delete_before(settings: Settings, topic: str, offset: int) -> None:
    admin = AdminClient(common(settings.kafka))
    for future in admin.delete_records([TopicPartition(topic, 0, offset)]).values():
        future.result()


def test_a_group_ahead_of_the_registry_stops_before_anything_is_read(
    settings: Settings, store: MemoryStore, publish: Publish
) -> None:
    publish(settings.topics.user_migrations.name, (b"1", migration(1, 2)))
    reconcile(settings, store)
    with pytest.raises(NeedsOperator, match="committed offset 1, the lake has nothing"):
        reconcile(settings, MemoryStore())


def test_a_topic_made_anew_stops(settings: Settings, store: MemoryStore, publish: Publish) -> None:
    topic = settings.topics.user_migrations.name
    publish(topic, (b"1", migration(1, 2)))
    reconcile(settings, store)
    admin = AdminClient(common(settings.kafka))
    for future in admin.delete_topics([topic]).values():
        future.result()
    create_topics(
        settings.kafka.bootstrap_servers, [replace(TOPICS["user_migrations"], name=topic)]
    )
    publish(topic, (b"3", migration(3, 4)))
    with pytest.raises(NeedsOperator, match="deleted and made again"):
        reconcile(settings, store)


def test_no_broker_is_unreachable_and_named(settings: Settings, store: MemoryStore) -> None:
    away = settings.model_copy(update={"kafka": Kafka(bootstrap_servers="127.0.0.1:9")})
    with stamina.set_testing(True, attempts=1), pytest.raises(Unreachable, match=r"127\.0\.0\.1:9"):
        reconcile(away, store)


def test_sigterm_ends_it_with_everything_recorded(
    settings: Settings, config_file: Path, publish: Publish
) -> None:
    topic = settings.topics.user_migrations.name
    publish(topic, *((str(n).encode(), migration(n, n + 1)) for n in range(50)))
    program = subprocess.Popen(
        [*PROGRAM, "--config", str(config_file), "reconcile"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert program.stderr is not None
    lines: list[str] = []
    try:
        for line in program.stderr:
            lines.append(line)
            if "registry record" in line and '"next": 50' in line:
                break
        program.send_signal(signal.SIGTERM)
        out, err = program.communicate(timeout=60)
    finally:
        program.kill()
    assert program.returncode == 0, [*lines, err]
    assert "50 control messages" in out
    store = S3Store.open(settings.lake)
    assert [m.offset for m in messages(store, topic)] == list(range(50))
    assert committed(settings, topic) == 50
