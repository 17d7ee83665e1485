"""The reconciler killed (SIGKILL) at each step of taking messages over: nothing lost, nothing twice.

The process under test is the real one on a real broker and a real S3 server; only its store or its
dead-letter sink kills it at the chosen moment.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from loader.config import Settings
from loader.kafka.clients import Cluster, common, producer_settings
from loader.lake.registry import ControlMessage, registry_log
from loader.lake.s3 import S3Store

RECONCILE = """
import os, signal, sys
from pathlib import Path
from loader.config import load
from loader.kafka.dead_letters import KafkaDeadLetters
from loader.lake.s3 import S3Store
from loader.logs import configure
from loader.reconciler.app import run

die_at, config = sys.argv[1], load(Path(sys.argv[2]), environment={})
configure()

def die(step):
    if step == die_at:
        os.kill(os.getpid(), signal.SIGKILL)

class Store:
    def __init__(self, inner): self.inner = inner
    def __getattr__(self, name): return getattr(self.inner, name)
    def put_if_absent(self, key, body):
        ours = key.startswith("registry/")
        if ours: die("before the record")
        done = self.inner.put_if_absent(key, body)
        if ours: die("after the record")
        return done

class Letters:
    def __init__(self, inner): self.inner = inner
    def send(self, letters):
        die("before the dead letter")
        self.inner.send(letters)
        die("after the dead letter")

sys.exit(run(
    config,
    until_caught_up=True,
    report=print,
    store=Store(S3Store.open(config.lake)),
    dead_letters=Letters(KafkaDeadLetters(config.kafka, config.topics.dead_letters.name)),
))
"""
STEPS = [
    "before the dead letter",
    "after the dead letter",
    "before the record",
    "after the record",
]
MESSAGES = 40
BAD = (7, 23)


def start(die_at: str, config_file: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RECONCILE, die_at, str(config_file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()
    return process.returncode, err


def publish(settings: Settings) -> list[bytes]:
    """Merges with two refused messages among them; returns their values."""
    values = [
        b"{" if n in BAD else json.dumps({"from_user_id": n, "to_user_id": 99, "time": 1}).encode()
        for n in range(MESSAGES)
    ]
    producer = Producer(producer_settings(settings.kafka))
    for n, value in enumerate(values):
        producer.produce(settings.topics.user_migrations.name, value, str(n).encode(), partition=0)
    assert producer.flush(30) == 0
    return values


def registry(settings: Settings) -> list[ControlMessage]:
    log = registry_log(S3Store.open(settings.lake))
    return [
        message
        for record in log.records(settings.topics.user_migrations.name, 0)
        for message in record.messages
    ]


def dead_letter_offsets(settings: Settings) -> set[int]:
    topic = settings.topics.dead_letters.name
    count = Cluster(settings.kafka).partitions([topic])[topic]
    total = sum(
        h - low for low, h in Cluster(settings.kafka).watermarks(topic, range(count)).values()
    )
    consumer = Consumer({**common(settings.kafka), "group.id": "check"})
    consumer.assign([TopicPartition(topic, p, 0) for p in range(count)])
    letters = consumer.consume(total, timeout=20)
    consumer.close()
    values = [dict(letter.headers() or [])["dl-offset"] for letter in letters]
    return {int(value) for value in values if value is not None}


@pytest.mark.parametrize("step", STEPS)
def test_killed_and_started_again(step: str, settings: Settings, config_file: Path) -> None:
    values = publish(settings)
    code, err = end(start(step, config_file))
    assert code == -signal.SIGKILL, err
    code, err = end(start("never", config_file))
    assert code == 0, err

    found = registry(settings)
    assert [m.offset for m in found] == list(range(MESSAGES))
    assert [m.value for m in found] == values
    assert [m.offset for m in found if not m.accepted] == list(BAD)
    assert dead_letter_offsets(settings) == set(BAD)


def test_two_at_once_of_which_one_is_killed(settings: Settings, config_file: Path) -> None:
    values = publish(settings)
    doomed, other = start("after the record", config_file), start("never", config_file)
    codes = {end(doomed)[0], end(other)[0]}
    assert codes <= {0, -signal.SIGKILL}
    code, err = end(start("never", config_file))
    assert code == 0, err
    assert [m.value for m in registry(settings)] == values
