"""Topics full of simulated events, and what is in them."""

from __future__ import annotations

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


def fill(
    environment: Environment, format_: str, events: int, folder: Path, console: Console
) -> Filled:
    """Make topics of this format, send events and read them back.

    Only well-formed events, each once, with no unknown field: a peer has no way with others.
    """
    names = {key: f"bench.{format_}.{key}" for key in TOPICS}
    specs = [replace(spec, name=names[key]) for key, spec in TOPICS.items()]
    create_topics(environment.kafka.bootstrap_servers, specs)
    document = settings(environment, topics=names)
    for topic in document["topics"].values():
        topic["format"] = format_
    path = folder / f"{format_}.toml"
    path.write_text(tomli_w.dumps(document))
    traffic = TrafficOptions(
        events=events,
        format="avro" if format_ == "avro" else "json",
        malformed=0.0,
        duplicates=0.0,
        unknown_fields=0.0,
        text_ids=0.0,
        # No user updates either: consume would read them too, and the others do not.
        updates=0.0,
        merges=0.0,
    )
    with console.status("") as status:

        def say(what: str, done: int) -> None:
            status.update(f"{what} {done:,} of {events:,} events as {format_} ...")

        made = simulate(load(path, {}), traffic, on_progress=lambda done: say("simulating", done))
        found = read_topic(
            environment.kafka.bootstrap_servers,
            names["events"],
            format_,
            lambda done: say("reading back", done),
        )
    rate = sum(made.messages.values()) / made.seconds
    console.print(
        f"simulated {found.content.rows:,} events as {format_}, "
        f"{found.bytes_per_message:,.0f} B a message, {rate:,.0f} messages/s"
    )
    return Filled(names["events"], format_, document, found.content, found.bytes_per_message)
