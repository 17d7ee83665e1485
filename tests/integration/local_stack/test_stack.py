"""The real stack: every part started, killed, repaired and ended.

These tests harm a stack of their own, which runs beside the session's.
"""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import boto3
import psutil
import pytest
from botocore.exceptions import ClientError
from confluent_kafka.admin import AdminClient

from loader import config
from loader.local import ports, processes
from loader.local.environment import Environment
from loader.local.kafka_broker import TOPICS, TopicSpec, create_topics
from loader.local.parts import PartStatus
from loader.local.stack import Stack, psql_command, psql_environment
from loader.local.state import StackState, StateFile

PARTS = ("kafka", "s3", "postgres", "redshift")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that tests may harm; each leaves it as it likes."""
    made = Stack.open(tmp_path_factory.mktemp("harmed"))
    yield made
    if made.directory.exists():
        made.down(purge=True)


def state_of(stack: Stack) -> StackState:
    state = StateFile(stack.directory).load()
    assert state is not None
    return state


def processes_of(state: StackState) -> dict[str, list[int]]:
    return {
        part: sorted(p.pid for p in processes.find_marked(f"{state.stack_id}:{part}"))
        for part in PARTS
    }


def by_name(stack: Stack) -> dict[str, PartStatus]:
    return {part.name: part for part in stack.status()}


def assert_healthy(stack: Stack) -> None:
    found = by_name(stack)
    assert {name: part.state for name, part in found.items()} == dict.fromkeys(PARTS, "running")
    recorded = state_of(stack).processes
    assert {name: part.pid for name, part in found.items()} == {
        name: record.pid for name, record in recorded.items()
    }


def use(env: Environment) -> str:
    """Use all three services as a client does; returns the S3 object's old content."""
    topics = AdminClient({"bootstrap.servers": env.kafka.bootstrap_servers}).list_topics(timeout=10)
    assert {spec.name for spec in TOPICS.values()} <= set(topics.topics)
    client = boto3.client(
        "s3",
        endpoint_url=env.s3.endpoint_url,
        aws_access_key_id=env.s3.access_key_id,
        aws_secret_access_key=env.s3.secret_access_key,
        region_name=env.s3.region,
    )
    try:
        old = client.get_object(Bucket=env.s3.bucket, Key="kept")["Body"].read().decode()
    except ClientError:
        old = ""
    client.put_object(Bucket=env.s3.bucket, Key="kept", Body=f"{old}.".encode())
    done = subprocess.run(
        [*psql_command(env), "-Atqc", "SELECT 40 + 2"],
        env={**os.environ, **psql_environment(env)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("42", 0), done.stderr
    return old


def test_a_second_up_changes_nothing(stack: Stack) -> None:
    assert_healthy(stack)
    before, config_before = state_of(stack), stack.environment().config.read_text()
    told: list[tuple[str, str]] = []
    env = stack.up(lambda part, state, _detail: told.append((part, state)))
    assert state_of(stack) == before
    assert env.config.read_text() == config_before
    assert {part for part, state in told if state == "kept"} == set(PARTS)
    use(env)


def test_the_written_configuration_leads_to_this_stack(environment: Environment) -> None:
    assert stat.S_IMODE(environment.config.stat().st_mode) == 0o600
    read = config.load(environment.config, environment={})
    assert read.kafka.bootstrap_servers == environment.kafka.bootstrap_servers
    assert read.lake.url == f"s3://{environment.s3.bucket}"
    assert read.warehouse.port == environment.redshift.port


def test_everything_listens_on_loopback_only(stack: Stack) -> None:
    own_pids = {pid for pids in processes_of(state_of(stack)).values() for pid in pids}
    listening = [
        connection.laddr.ip
        for connection in psutil.net_connections("tcp")
        if connection.laddr
        and connection.pid in own_pids
        and connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= len(state_of(stack).ports)
    # The Java runtime writes loopback as an IPv4 address inside IPv6.
    assert {address.removeprefix("::ffff:") for address in listening} == {ports.HOST}


def test_no_secret_is_an_argument_of_a_process(stack: Stack) -> None:
    state = state_of(stack)
    secrets = (state.secret_access_key, state.warehouse_password)
    for pids in processes_of(state).values():
        for pid in pids:
            line = " ".join(psutil.Process(pid).cmdline())
            assert not any(secret in line for secret in secrets)
    for log in (stack.directory / "logs").iterdir():
        text = log.read_text(errors="replace")
        assert not any(secret in text for secret in secrets), log


def test_postgres_does_not_run_as_root(stack: Stack) -> None:
    process = psutil.Process(state_of(stack).processes["postgres"].pid)
    assert process.uids().effective != 0
    assert process.uids().real != 0


def test_topics_have_the_documented_shape_and_are_never_made_by_accident(
    environment: Environment,
) -> None:
    bootstrap = environment.kafka.bootstrap_servers
    create_topics(bootstrap, TOPICS.values())  # again: nothing happens
    admin = AdminClient({"bootstrap.servers": bootstrap})
    found = admin.list_topics(timeout=10).topics
    shape = {spec.name: len(found[spec.name].partitions) for spec in TOPICS.values()}
    assert shape == {
        "heap.events": 4,
        "heap.user_updates": 4,
        "heap.user_migrations": 1,
        "heap.definitions": 1,
        "heap.user_deletions": 1,
        "heap.dead_letters": 1,
    }
    assert admin.list_topics("heap.misspelt", timeout=10).topics["heap.misspelt"].error is not None
    assert "heap.misspelt" not in admin.list_topics(timeout=10).topics


def test_a_topic_that_kafka_refuses_is_the_callers_mistake(environment: Environment) -> None:
    from loader.errors import UsageError

    with pytest.raises(UsageError, match="refused topic 'a b'"):
        create_topics(environment.kafka.bootstrap_servers, [TopicSpec("a b", 1)])


def test_names_given_to_tests_work(settings: config.Settings, topic_names: dict[str, str]) -> None:
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    assert settings.topics.events.name == topic_names["events"]
    assert settings.topics.events.name in admin.list_topics(timeout=10).topics


def test_a_life(stack: Stack, own: Stack) -> None:
    """One stack from its first start to its purge, beside the session's.

    One test, since every step needs the one before and a start takes seconds.
    """
    beside = state_of(stack)

    # Two commands at once: one starts it, the other finds it started.
    results: list[Environment] = []
    threads = [
        threading.Thread(target=lambda: results.append(Stack.open(own.directory).up()))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert results[0] == results[1]
    own = Stack.open(own.directory)
    assert_healthy(own)
    assert use(results[0]) == ""
    assert not set(state_of(own).ports.values()) & set(beside.ports.values())

    # Each part killed hard, the others stay as they were, the ports too.
    for part in PARTS:
        before = state_of(own)
        victim = psutil.Process(before.processes[part].pid)
        victim.kill()
        psutil.wait_procs([victim], timeout=20)
        assert by_name(own)[part].state == "dead"
        own.up()
        after = state_of(own)
        assert_healthy(own)
        assert after.ports == before.ports
        assert after.processes[part] != before.processes[part]
        for other in set(PARTS) - {part}:
            assert after.processes[other] == before.processes[other]
    assert use(own.environment()) == "."

    # A crash of the command between start and record: the process is ours all the same.
    states = StateFile(own.directory)
    states.load()
    lost = states.state.processes["s3"].pid
    states.set_process("s3", None)
    own.up()
    assert processes_of(state_of(own))["s3"] == [state_of(own).processes["s3"].pid] != [lost]
    assert use(own.environment()) == ".."

    # Down ends everything of this stack and nothing of the other; the data stay.
    last = state_of(own)
    own.down()
    assert processes_of(last) == {part: [] for part in PARTS}
    assert {part.state for part in own.status()} == {"absent"}
    assert all(ports.is_free(port) for port in last.ports.values())
    assert_healthy(stack)

    # Ports taken meanwhile are chosen anew, the others are kept.
    moved = tuple(name for name in last.ports if name not in {"s3", "redshift"})
    squatters = [socket.create_server((ports.HOST, last.ports[name])) for name in moved]
    try:
        env = own.up()
    finally:
        for squatter in squatters:
            squatter.close()
    again = state_of(own)
    assert {name for name in last.ports if last.ports[name] != again.ports[name]} == set(moved)
    assert_healthy(own)
    assert use(env) == "..."
    assert config.load(env.config, environment={}).kafka.bootstrap_servers == (
        f"{ports.HOST}:{again.ports['kafka']}"
    )

    # Purge leaves no process and no file, and the other stack alone.
    own.down(purge=True)
    assert processes_of(again) == {part: [] for part in PARTS}
    assert not own.directory.exists()
    for name, port in again.ports.items():
        if name.startswith("s3"):
            assert list(Path("/tmp").glob(f"seaweedfs-*-{port}.sock")) == []  # noqa: S108
    assert state_of(stack) == beside
    assert_healthy(stack)
