"""Simulated traffic into the configured topics, and into an oracle beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from loader import config
from loader.config_types import Format
from loader.errors import UsageError
from loader.local.oracle import Oracle, write
from loader.local.simulator.options import TrafficOptions
from loader.local.simulator.publish import publish
from loader.local.simulator.samples import sample_definitions
from loader.local.simulator.stream import TrafficChunk, generate

_KEYS = ("events", "user_updates", "user_migrations")


@dataclass(frozen=True, slots=True)
class Simulated:
    """What was sent: messages by Kafka topic, in how many seconds."""

    messages: dict[str, int]
    seconds: float

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"messages": self.messages, "seconds": round(self.seconds, 3)}


def configured_format(settings: config.Settings) -> Format:
    """The format of the event topics.

    Raises:
        UsageError: they are not all configured alike, so one simulated stream cannot fill them.
    """
    formats = {key: getattr(settings.topics, key).format for key in _KEYS}
    if len(set(formats.values())) > 1:
        named = ", ".join(f"topics.{key}.format = {value}" for key, value in formats.items())
        raise UsageError(f"The simulator writes one format to all topics, configured are {named}.")
    return formats["events"]  # type: ignore[no-any-return]


def simulate(
    settings: config.Settings,
    traffic: TrafficOptions,
    *,
    rate: float | None = None,
    oracle: Oracle | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Simulated:
    """Generate and publish.

    Args:
        settings: the whole configuration.
        traffic: what to send.
        rate: event messages a second; None is as fast as possible.
        oracle: takes every chunk as well.
        on_progress: told how many messages were handed over.

    Raises:
        UsageError: a topic is missing, or configured for another format than ``traffic``.
        Unreachable: Kafka stayed away.
    """
    expected = configured_format(settings)
    if traffic.format != expected:
        raise UsageError(
            f"The topics are configured for {expected}, the traffic would be {traffic.format}.",
            hint="Set topics.events.format, topics.user_updates.format and "
            f'topics.user_migrations.format = "{traffic.format}".',
        )
    names = {key: getattr(settings.topics, key).name for key in _KEYS}
    started = perf_counter()
    sent = publish(
        _tee(generate(traffic), oracle), settings.kafka, names, rate=rate, on_progress=on_progress
    )
    return Simulated({names[key]: count for key, count in sent.items()}, perf_counter() - started)


def sample_oracle() -> Oracle:
    """An oracle that knows the sample definitions."""
    return Oracle(sample_definitions())


def write_oracle(oracle: Oracle, folder: Path) -> None:
    """Write what every table should hold, and a summary, to ``folder``."""
    write(oracle, folder)


def _tee(chunks: Iterator[TrafficChunk], oracle: Oracle | None) -> Iterator[TrafficChunk]:
    for chunk in chunks:
        if oracle is not None:
            oracle.add(chunk)
        yield chunk
