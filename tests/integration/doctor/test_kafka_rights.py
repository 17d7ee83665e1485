"""A user of a broker with ACLs, from no right at all to all that the jobs need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka.cimpl import NewTopic

from loader import config
from loader.doctor.endpoints import kafka_checks
from loader.doctor.report import State
from tests.support.acl_broker import USER, AclBroker, acl_broker


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AclBroker]:
    with acl_broker(tmp_path_factory.mktemp("acl")) as started:
        yield started


def settings_of(broker: AclBroker, password: str = USER[1]) -> config.Settings:
    """Nothing but Kafka is asked."""
    return config.Settings.model_validate(
        {
            "kafka": {
                "bootstrap_servers": broker.bootstrap_servers,
                "client": broker.client(USER[0], password),
            },
            "lake": {"url": "s3://nowhere"},
            "warehouse": {"host": "nowhere", "database": "d", "user": "u", "password": "p"},
        }
    )


def test_each_right_that_is_missing_is_named_with_the_command_that_grants_it(
    broker: AclBroker,
) -> None:
    settings = settings_of(broker)
    topics = [getattr(settings.topics, key).name for key in type(settings.topics).model_fields]
    for future in broker.admin.create_topics([NewTopic(name, 1, 1) for name in topics]).values():
        future.result()
    granted: list[tuple[str, str, str]] = []
    while missing := [check for check in kafka_checks(settings) if check.state is State.MISSING]:
        # All are told at once, each with what grants it; one more is granted each time.
        assert len(missing) == len(topics) + 1 - len(granted)
        (remedy,) = missing[0].remedy
        assert remedy.startswith(f"kafka-acls --bootstrap-server {broker.bootstrap_servers} --add")
        assert f"User:{USER[0]} " in remedy
        *_, operation, kind, name = remedy.split()
        assert (operation, kind, name) not in granted
        granted.append((operation, kind, name))
        broker.allow(operation, kind.removeprefix("--"), name)
    dead_letters = settings.topics.dead_letters.name
    wanted = {("Write" if name == dead_letters else "Read", "--topic", name) for name in topics}
    assert set(granted) == wanted | {("Read", "--group", settings.kafka.group_id)}
    assert {check.state for check in kafka_checks(settings)} == {State.OK}


def test_a_wrong_password_is_one_line_and_not_shown(broker: AclBroker) -> None:
    (told,) = kafka_checks(settings_of(broker, "not-the-password"))
    assert told.state is State.MISSING
    assert "uthentication" in told.says
    assert "not-the-password" not in str(told)
