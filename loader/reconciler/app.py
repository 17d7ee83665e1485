"""``heap-loader reconcile``: one process, from the control topics to the registry log."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import socket
import tempfile
import threading
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from loader import config
from loader.codec.registry import schema_source
from loader.codec.schemas import SchemaSource
from loader.errors import Unreachable
from loader.kafka.clients import Cluster
from loader.kafka.dead_letters import DeadLetterSink, KafkaDeadLetters
from loader.lake.metadata import open_lake
from loader.lake.registry import registry_log
from loader.lake.s3 import S3Store
from loader.lake.store import ObjectStore
from loader.logs import log
from loader.reconciler.appender import Appender, Partition
from loader.reconciler.facts import Facts, KafkaFacts
from loader.reconciler.faust_logs import forward_faust_logs
from loader.reconciler.judges import judges
from loader.reconciler.worker import Worker

#: Seconds between looks for a topic that does not exist yet, and how many of them.
_TOPIC_WAIT: Final = 2.0
_TOPIC_LOOKS: Final = 15


def run(
    settings: config.Settings,
    *,
    until_caught_up: bool,
    report: Callable[[str], None],
    store: ObjectStore | None = None,
    dead_letters: DeadLetterSink | None = None,
    schemas: SchemaSource | None = None,
) -> int:
    """Take over control messages into the registry, until SIGTERM or SIGINT.

    Args:
        settings: the whole configuration.
        until_caught_up: end at the high watermarks seen at start.
        report: takes one line for a person now and then.
        store: instead of the configured lake.
        dead_letters: instead of the configured topic.
        schemas: instead of the configured source of Avro schemas.

    Returns:
        0.

    Raises:
        NeedsOperator: control messages were lost, or lake and topics do not belong together.
        Unreachable: Kafka or the lake stayed away, or a topic does not exist.
        UsageError: the lake is not configured as it stands.
    """
    if store is None:
        lake = S3Store.open(settings.lake)
        lake.check_conditional_writes()
        store = lake
    open_lake(
        store,
        buckets=settings.lake.buckets,
        lake_id=uuid.uuid4().hex,
        created=dt.datetime.now(dt.UTC).isoformat(),
    )
    cluster = Cluster(settings.kafka)
    judged = judges(settings.topics, schemas or schema_source(settings))
    partitions = _wait_for_topics(cluster, settings, list(judged))
    facts = KafkaFacts(settings.kafka, group_of(settings), cluster.topic_ids(judged))
    appender = Appender(
        registry_log(store),
        facts,
        judged,
        dead_letters or KafkaDeadLetters(settings.kafka, settings.topics.dead_letters.name),
        writer=f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}",
    )
    control = [(topic, p) for topic, count in partitions.items() for p in range(count)]
    # Before Faust starts: what nobody but a person may decide stops here, without joining the group.
    for topic, partition in control:
        appender.locate(topic, partition)
    behind = None
    if until_caught_up:
        targets = {(t, p): facts.watermarks(t, p)[1] for t, p in control}
        behind = partial(_behind, appender, facts, targets)
        if not behind():
            report("The registry is up to date.")
            return 0
    forward_faust_logs()
    with tempfile.TemporaryDirectory(prefix="heap-loader-") as folder:
        worker = partial(
            Worker,
            settings.kafka,
            group_of(settings),
            list(partitions),
            appender,
            folder=folder,
            behind=behind,
            alive=partial(cluster.partitions, list(partitions)),
        )
        taken = asyncio.run(_run(worker))
    report(f"{taken:,} control messages read.")
    return 0


async def _run(worker: Callable[[], Worker]) -> int:
    """Faust binds to the loop that runs when it is made, so it is made here."""
    return await worker().run()


def group_of(settings: config.Settings) -> str:
    """The consumer group of the reconciler."""
    return f"{settings.kafka.group_id}-reconcile"


def _behind(appender: Appender, facts: Facts, targets: Mapping[Partition, int]) -> bool:
    """True if a readable message lies between a chain's end and its target.

    What lies between may also be transaction markers or compacted away: then nothing will ever come.
    """
    for (topic, partition), target in targets.items():
        end = appender.end(topic, partition)
        if end < target:
            coming = facts.first_at(topic, partition, end)
            if coming is not None and coming < target:
                return True
    return False


def _wait_for_topics(
    cluster: Cluster, settings: config.Settings, topics: list[str]
) -> Mapping[str, int]:
    """The topics' partition counts, once all of them exist: Faust ignores a missing one for good."""
    for look in range(_TOPIC_LOOKS):
        found = cluster.partitions(topics)
        missing = [topic for topic in topics if topic not in found]
        if not missing:
            return {topic: found[topic] for topic in topics}
        log.warning("waiting for topics", missing=missing)
        if look + 1 < _TOPIC_LOOKS:
            threading.Event().wait(_TOPIC_WAIT)
    raise Unreachable(
        f"Kafka at {settings.kafka.bootstrap_servers} has no topic {', '.join(missing)}.",
        hint="Create it, or correct [topics].",
    )
