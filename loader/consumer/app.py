"""``heap-loader consume``: one process, from Kafka to the lake."""

from __future__ import annotations

import datetime as dt
import os
import signal
import socket
import threading
import uuid
from collections.abc import Callable
from typing import Literal

from loader import config
from loader.codec.decoders import decoder
from loader.codec.schemas import ShippedSchemas
from loader.consumer.effects import Effects
from loader.consumer.limits import RefusalLimits, chain_history
from loader.consumer.pipeline import Pipeline
from loader.consumer.progress import Progress, Target
from loader.consumer.steps import Steps
from loader.consumer.vigil import Vigil
from loader.consumer.worker import Worker
from loader.consumer.writer import BatchWriter
from loader.errors import Unreachable
from loader.kafka.clients import Cluster
from loader.kafka.dead_letters import DeadLetterSink, KafkaDeadLetters
from loader.lake.chain import FOLD_RECORDS
from loader.lake.commit_log import commit_log
from loader.lake.metadata import open_lake
from loader.lake.s3 import S3Store
from loader.lake.store import ObjectStore
from loader.logs import log

#: Seconds between looks for a topic that does not exist yet, and how often a bounded run looks.
_TOPIC_WAIT = 2.0
_TOPIC_LOOKS = 5


def run(
    settings: config.Settings,
    *,
    until_caught_up: bool = False,
    stop: threading.Event | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    store: ObjectStore | None = None,
    dead_letters: DeadLetterSink | None = None,
    effects: Effects | None = None,
    fold_records: int = FOLD_RECORDS,
) -> Progress:
    """Consume events and user updates into the lake.

    Args:
        settings: the whole configuration.
        until_caught_up: end at the high watermarks seen at start.
        stop: ends the run when set; None installs handlers for SIGTERM and SIGINT.
        on_progress: called after each batch.
        store: instead of the configured lake.
        dead_letters: instead of the configured topic.
        effects: told of each effect.
        fold_records: records of a chain that make a checkpoint.

    Raises:
        UsageError: the lake is not configured as it stands.
        NeedsOperator: data would be lost.
        Unreachable: Kafka or the lake stayed away.
    """
    stop = _stop_on_signals() if stop is None else stop
    contracts: dict[str, Literal["events", "user_updates"]] = {
        settings.topics.events.name: "events",
        settings.topics.user_updates.name: "user_updates",
    }
    formats = {t.name: t.format for t in (settings.topics.events, settings.topics.user_updates)}
    if store is None:
        lake = S3Store.open(settings.lake)
        lake.check_conditional_writes()
        store = lake
    metadata = open_lake(
        store,
        buckets=settings.lake.buckets,
        lake_id=uuid.uuid4().hex,
        created=dt.datetime.now(dt.UTC).isoformat(),
    )
    cluster = Cluster(settings.kafka)
    partitions = _wait_for_topics(cluster, settings, list(contracts), stop, bounded=until_caught_up)
    if stop.is_set():
        return Progress()
    target = None
    if until_caught_up:
        target = Target(
            {
                (topic, partition): high
                for topic, count in partitions.items()
                for partition, (_, high) in cluster.watermarks(topic, range(count)).items()
            }
        )
    log_ = commit_log(store, fold_records=fold_records)
    topic_ids = cluster.topic_ids(contracts)
    steps = Steps()
    vigil = Vigil(cluster.ask_topics, topic_ids)
    writer = BatchWriter(
        store,
        log_,
        buckets=metadata.buckets,
        decoders=lambda topic: decoder(contracts[topic], formats[topic], ShippedSchemas()),
        dead_letters=dead_letters
        or KafkaDeadLetters(settings.kafka, settings.topics.dead_letters.name),
        limits=RefusalLimits(settings.dead_letters, chain_history(store, log_)),
        vigil=vigil,
        topic_ids=topic_ids,
        writer=f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}",
        steps=steps,
        effects=effects,
    )
    worker = Worker(
        settings,
        list(contracts),
        topic_ids=topic_ids,
        log_=log_,
        pipeline=Pipeline(writer),
        vigil=vigil,
        stop=stop,
        on_progress=on_progress,
        steps=steps,
        effects=effects,
    )
    try:
        with vigil:
            return worker.run(target)
    finally:
        writer.close()


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _wait_for_topics(
    cluster: Cluster,
    settings: config.Settings,
    topics: list[str],
    stop: threading.Event,
    *,
    bounded: bool,
) -> dict[str, int]:
    """The topics' partition counts, once all of them exist."""
    looks = 0
    while True:
        found = cluster.partitions(topics)
        missing = [topic for topic in topics if topic not in found]
        if not missing or stop.is_set():
            return found
        looks += 1
        if bounded and looks >= _TOPIC_LOOKS:
            raise Unreachable(
                f"Kafka at {settings.kafka.bootstrap_servers} has no topic {', '.join(missing)}.",
                hint="Create it, or correct [topics].",
            )
        log.warning("waiting for topics", missing=missing)
        stop.wait(_TOPIC_WAIT)
