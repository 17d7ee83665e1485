"""kill -9 of the consumer before and after every effect; then a restart, and an equal lake."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from loader.config import Settings
from loader.consumer import app
from loader.consumer.effects import Effect, Effects, Side
from loader.kafka.dead_letters import DeadLetter, KafkaDeadLetters
from loader.lake import layout
from loader.lake.s3 import S3Store
from tests.support.kafka import event, produce, read_all
from tests.support.killed_consumer import FOLD_RECORDS, MAX_ROWS
from tests.support.lake import assert_each_offset_once, records, rows

MESSAGES = 900


def fill(settings: Settings) -> None:
    """Three partitions with a message each that is refused."""
    for partition in range(3):
        produce(
            settings.kafka.bootstrap_servers,
            settings.topics.events.name,
            [*(event(n) for n in range(partition, MESSAGES, 3)), b"{"],
            partition=partition,
        )


def assert_whole(settings: Settings) -> None:
    """Each message is in the lake once or refused once, and each letter was written."""
    topic = settings.topics.events.name
    store = S3Store.open(settings.lake)
    assert_each_offset_once(store, topic, dict.fromkeys(range(3), MESSAGES // 3 + 1))
    table = rows(store, topic)
    assert sorted(table.column("event_id").to_pylist()) == list(range(MESSAGES))
    # A letter may stand twice, never not at all; the records say which count.
    letters = read_all(settings.kafka.bootstrap_servers, settings.topics.dead_letters.name)
    refused = {dict(letter.headers() or [])["dl-partition"] for letter in letters}
    assert refused == {b"0", b"1", b"2"}
    assert sum(record.dead_lettered for record in records(store, topic)) == 3
    named = {file.key for record in records(store, topic) for file in record.files}
    stored = {info.key for info in store.scan(layout.RAW)}
    assert named <= stored


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("effect", list(Effect))
def test_a_killed_consumer_leaves_a_lake_that_the_next_one_completes(
    settings: Settings, config_file: Path, effect: Effect, side: str, count: int
) -> None:
    """The whole list of effects, as the consumer itself names them."""
    fill(settings)
    killed = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.support.killed_consumer",
            str(config_file),
            effect,
            side,
            str(count),
        ],
        check=False,
        capture_output=True,
        timeout=120,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
    store = S3Store.open(settings.lake)
    topic = settings.topics.events.name
    # What exists by the log is whole even now; what is not in the log does not exist.
    rows(store, topic)
    before = sum(record.read for record in records(store, topic))
    restarted = app.run(settings, until_caught_up=True, stop=threading.Event())
    assert restarted.read == MESSAGES + 3 - before
    assert_whole(settings)


def test_nothing_is_done_to_the_outside_that_has_no_name(settings: Settings) -> None:
    """Every write of a run happens inside an effect, and every effect happens."""
    fill(settings)
    inside = threading.local()
    seen: set[Effect] = set()
    unnamed: list[str] = []

    def watch(effect: Effect, side: Side) -> None:
        seen.add(effect)
        inside.effect = effect if side == "before" else None

    class Watched(KafkaDeadLetters):
        def send(self, letters: Sequence[DeadLetter]) -> None:
            note(Effect.SEND_LETTERS, "letters")
            super().send(letters)

    class Store(S3Store):
        def put(self, key: str, body: bytes) -> None:
            note(Effect.PUT_DATA, key)
            super().put(key, body)

        def put_if_absent(self, key: str, body: bytes) -> bool:
            if key != layout.METADATA:
                note(
                    Effect.PUT_RECORD if key.startswith(layout.LOG) else Effect.PUT_CHECKPOINT, key
                )
            return super().put_if_absent(key, body)

    def note(expected: Effect, what: str) -> None:
        if getattr(inside, "effect", None) is not expected:
            unnamed.append(what)

    batch = settings.batch.model_copy(update={"max_rows": MAX_ROWS})
    app.run(
        settings.model_copy(update={"batch": batch}),
        until_caught_up=True,
        stop=threading.Event(),
        fold_records=FOLD_RECORDS,
        store=Store.open(settings.lake),
        dead_letters=Watched(settings.kafka, settings.topics.dead_letters.name),
        effects=Effects(watch),
    )
    assert unnamed == []
    assert seen == set(Effect)


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
