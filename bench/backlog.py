"""``./scripts/bench backlog``: what memory a backlog takes, and whether a larger one takes more.

One stack, one topic: first with a million messages (or half of them, where few are asked for), then with
many more behind them. Each time a new lake and a new group read all of it, with the default settings,
and the resident memory of every worker is sampled. Prints the peaks; ``--plot FILE.svg`` draws the long run.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w
from rich.console import Console

from bench.entry import run_main
from bench.measure import LOADER, run
from bench.plot import Line, plot
from bench.topics import into_own_lake, make, send
from loader.config import load
from loader.local.stack import Stack

_FIRST = 1_000_000
_POINTS = 600


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


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./scripts/bench backlog", description=__doc__)
    parser.add_argument("--events", type=int, default=20_000_000, help="default 20 M")
    parser.add_argument("--format", choices=("json", "avro"), default="json")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--plot", type=Path, help="draw the long run here, as SVG")
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    given = parser.parse_args(argv)
    if given.events < 2 or given.workers < 1:
        parser.error("--events must be 2 or more, and --workers 1 or more")
    first = min(_FIRST, given.events // 2)
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="heap-loader-bench-") as name:
        folder = Path(name)
        stack = Stack.open(folder / "stack")
        try:
            environment = stack.up()
            document = make(environment, "backlog", given.format)
            runs = []
            for skip, events in ((0, first), (first, given.events - first)):
                console.print(f"simulating {events:,} more events as {given.format} ...")
                send(document, given.format, events, folder, skip=skip)
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


def consume(document: dict[str, Any], folder: Path, workers: int) -> Run:
    """Read all of the topics into a new lake, by a new group.

    Raises:
        RunFailed: it failed.
    """
    name = uuid.uuid4().hex
    config = folder / f"{name}.toml"
    config.write_text(tomli_w.dumps(into_own_lake(document, name)))
    resident: dict[int, list[tuple[float, float]]] = {}
    began = time.monotonic()

    def sampled(top: int, found: Mapping[int, int]) -> None:
        at = time.monotonic() - began
        for pid, size in found.items():
            # Of several workers the command itself only watches.
            if workers == 1 or pid != top:
                resident.setdefault(pid, []).append((at, size / (1 << 20)))

    command = [*LOADER, "--config", str(config), "consume", "--until-caught-up", "--json"]
    done = run(
        [*command, "--workers", str(workers)],
        env={},
        log=config.with_suffix(".log"),
        sampled=sampled,
    )
    counts = json.loads(done.output)
    return Run(counts["messages"], counts["seconds"], counts["requests"], resident)


def _told(run: Run) -> str:
    return (
        f"{run.messages:,} messages: {run.messages / run.seconds / 1000:,.0f} k/s, peak of a worker "
        f"{run.peak:,.0f} MiB, {run.requests / run.messages * 1e6:,.0f} S3 requests per million"
    )


def _draw(run: Run, limit: float, path: Path) -> None:
    lines = [
        Line(f"worker {number}", _thinned(series))
        for number, (_, series) in enumerate(sorted(run.resident.items()))
    ]
    plot(
        path,
        f"Resident memory of each worker while {run.messages / 1e6:,.0f} M messages are read",
        ("seconds", "MiB"),
        lines,
        rule=(limit, "consumer.memory"),
    )


def _thinned(series: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Few enough points for a page; of several samples the highest, so that every peak stays."""
    stride = max(1, len(series) // _POINTS)
    return [
        max(series[start : start + stride], key=lambda sample: sample[1])
        for start in range(0, len(series), stride)
    ]


if __name__ == "__main__":
    run_main(main)
