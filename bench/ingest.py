"""``./scripts/bench ingest``: how fast ``consume`` is, against consuming and discarding, in one run.

One stack, one topic a format with the same simulated events, interleaved rounds. The figures that
travel are the ratios; seconds belong to the machine.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

import tomli_w
from rich.console import Console
from rich.table import Table

from bench.measure import Measured, python, run
from loader.config import load
from loader.local.environment import Environment, settings
from loader.local.kafka_broker import TOPICS, create_topics
from loader.local.simulate import simulate
from loader.local.simulator.options import TrafficOptions
from loader.local.stack import Stack


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="./scripts/bench ingest", description=__doc__)
    parser.add_argument(
        "--events", type=int, default=1_000_000, help="events a topic (default 1 M)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (default 3)")
    parser.add_argument(
        "--formats", default="json,avro", choices=("json", "avro", "json,avro"), help="default both"
    )
    parser.add_argument("--out", type=Path, help="also write the figures here, as JSON")
    options = parser.parse_args(argv)
    formats = options.formats.split(",")
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="heap-loader-bench-") as folder:
        stack = Stack.open(Path(folder) / "stack")
        try:
            console.print("starting the stack ...")
            environment = stack.up()
            configs = {
                name: _fill(environment, name, options.events, Path(folder), console)
                for name in formats
            }
            results: dict[tuple[str, str], list[dict[str, float]]] = {}
            for round_ in range(options.rounds):
                for name in formats:
                    for system in ("raw", "heap-loader"):
                        console.print(
                            f"round {round_ + 1} of {options.rounds}: {name} {system} ..."
                        )
                        figures = _measure(system, environment, configs[name], Path(folder))
                        results.setdefault((system, name), []).append(figures)
        finally:
            stack.down(purge=True)
    _show(results, formats, options.events)
    if options.out:
        document = [
            {"system": system, "format": name, "rounds": rounds}
            for (system, name), rounds in results.items()
        ]
        options.out.write_text(json.dumps(document, indent=2) + "\n")


def _fill(
    environment: Environment, format_: str, events: int, folder: Path, console: Console
) -> dict[str, Any]:
    """Make topics of this format and fill them; returns the configuration that reads them."""
    names = {key: f"bench.{format_}.{key}" for key in TOPICS}
    specs = [
        type(spec)(
            **{**{f: getattr(spec, f) for f in spec.__dataclass_fields__}, "name": names[key]}
        )
        for key, spec in TOPICS.items()
    ]
    create_topics(environment.kafka.bootstrap_servers, specs)
    document = settings(environment, topics=names)
    for topic in document["topics"].values():
        topic["format"] = format_
    path = folder / f"{format_}.toml"
    path.write_text(tomli_w.dumps(document))
    console.print(f"simulating {events:,} events as {format_} ...")
    traffic = TrafficOptions(
        events=events,
        format="avro" if format_ == "avro" else "json",
        malformed=0.0,
        duplicates=0.0,
        unknown_fields=0.0,
        text_ids=0.0,
    )
    made = simulate(load(path, {}), traffic)
    console.print(f"  {sum(made.messages.values()) / made.seconds:,.0f} messages/s")
    return document


def _measure(
    system: str, environment: Environment, document: dict[str, Any], folder: Path
) -> dict[str, float]:
    log = folder / "run.log"
    if system == "raw":
        topic = document["topics"]["events"]["name"]
        servers = environment.kafka.bootstrap_servers
        done = run([python(), "-m", "bench.raw_consume", servers, topic], env={}, log=log)
        return _figures(done, json.loads(done.output))
    # A lake and a group of its own each time, so that every run reads everything.
    fresh = uuid.uuid4().hex[:12]
    document = {
        **document,
        "kafka": {**document["kafka"], "group_id": f"bench-{fresh}"},
        "lake": {**document["lake"], "url": f"{document['lake']['url']}/{fresh}"},
    }
    config = folder / "run.toml"
    config.write_text(tomli_w.dumps(document))
    command = [python(), "-c", "from loader.cli import main; main()", "--config", str(config)]
    done = run([*command, "consume", "--until-caught-up", "--json"], env={}, log=log)
    return _figures(done, json.loads(done.output))


def _figures(done: Measured, counts: dict[str, float]) -> dict[str, float]:
    messages = counts["messages"]
    return {
        "messages": messages,
        "per_second": messages / counts["seconds"],
        "with_start_up_per_second": messages / done.wall,
        "cpu_seconds_per_million": done.cpu / messages * 1e6,
        "peak_mb": done.peak_mb,
        "files_per_million": counts.get("files", 0) / messages * 1e6,
        "bytes_per_message": counts.get("bytes", 0) / messages,
    }


def _show(
    results: dict[tuple[str, str], list[dict[str, float]]], formats: list[str], events: int
) -> None:
    table = Table(
        title=f"ingest: {events:,} events, {platform.machine()}, medians (and ranges)",
        header_style="bold",
        title_justify="left",
    )
    table.add_column("system")
    table.add_column("format")
    for heading in (
        "k events/s",
        "with start-up",
        "CPU s per M",
        "peak MB",
        "files per M",
        "share of raw",
    ):
        table.add_column(heading, justify="right")
    for name in formats:
        raw = statistics.median(r["per_second"] for r in results["raw", name])
        for system in ("raw", "heap-loader"):
            rounds = results[system, name]

            def median(key: str, rounds: list[dict[str, float]] = rounds) -> float:
                return statistics.median(r[key] for r in rounds)

            speeds = [r["per_second"] / 1e3 for r in rounds]
            table.add_row(
                system,
                name,
                f"{median('per_second') / 1e3:,.0f} ({min(speeds):,.0f}-{max(speeds):,.0f})",
                f"{median('with_start_up_per_second') / 1e3:,.0f}",
                f"{median('cpu_seconds_per_million'):.2f}",
                f"{median('peak_mb'):,.0f}",
                f"{median('files_per_million'):,.0f}" if system != "raw" else "",
                f"{median('per_second') / raw:.2f}",
            )
    Console(width=120).print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
