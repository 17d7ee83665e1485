"""Members that join, leave, die and come back from the dead, under each rebalance protocol.

Whatever the protocol does with the partitions, the lake is exact: chains without a gap, each offset once,
every row there.
"""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import tomli_w
from confluent_kafka import ConsumerGroupState, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType

from loader.config import Settings
from loader.lake.s3 import S3Store
from tests.support.kafka import event
from tests.support.lake import assert_each_offset_once, await_chains, rows
from tests.support.running_consumer import RunningConsumer, consumers

PARTITIONS = range(4)
#: A dead or frozen member is missed after this many milliseconds.
SESSION = 4000

PROTOCOLS: dict[str, dict[str, Any]] = {
    "eager": {"partition.assignment.strategy": "range"},
    "cooperative": {"partition.assignment.strategy": "cooperative-sticky"},
    "kip848": {"group.protocol": "consumer"},
}


@pytest.fixture(params=list(PROTOCOLS))
def protocol(request: pytest.FixtureRequest) -> dict[str, Any]:
    return PROTOCOLS[request.param]


def configured(
    path: Path,
    settings: Settings,
    client: Mapping[str, Any],
    *,
    session: int = SESSION,
    name: str = "",
) -> Path:
    """The configuration with small batches and another ``[kafka.client]``, as a file beside ``path``."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    classic = client.get("group.protocol") != "consumer"
    document["kafka"]["client"] = {
        **({"session.timeout.ms": session, "heartbeat.interval.ms": 500} if classic else {}),
        "max.poll.interval.ms": session,
        **client,
    }
    document["batch"] = {"max_rows": 300, "max_age": 1.0}
    made = path.with_name(f"consumer{name}.toml")
    made.write_text(tomli_w.dumps(document), encoding="utf-8")
    if not classic:
        _on_the_broker(settings, session)
    return made


def _on_the_broker(settings: Settings, session: int) -> None:
    """With KIP-848 the times of a session are settings of the group."""
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    times = {"consumer.session.timeout.ms": str(session), "consumer.heartbeat.interval.ms": "500"}
    group = ConfigResource(
        ResourceType.GROUP,
        settings.kafka.group_id,
        incremental_configs=[
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in times.items()
        ],
    )
    for future in admin.incremental_alter_configs([group]).values():
        future.result()


class Traffic:
    """Messages that keep coming, to all partitions of both topics; counted by topic and partition."""

    def __init__(self, settings: Settings) -> None:
        self.topics = (settings.topics.events.name, settings.topics.user_updates.name)
        self.ends = {topic: dict.fromkeys(PARTITIONS, 0) for topic in self.topics}
        self._producer = Producer(
            {
                "bootstrap.servers": settings.kafka.bootstrap_servers,
                "enable.idempotence": True,
                "linger.ms": 5,
            }
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(0.05):
            for topic in self.topics:
                for partition in PARTITIONS:
                    body = orjson.dumps(event(number))
                    self._producer.produce(topic, body, partition=partition)
                    self.ends[topic][partition] += 1
                    number += 1
            self._producer.poll(0)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        self._thread.join()
        assert self._producer.flush(30) == 0


@contextmanager
def traffic(settings: Settings) -> Iterator[Traffic]:
    flow = Traffic(settings)
    flow.start()
    try:
        yield flow
    finally:
        flow.end()


def await_members(settings: Settings, count: int) -> None:
    """Wait until the group has so many members, and all partitions are with them."""
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    group, pause = settings.kafka.group_id, threading.Event()
    topics = {settings.topics.events.name, settings.topics.user_updates.name}
    wanted = {(topic, partition) for topic in topics for partition in PARTITIONS}
    held: list[set[tuple[str, int]]] = []
    for _ in range(600):
        pause.wait(0.2)
        try:
            asked = admin.describe_consumer_groups([group], request_timeout=5)
            described = asked[group].result()
        except KafkaException:  # the broker is new, and finds its coordinators and groups
            continue
        held = [
            {(tp.topic, tp.partition) for tp in member.assignment.topic_partitions}
            for member in described.members
        ]
        if (
            described.state == ConsumerGroupState.STABLE
            and len(held) == count
            and all(held)
            and set().union(*held) == wanted
        ):
            return
    raise AssertionError(f"{len(held)} members hold {held}")


def await_batches(member: RunningConsumer, count: int = 4) -> None:
    """It writes: so many batches from now on."""
    member.await_lines("batch", member.count("batch") + count)


def assert_exact(settings: Settings, flow: Traffic) -> None:
    store = S3Store.open(settings.lake)
    for topic in flow.topics:
        await_chains(store, topic, flow.ends[topic])
        assert_each_offset_once(store, topic, flow.ends[topic])
        assert rows(store, topic).num_rows == sum(flow.ends[topic].values())


def test_members_join_leave_die_and_wake_up_and_the_lake_is_exact(
    settings: Settings, config_file: Path, protocol: dict[str, Any]
) -> None:
    config = configured(config_file, settings, protocol)
    with consumers(config) as start:
        with traffic(settings) as flow:
            first = start()
            await_members(settings, 1)
            await_batches(first)

            # One joins in mid-flight, and both go on.
            second = start()
            await_members(settings, 2)

            # One dies without a word; the other takes over.
            first.kill()
            await_members(settings, 1)
            await_batches(second)

            # One is frozen for longer than its session and its poll interval while a third takes over
            # and writes. Then the zombie wakes up with its batches in hand, and joins again.
            third = start()
            await_members(settings, 2)
            second.freeze()
            await_members(settings, 1)
            await_batches(third)
            second.thaw()
            await_members(settings, 2)

            # One leaves in good order.
            assert second.stop() == 0
            await_batches(third)
        assert_exact(settings, flow)
        assert third.stop() == 0


def places(member: RunningConsumer) -> list[tuple[str, int]]:
    """All that a member was ever given, in that order."""
    given = [line for line in list(member.lines) if line.get("event") == "assigned"]
    return [(line["topic"], line["partition"]) for line in given]


def held(settings: Settings, instance: str) -> list[tuple[str, int]]:
    """What the group says that a static member holds."""
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    group = settings.kafka.group_id
    described = admin.describe_consumer_groups([group])[group].result()
    (member,) = [one for one in described.members if one.group_instance_id == instance]
    return [(tp.topic, tp.partition) for tp in member.assignment.topic_partitions]


#: With KIP-848 nobody takes the place of a killed member before its session is over.
@pytest.mark.parametrize(
    ("protocol", "kill"),
    [("cooperative", True), ("kip848", False)],
    indirect=["protocol"],
)
def test_a_static_member_is_restarted_without_a_rebalance(
    settings: Settings, config_file: Path, protocol: dict[str, Any], kill: bool
) -> None:
    def member(number: int) -> Path:
        # The session outlives the restart.
        client = {**protocol, "group.instance.id": f"member-{number}"}
        return configured(config_file, settings, client, session=60_000, name=f"-{number}")

    with consumers(config_file) as start:
        with traffic(settings) as flow:
            one, two = start(config=member(1)), start(config=member(2))
            await_members(settings, 2)
            await_batches(one)
            await_batches(two)
            given, others = held(settings, "member-1"), places(two)
            if kill:
                one.kill()
            else:
                assert one.stop() == 0
            again = start(config=member(1))
            again.await_lines("assigned", len(given))
            await_batches(again)
            await_batches(two)
        assert_exact(settings, flow)
        assert sorted(places(again)) == sorted(given)
        assert places(two) == others


def test_of_two_with_one_static_id_one_is_told_so(settings: Settings, config_file: Path) -> None:
    """The group takes the newcomer."""
    config = configured(config_file, settings, {"group.instance.id": "same"}, session=60_000)
    with consumers(config) as start:
        first = start()
        await_members(settings, 1)
        second = start()
        assert first.wait() == 2
        second.await_lines("assigned")
    told = "\n".join(first.text)
    assert f"another consumer joined group {settings.kafka.group_id} as same" in told
