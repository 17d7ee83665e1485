"""One worker from settings: the lake, Kafka, the writer and the loop put together."""

from __future__ import annotations

import datetime as dt
import os
import socket
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from loader import config
from loader.codec.decoders import decoder
from loader.codec.registry import schema_source
from loader.codec.warm import warm_up
from loader.consumer.effects import Effects
from loader.consumer.limits import RefusalLimits, chain_history
from loader.consumer.observer import Observer
from loader.consumer.pipeline import Pipeline
from loader.consumer.progress import Progress, Target
from loader.consumer.signals import stop_on_signals
from loader.consumer.steps import Steps
from loader.consumer.topics import contracts, ends_now, wait_for_topics
from loader.consumer.vigil import Vigil
from loader.consumer.worker import Worker
from loader.consumer.writer import BatchWriter
from loader.kafka.clients import Cluster
from loader.kafka.dead_letters import DeadLetterSink, KafkaDeadLetters
from loader.lake.chain import FOLD_RECORDS
from loader.lake.commit_log import commit_log
from loader.lake.metadata import open_lake
from loader.lake.metered import MeteredStore
from loader.lake.s3 import S3Store
from loader.lake.store import ObjectStore


def run(
    settings: config.Settings,
    *,
    until_caught_up: bool = False,
    target: Target | None = None,
    stop: threading.Event | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    store: ObjectStore | None = None,
    dead_letters: DeadLetterSink | None = None,
    observer: Observer | None = None,
    effects: Effects | None = None,
    fold_records: int = FOLD_RECORDS,
    ready: Callable[[], None] = lambda: None,
) -> Progress:
    """Consume events and user updates into the lake.

    Args:
        settings: the whole configuration.
        until_caught_up: end at the high watermarks seen at start.
        target: where to end instead.
        stop: ends the run when set; None installs handlers for SIGTERM and SIGINT.
        on_progress: called after each batch.
        store: instead of the configured lake.
        dead_letters: instead of the configured topic.
        observer: is told what happens.
        effects: told of each effect.
        fold_records: records of a chain that make a checkpoint.
        ready: called when it could join the group; it does when that returns.

    Raises:
        UsageError: the lake is not configured as it stands.
        NeedsOperator: data would be lost.
        Unreachable: Kafka or the lake stayed away.
    """
    stop = stop_on_signals() if stop is None else stop
    observer = observer or Observer()
    kinds = contracts(settings)
    formats = {t.name: t.format for t in (settings.topics.events, settings.topics.user_updates)}
    checked = None
    if store is None:
        store = checked = S3Store.open(settings.lake)
    store = MeteredStore(store, observer.samples)
    if checked is not None:
        checked.check_conditional_writes()
    metadata = open_lake(
        store,
        buckets=settings.lake.buckets,
        lake_id=uuid.uuid4().hex,
        created=dt.datetime.now(dt.UTC).isoformat(),
    )
    beside = ThreadPoolExecutor(1, thread_name_prefix="warm-up")
    warming = [beside.submit(warm_up, kind, formats[topic]) for topic, kind in kinds.items()]
    beside.shutdown(wait=False)
    cluster = Cluster(settings.kafka)
    partitions = wait_for_topics(
        cluster, settings, stop, bounded=until_caught_up, waiting=observer.waiting
    )
    if stop.is_set():
        return Progress()
    if target is None and until_caught_up:
        target = ends_now(cluster, partitions)
    log_ = commit_log(store, fold_records=fold_records)
    topic_ids = cluster.topic_ids(kinds)
    steps = Steps()
    schemas = schema_source(settings)
    vigil = Vigil(cluster.ask_topics, topic_ids)
    writer = BatchWriter(
        store,
        log_,
        buckets=metadata.buckets,
        decoders=lambda topic: decoder(kinds[topic], formats[topic], schemas),
        dead_letters=dead_letters
        or KafkaDeadLetters(settings.kafka, settings.topics.dead_letters.name),
        limits=RefusalLimits(settings.dead_letters, chain_history(store, log_)),
        topic_ids=topic_ids,
        writer=f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}",
        vigil=vigil,
        steps=steps,
        effects=effects,
    )
    worker = Worker(
        settings,
        list(kinds),
        topic_ids=topic_ids,
        log_=log_,
        pipeline=Pipeline(writer, patience=0 if target else settings.consumer.patience),
        vigil=vigil,
        stop=stop,
        on_progress=on_progress,
        observer=observer,
        steps=steps,
        effects=effects,
    )
    try:
        # A member that compiles first would keep the whole group waiting for its first batch.
        for warmed in warming:
            warmed.result()
        ready()
        with vigil:
            return worker.run(target)
    finally:
        writer.close()
