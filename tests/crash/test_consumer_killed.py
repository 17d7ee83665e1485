"""kill -9 of the consumer before and after every effect; then a restart, and an equal lake."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from loader.config import Settings
from loader.consumer import app
from loader.lake import layout
from loader.lake.s3 import S3Store
from tests.support.kafka import event, produce, read_all
from tests.support.lake import assert_each_offset_once, records, rows

MESSAGES = 900


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("effect", ["letter", "data", "record"])
def test_a_killed_consumer_leaves_a_lake_that_the_next_one_completes(
    settings: Settings, config_file: Path, effect: str, when: str, count: int
) -> None:
    topic = settings.topics.events.name
    servers = settings.kafka.bootstrap_servers
    for partition in range(3):
        produce(
            servers,
            topic,
            [*(event(n) for n in range(partition, MESSAGES, 3)), b"{"],
            partition=partition,
        )
    killed = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.support.killed_consumer",
            str(config_file),
            effect,
            when,
            str(count),
        ],
        check=False,
        capture_output=True,
        timeout=120,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
    store = S3Store.open(settings.lake)
    # What exists by the log is whole even now; what is not in the log does not exist.
    rows(store, topic)
    before = sum(record.read for record in records(store, topic))

    restarted = app.run(settings, until_caught_up=True, stop=threading.Event())

    assert restarted.read == MESSAGES + 3 - before
    assert_each_offset_once(store, topic, dict.fromkeys(range(3), MESSAGES // 3 + 1))
    table = rows(store, topic)
    assert sorted(table.column("event_id").to_pylist()) == list(range(MESSAGES))
    # A letter may stand twice, never not at all; the records say which count.
    letters = read_all(servers, settings.topics.dead_letters.name)
    refused = {dict(letter.headers() or [])["dl-partition"] for letter in letters}
    assert refused == {b"0", b"1", b"2"}
    assert sum(record.dead_lettered for record in records(store, topic)) == 3
    named = {file.key for record in records(store, topic) for file in record.files}
    stored = {info.key for info in store.scan(layout.RAW)}
    assert named <= stored


def test_a_zombie_that_writes_late_loses_and_the_lake_stays_exact(settings: Settings) -> None:
    """Two consumers in two groups read one topic into one lake: the worst zombie there is."""
    topic = settings.topics.events.name
    servers = settings.kafka.bootstrap_servers
    produce(servers, topic, [event(n) for n in range(MESSAGES)], partition=0)
    small = settings.model_copy(
        update={"batch": settings.batch.model_copy(update={"max_rows": 100})}
    )
    errors: list[BaseException] = []

    def work(group: str) -> None:
        mine = small.model_copy(
            update={"kafka": small.kafka.model_copy(update={"group_id": group})}
        )
        try:
            app.run(mine, until_caught_up=True, stop=threading.Event())
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            errors.append(error)

    workers = [
        threading.Thread(target=work, args=(f"{settings.kafka.group_id}-{n}",)) for n in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert errors == []
    store = S3Store.open(settings.lake)
    assert_each_offset_once(store, topic, {0: MESSAGES})
    assert rows(store, topic).num_rows == MESSAGES
