"""``./scripts/bench backlog``: what memory a backlog takes, and whether a larger one takes more.

One stack, one topic: first with a million messages, then with many more behind them. Each time a new lake
and a new group read all of it, with the default settings, and the resident memory of every worker is
sampled. Prints the peaks; ``--plot FILE.svg`` draws the long run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import tomli_w
from rich.console import Console

from bench.measure import python
from bench.plot import Line, plot
from loader.config import load
from loader.local.environment import Environment, settings
from loader.local.kafka_broker import TOPICS, create_topics
from loader.local.simulate import simulate
from loader.local.simulator.options import TrafficOptions
from loader.local.stack import Stack

_STRIDE_SECONDS = 0.25
_FIRST = 1_000_000


@dataclass(slots=True)
class Run:
    """One backlog read: messages, seconds, and each worker's resident MiB over the time."""

    messages: int
    seconds: float
    requests: int
    resident: dict[int, list[tuple[float, float]]] = field(default_factory=dict)

    @property
    def peak(self) -> float:
        """MiB of the worker that took most."""
        return max(mib for series in self.resident.values() for _, mib in series)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./scripts/bench backlog", description=__doc__)
    parser.add_argument("--events", type=int, default=20_000_000, help="default 20 M")
    parser.add_argument("--format", choices=("json", "avro"), default="json")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--plot", type=Path, help="draw the long run here, as SVG")
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    given = parser.parse_args(argv)
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="heap-loader-bench-") as name:
        folder = Path(name)
        stack = Stack.open(folder / "stack")
        try:
            environment = stack.up()
            document = topics(environment, "backlog", given.format)
            runs = []
            for seed, events in ((1, _FIRST), (2, given.events - _FIRST)):
                console.print(f"simulating {events:,} more events as {given.format} ...")
                fill(document, folder, given.format, seed, events)
                runs.append(consume(document, folder, given.workers))
                console.print(_told(runs[-1]))
        finally:
            stack.down(purge=True)
    if given.plot:
        limit = load(None, {}).consumer.memory / (1 << 20)
        _draw(runs[-1], limit, given.plot)
    if given.out:
        shown = [
            {"messages": run.messages, "seconds": run.seconds, "peak_mib": run.peak,
             "requests_per_million": run.requests / run.messages * 1e6}
            for run in runs
        ]  # fmt: skip
        given.out.write_text(json.dumps(shown, indent=2))
    return 0


def topics(environment: Environment, name: str, kind: str, partitions: int = 4) -> dict[str, Any]:
    """Make topics whose names begin with ``name``; returns the loader's configuration for them."""
    names = {key: f"{name}.{key}" for key in TOPICS}
    specs = [replace(spec, name=names[key]) for key, spec in TOPICS.items()]
    wanted = [
        replace(spec, partitions=partitions) if spec.name == names["events"] else spec
        for spec in specs
    ]
    create_topics(environment.kafka.bootstrap_servers, wanted)
    document = settings(environment, topics=names)
    for topic in document["topics"].values():
        topic["format"] = kind
    return document


def fill(document: dict[str, Any], folder: Path, kind: str, seed: int, events: int) -> None:
    """Send well-formed events to the document's topics."""
    path = folder / "simulate.toml"
    path.write_text(tomli_w.dumps(document))
    traffic = TrafficOptions(
        events=events, seed=seed, format="avro" if kind == "avro" else "json", malformed=0.0,
        updates=0.0, merges=0.0,
    )  # fmt: skip
    simulate(load(path, {}), traffic)


def consume(document: dict[str, Any], folder: Path, workers: int) -> Run:
    """Read all of the topics into a new lake, by a new group."""
    name = uuid.uuid4().hex
    own = {
        **document,
        "kafka": {**document["kafka"], "group_id": name},
        "lake": {**document["lake"], "url": f"{document['lake']['url']}/{name}"},
    }
    config = folder / f"{name}.toml"
    config.write_text(tomli_w.dumps(own))
    resident: dict[int, list[tuple[float, float]]] = {}
    loader = [python(), "-c", "from loader.cli import main; main()", "--config", str(config)]
    with (folder / f"{name}.log").open("wb") as log, tempfile.TemporaryFile() as answer:
        process = subprocess.Popen(
            [*loader, "consume", "--until-caught-up", "--workers", str(workers), "--json"],
            stdout=answer,
            stderr=log,
        )
        began = time.monotonic()
        while process.poll() is None:
            _sample(psutil.Process(process.pid), workers, time.monotonic() - began, resident)
            time.sleep(_STRIDE_SECONDS)
        if process.returncode:
            raise SystemExit((folder / f"{name}.log").read_text()[-4000:])
        answer.seek(0)
        counts = json.loads(answer.read())
    return Run(counts["messages"], counts["seconds"], counts["requests"], resident)


def _sample(
    process: psutil.Process,
    workers: int,
    at: float,
    resident: dict[int, list[tuple[float, float]]],
) -> None:
    try:
        chosen = process.children() if workers > 1 else [process]
        for one in chosen:
            resident.setdefault(one.pid, []).append((at, one.memory_info().rss / (1 << 20)))
    except psutil.Error:
        return


def _told(run: Run) -> str:
    return (
        f"{run.messages:,} messages: {run.messages / run.seconds / 1000:,.0f} k/s, peak of a worker "
        f"{run.peak:,.0f} MiB, {run.requests / run.messages * 1e6:,.0f} S3 requests per million"
    )


def _draw(run: Run, limit: float, path: Path) -> None:
    lines = [
        Line(f"worker {number}", series)
        for number, (_, series) in enumerate(sorted(run.resident.items()))
    ]
    plot(
        path,
        f"Resident memory of each worker while {run.messages / 1e6:,.0f} M messages are read",
        ("seconds", "MiB"),
        lines,
        rule=(limit, "consumer.memory"),
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
