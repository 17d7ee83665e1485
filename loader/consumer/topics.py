"""What is asked of Kafka before reading begins: are the topics there, and where do they end?

Light on purpose: the supervisor of several workers asks too, and holds nothing else in memory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Literal

from loader import config
from loader.consumer.progress import Target
from loader.errors import Unreachable
from loader.kafka.clients import Cluster
from loader.logs import log

#: Seconds between looks for a topic that does not exist yet, and how often a bounded run looks.
_WAIT = 2.0
_LOOKS = 5


def contracts(settings: config.Settings) -> dict[str, Literal["events", "user_updates"]]:
    """The topics that are consumed, and which contract each of them follows."""
    return {
        settings.topics.events.name: "events",
        settings.topics.user_updates.name: "user_updates",
    }


def wait_for_topics(
    cluster: Cluster,
    settings: config.Settings,
    stop: threading.Event,
    *,
    bounded: bool,
    waiting: Callable[[], None] = lambda: None,
) -> dict[str, int]:
    """The topics' partition counts, once all of them exist, or what there is when ``stop`` is set.

    Args:
        cluster: whom to ask.
        settings: the whole configuration.
        stop: ends the wait.
        bounded: give up after ten seconds.
        waiting: called at each look.

    Raises:
        Unreachable: Kafka stayed away; or, where bounded, a topic did.
    """
    topics = list(contracts(settings))
    looks = 0
    while True:
        found = cluster.partitions(topics)
        missing = [topic for topic in topics if topic not in found]
        if not missing or stop.is_set():
            return found
        looks += 1
        if bounded and looks >= _LOOKS:
            raise Unreachable(
                f"Kafka at {settings.kafka.bootstrap_servers} has no topic {', '.join(missing)}.",
                hint="Create it, or correct [topics].",
            )
        log.warning("waiting for topics", missing=missing)
        waiting()
        stop.wait(_WAIT)


def ends_now(cluster: Cluster, partitions: Mapping[str, int]) -> Target:
    """The high watermarks of all partitions as they stand."""
    return Target(
        {
            (topic, partition): high
            for topic, count in partitions.items()
            for partition, (_, high) in cluster.watermarks(topic, range(count)).items()
        }
    )
