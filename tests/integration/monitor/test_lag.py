"""`lag` against a real broker: exact numbers, and each way in which a partition can be in trouble."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from loader.config import Settings
from loader.consumer import app
from loader.lake.commit_log import commit_log
from loader.lake.s3 import S3Store
from loader.monitor.lag import LagReport, measure, reconciler_group
from loader.monitor.verdicts import Verdict
from loader.reconciler.app import group_of
from tests.support.cli import heap_loader
from tests.support.kafka import event, produce

#: Kafka time of messages that must look old, milliseconds since the epoch.
LONG_AGO = 1_700_000_000_000


def consume(settings: Settings) -> None:
    app.run(settings, until_caught_up=True, stop=threading.Event())


def lag(settings: Settings, now: float | None = None) -> LagReport:
    return measure(settings, warn_seconds=300, stall_seconds=3600, now=now)


def place(report: LagReport, topic: str, partition: int) -> dict[str, Any]:
    return next(
        p.document()
        for p in report.partitions
        if (p.evidence.topic, p.evidence.partition) == (topic, partition)
    )


def produce_at(settings: Settings, times_ms: list[int], partition: int = 0) -> None:
    """Events whose Kafka times are given."""
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap_servers})
    for n, time_ms in enumerate(times_ms):
        producer.produce(
            settings.topics.events.name,
            value=orjson.dumps(event(n)),
            key="1",
            partition=partition,
            timestamp=time_ms,
        )
    assert producer.flush(30) == 0


@contextmanager
def transaction(settings: Settings, count: int, partition: int = 0) -> Iterator[Producer]:
    """An open transaction with ``count`` messages in the events topic."""
    topic = settings.topics.events.name
    producer = Producer(
        {
            "bootstrap.servers": settings.kafka.bootstrap_servers,
            "transactional.id": f"tx-{topic}",
            "linger.ms": 0,
        }
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    for n in range(count):
        producer.produce(topic, value=orjson.dumps(event(n)), key="1", partition=partition)
    assert producer.flush(30) == 0
    yield producer


def test_the_numbers_are_exact(settings: Settings) -> None:
    topic = settings.topics.events.name
    produce_at(settings, [LONG_AGO + n for n in range(30)])
    consume(settings)
    produce_at(settings, [LONG_AGO + 60_000 + n * 1000 for n in range(12)])
    now = LONG_AGO / 1000 + 100
    report = lag(settings, now)
    seen = place(report, topic, 0)
    assert (seen["lake_next"], seen["group_committed"]) == (30, 30)
    assert (seen["log_start"], seen["high_watermark"]) == (0, 42)
    assert (seen["lag_messages"], seen["lag_seconds"], seen["verdict"]) == (12, 40.0, "ok")
    assert place(report, topic, 1)["verdict"] == "no_data"
    assert report.verdict is Verdict.OK
    assert report.holds


def test_every_partition_of_every_topic_is_there_and_nothing_is_written(
    settings: Settings,
) -> None:
    before = list(S3Store.open(settings.lake).scan(""))
    report = lag(settings)
    topics = {p.evidence.topic for p in report.partitions}
    t = settings.topics
    assert topics == {
        each.name
        for each in (t.events, t.user_updates, t.definitions, t.user_migrations, t.user_deletions)
    }
    assert report.verdict is Verdict.NO_DATA
    assert list(S3Store.open(settings.lake).scan("")) == before == []


def test_waiting_messages_without_a_new_record_are_stopped_with_one_stalled(
    settings: Settings,
) -> None:
    topic = settings.topics.events.name
    produce_at(settings, [LONG_AGO])
    never = lag(settings)
    assert place(never, topic, 0)["verdict"] == "stopped"
    assert "nothing was ever read" in place(never, topic, 0)["reason"]
    assert not never.holds
    consume(settings)
    produce_at(settings, [LONG_AGO])
    # The record is seconds old: somebody reads, years behind.
    assert place(lag(settings), topic, 0)["verdict"] == "stalled"
    assert place(lag(settings, time.time() + 301), topic, 0)["verdict"] == "stopped"


def test_offsets_that_retention_took_are_lost(settings: Settings) -> None:
    topic = settings.topics.events.name
    produce_at(settings, [LONG_AGO] * 10)
    consume(settings)
    produce_at(settings, [LONG_AGO] * 10)
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    for future in admin.delete_records([TopicPartition(topic, 0, 15)]).values():
        future.result()
    report = lag(settings, LONG_AGO / 1000 + 7)
    seen = place(report, topic, 0)
    assert (seen["log_start"], seen["lake_next"], seen["lag_messages"]) == (15, 10, 10)
    assert seen["verdict"] == "lost"
    assert seen["lag_seconds"] == 7.0
    assert "offsets 10 to 14 are gone" in seen["reason"]
    assert seen["hint"]
    assert report.verdict is Verdict.LOST


def test_a_chain_ahead_of_kafka_is_lost(settings: Settings) -> None:
    topic = settings.topics.events.name
    produce_at(settings, [LONG_AGO])
    consume(settings)
    log = commit_log(S3Store.open(settings.lake))
    tail = log.tail(topic, 0)
    assert tail is not None
    log.append(replace(tail, first=1, next=6, batch="another"))
    seen = place(lag(settings), topic, 0)
    assert (seen["verdict"], seen["lag_messages"]) == ("lost", -5)
    assert "Kafka ends at 1" in seen["reason"]


def test_what_an_aborted_transaction_leaves_is_no_lag(settings: Settings) -> None:
    topic = settings.topics.events.name
    produce(settings.kafka.bootstrap_servers, topic, [event(1)], partition=0)
    consume(settings)
    with transaction(settings, 3) as producer:
        producer.abort_transaction(30)
    seen = place(lag(settings, time.time() + 10_000), topic, 0)
    # Three aborted messages and the control record that aborts them.
    assert (seen["lake_next"], seen["high_watermark"], seen["lag_messages"]) == (1, 5, 4)
    assert (seen["lag_seconds"], seen["verdict"]) == (0.0, "ok")
    assert "Offsets 1 to 4 hold no message" in seen["reason"]


def test_a_committed_transaction_is_read_and_its_control_record_is_no_lag(
    settings: Settings,
) -> None:
    topic = settings.topics.events.name
    with transaction(settings, 3) as producer:
        producer.commit_transaction(30)
    consume(settings)
    seen = place(lag(settings, time.time() + 10_000), topic, 0)
    assert seen["verdict"] == "ok"
    assert seen["lag_seconds"] == 0.0


def test_a_transaction_that_stays_open_is_named(settings: Settings) -> None:
    topic = settings.topics.events.name
    produce(settings.kafka.bootstrap_servers, topic, [event(1)], partition=0)
    consume(settings)
    with transaction(settings, 2) as producer:
        soon = place(lag(settings), topic, 0)
        later = place(lag(settings, time.time() + 900), topic, 0)
        producer.abort_transaction(30)
    assert (soon["verdict"], later["verdict"]) == ("ok", "warning")
    assert "transaction that began at offset 1 is still open" in soon["reason"]
    assert soon["lag_seconds"] == 0.0


def test_a_reader_at_work_is_never_taken_for_a_fault(settings: Settings) -> None:
    """Its chain and its commits move between the questions."""
    small = settings.model_copy(
        update={"batch": settings.batch.model_copy(update={"max_rows": 100, "max_age": 0.2})}
    )
    topic, servers = settings.topics.events.name, settings.kafka.bootstrap_servers
    stop, first_batch = threading.Event(), threading.Event()
    reader = threading.Thread(
        target=lambda: app.run(small, stop=stop, on_progress=lambda _: first_batch.set())
    )
    reader.start()
    try:
        for round_ in range(6):
            produce(servers, topic, [event(n) for n in range(round_ * 400, round_ * 400 + 400)])
            assert first_batch.wait(60)
            report = lag(settings)
            assert report.verdict is Verdict.OK, report.document()
    finally:
        stop.set()
        reader.join()


def test_a_topic_that_is_gone_is_lost_and_one_that_never_was_is_named(settings: Settings) -> None:
    topic = settings.topics.events.name
    produce(settings.kafka.bootstrap_servers, topic, [event(1)], partition=0)
    consume(settings)
    events = settings.topics.events.model_copy(update={"name": "never.was"})
    other = settings.topics.model_copy(update={"events": events})
    assert lag(settings.model_copy(update={"topics": other})).missing_topics == ("never.was",)
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    admin.delete_topics([topic])[topic].result()
    seen = place(lag(settings), topic, 0)
    assert seen["verdict"] == "lost"
    assert f"Kafka has no topic {topic}" in seen["reason"]


def test_the_command_prints_the_promised_json_and_exits_3(
    settings: Settings, config_file: Path, tmp_path: Path
) -> None:
    produce_at(settings, [LONG_AGO])
    done = heap_loader("--config", str(config_file), "lag", "--json", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    document = orjson.loads(done.stdout)
    assert document["verdict"] == "stopped"
    assert set(document["partitions"][0]) >= {
        "topic",
        "partition",
        "lake_next",
        "group_committed",
        "log_start",
        "high_watermark",
        "lag_messages",
        "lag_seconds",
        "verdict",
    }
    assert f"{settings.topics.events.name}[0]" in done.stderr
    assert "Traceback" not in done.stderr
    consume(settings)
    done = heap_loader("--config", str(config_file), "lag", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert settings.topics.events.name in done.stdout
    assert "caught up" in done.stdout


def test_the_group_of_the_control_topics_is_the_reconcilers(settings: Settings) -> None:
    assert reconciler_group(settings) == group_of(settings)
