"""Topics full of simulated events, and what is in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tomli_w
from rich.console import Console

from bench.content import Content, read_topic
from loader.config import load
from loader.local.environment import Environment, settings
from loader.local.kafka_broker import TOPICS, create_topics
from loader.local.simulate import simulate
from loader.local.simulator.options import TrafficOptions


@dataclass(frozen=True, slots=True)
class Filled:
    """A topic with events.

    Attributes:
        name: the topic.
        format: ``json`` or ``avro``.
        document: the loader's configuration that reads it, as TOML's tables.
        content: what it holds.
        bytes_per_message: mean size of a value.
    """

    name: str
    format: str
    document: dict[str, Any]
    content: Content
    bytes_per_message: float


def make(
    environment: Environment, prefix: str, format_: str, partitions: int | None = None
) -> dict[str, Any]:
    """Make topics whose names begin with ``prefix``; returns the loader's configuration for them.

    Args:
        environment: the stack.
        prefix: of the topics' names.
        format_: of all messages.
        partitions: of the events' topic; None for as many as a stack's own has.
    """
    specs = {key: replace(spec, name=f"{prefix}.{key}") for key, spec in TOPICS.items()}
    if partitions is not None:
        specs["events"] = replace(specs["events"], partitions=partitions)
    create_topics(environment.kafka.bootstrap_servers, list(specs.values()))
    document = settings(environment, topics={key: spec.name for key, spec in specs.items()})
    for topic in document["topics"].values():
        topic["format"] = format_
    return document


def send(
    document: dict[str, Any],
    format_: str,
    events: int,
    folder: Path,
    *,
    skip: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> float:
    """Send events to the topics; returns messages a second.

    Only well-formed events, each once, with no unknown field: a peer has no way with others. No user
    updates either: consume would read them too, and the others do not.
    """
    path = folder / "simulate.toml"
    path.write_text(tomli_w.dumps(document))
    traffic = TrafficOptions(
        events=events,
        skip=skip,
        format="avro" if format_ == "avro" else "json",
        malformed=0.0,
        duplicates=0.0,
        unknown_fields=0.0,
        text_ids=0.0,
        updates=0.0,
        merges=0.0,
    )
    made = simulate(load(path, {}), traffic, on_progress=progress)
    return sum(made.messages.values()) / made.seconds


def into_own_lake(document: dict[str, Any], name: str) -> dict[str, Any]:
    """The same configuration with a lake and a consumer group of their own."""
    return {
        **document,
        "kafka": {**document["kafka"], "group_id": name},
        "lake": {**document["lake"], "url": f"{document['lake']['url']}/{name}"},
    }


def fill(
    environment: Environment, format_: str, events: int, folder: Path, console: Console
) -> Filled:
    """Make topics of this format, send events and read them back."""
    document = make(environment, f"bench.{format_}", format_)
    name = document["topics"]["events"]["name"]
    with console.status("") as status:

        def say(what: str, done: int) -> None:
            status.update(f"{what} {done:,} of {events:,} events as {format_} ...")

        rate = send(
            document, format_, events, folder, progress=lambda done: say("simulating", done)
        )
        found = read_topic(
            environment.kafka.bootstrap_servers,
            name,
            format_,
            lambda done: say("reading back", done),
        )
    console.print(
        f"simulated {found.content.rows:,} events as {format_}, "
        f"{found.bytes_per_message:,.0f} B a message, {rate:,.0f} messages/s"
    )
    return Filled(name, format_, document, found.content, found.bytes_per_message)
