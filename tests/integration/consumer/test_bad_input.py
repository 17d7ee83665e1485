"""What is not there, and what we may not: waited for, or named with the way out."""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli_w
from confluent_kafka import Producer
from confluent_kafka.cimpl import NewTopic

from loader.config import Settings, load
from loader.consumer import app
from loader.consumer.progress import Progress
from loader.errors import Terminal
from loader.lake.s3 import S3Store
from loader.local.kafka_broker import TopicSpec, create_topics
from tests.support.acl_broker import ADMIN, USER, AclBroker, acl_broker
from tests.support.kafka import event, produce
from tests.support.lake import await_chains
from tests.support.running_consumer import consumers


def test_a_topic_that_is_missing_is_waited_for(settings: Settings, config_file: Path) -> None:
    name = f"{settings.topics.events.name}.later"
    document = tomllib.loads(config_file.read_text(encoding="utf-8"))
    document["topics"]["events"] = {"name": name}
    document["batch"] = {"max_age": 0.2}
    config_file.write_text(tomli_w.dumps(document), encoding="utf-8")
    with consumers(config_file) as start:
        consumer = start()
        consumer.await_lines("waiting for topics", missing=[name])
        create_topics(settings.kafka.bootstrap_servers, [TopicSpec(name, 1)])
        produce(settings.kafka.bootstrap_servers, name, [event(n) for n in range(5)])
        await_chains(S3Store.open(load(config_file, {}).lake), name, {0: 5})
        assert consumer.stop() == 0


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AclBroker]:
    with acl_broker(tmp_path_factory.mktemp("acl")) as started:
        yield started


def attempt(settings: Settings) -> Progress | Terminal:
    try:
        return app.run(settings, until_caught_up=True, stop=threading.Event())
    except Terminal as refused:
        return refused


def test_a_right_that_is_missing_is_named_until_all_are_there(
    settings: Settings, broker: AclBroker
) -> None:
    """As an administrator goes about it: one refusal, one grant, from nothing to a run that works."""
    topics = settings.topics
    names = [topics.events.name, topics.user_updates.name, topics.dead_letters.name]
    for future in broker.admin.create_topics([NewTopic(n, 1, 1) for n in names]).values():
        future.result()
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "log_level": 0, **broker.client(*ADMIN)}
    )
    for value in (b"{", b"["):
        producer.produce(topics.events.name, value)
    assert producer.flush(30) == 0
    kafka = settings.kafka.model_copy(
        update={
            "bootstrap_servers": broker.bootstrap_servers,
            "client": {**settings.kafka.client, **broker.client(*USER)},
        }
    )
    as_user = settings.model_copy(update={"kafka": kafka})

    asked = []
    while (done := attempt(as_user)) and isinstance(done, Terminal):
        assert done.exit_code == 4
        assert USER[1] not in str(done)
        *_, user, _, operation, kind, name = done.hint.split()
        assert done.hint.startswith(f"kafka-acls --bootstrap-server {broker.bootstrap_servers} ")
        assert user == f"User:{USER[0]}"
        right = (operation, kind.removeprefix("--"), name)
        assert "may not {} on {} {}".format(*right) in done.message
        assert right not in asked
        asked.append(right)
        broker.allow(*right)
    assert set(asked) >= {
        ("Read", "topic", topics.events.name),
        ("Read", "topic", topics.user_updates.name),
        ("Read", "group", kafka.group_id),
        ("Write", "topic", topics.dead_letters.name),
    }
    assert isinstance(done, Progress)
    assert (done.read, done.dead_lettered) == (2, 2)


def test_a_wrong_password_is_refused_and_not_shown(settings: Settings, broker: AclBroker) -> None:
    client = broker.client(USER[0], "not-the-password")
    kafka = settings.kafka.model_copy(
        update={"bootstrap_servers": broker.bootstrap_servers, "client": client}
    )
    refused = attempt(settings.model_copy(update={"kafka": kafka}))
    assert isinstance(refused, Terminal)
    assert refused.exit_code == 4
    assert broker.bootstrap_servers in refused.message
    assert "uthentication" in refused.message
    assert "credentials in [kafka.client]" in refused.hint
    assert "not-the-password" not in str(refused)
