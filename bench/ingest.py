"""``./scripts/bench ingest``: how fast ``consume`` is, against raw consuming and against other systems.

One stack, one topic a format with the same simulated events, interleaved rounds, everything in one
run. The figures that travel are the ratios; seconds belong to the machine. See ``bench/README.md``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow.fs as pafs
from rich.console import Console

from bench.content import ContentDiffers, check, file_system
from bench.entry import run_main
from bench.figures import Figures, Series, figures, format_number, table
from bench.measure import RunFailed
from bench.ours import OURS, RAW, consume, consume_raw
from bench.peers.catalogue import PEERS
from bench.peers.peer import Job, NotMeasurable, Peer, Target
from bench.peers.schema_registry import schema_registry
from bench.topics import Filled, fill
from loader.local.environment import Environment
from loader.local.stack import Stack

_FORMATS = ("json", "avro")
_TARGETS: tuple[Target, ...] = ("disk", "s3")


@dataclass(frozen=True, slots=True)
class _Options:
    events: int
    rounds: int
    peer_rounds: int
    formats: list[str]
    peers: list[str]
    targets: list[Target]
    workers: int
    out: Path | None


def main(argv: Sequence[str]) -> int:
    """Run it; returns 1 if a requested system could not be measured."""
    options = _parse(argv)
    console = Console(stderr=True)
    missing, peers = _prepared(options.peers, console)
    series: dict[tuple[str, str, str], Series] = {}
    with tempfile.TemporaryDirectory(prefix="heap-loader-bench-") as folder:
        stack = Stack.open(Path(folder) / "stack")
        try:
            console.print("starting the stack ...")
            environment = stack.up()
            topics = [
                fill(environment, name, options.events, Path(folder), console)
                for name in options.formats
            ]
            with schema_registry() as registry:
                bench = _Bench(environment, registry, Path(folder), options, peers, console)
                bench.run(topics, series)
        finally:
            stack.down(purge=True)
    _report(options, topics, [*series.values()], missing)
    return 1 if missing or any(s.failure for s in series.values()) else 0


def _parse(argv: Sequence[str]) -> _Options:
    known = [peer.name for peer in (make() for make in PEERS)]
    parser = argparse.ArgumentParser(prog="./scripts/bench ingest", description=__doc__)
    parser.add_argument(
        "--events", type=int, default=1_000_000, help="events a topic (default 1 M)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (default 3)")
    parser.add_argument(
        "--peer-rounds",
        type=int,
        help="rounds that peers, which are slow, take part in (default all)",
    )
    parser.add_argument(
        "--formats", default="json,avro", help="json, avro or both (default json,avro)"
    )
    parser.add_argument(
        "--peers", default="", help=f"other systems to measure: all, or some of {','.join(known)}"
    )
    parser.add_argument(
        "--to", default="disk,s3", help="where peers write to, where they can (default disk,s3)"
    )
    parser.add_argument(
        "--workers", type=int, default=2, help="worker processes of consume (default 2)"
    )
    parser.add_argument("--out", type=Path, help="also write the figures here, as JSON")
    given = parser.parse_args(argv)

    def chosen(name: str, text: str, allowed: list[str]) -> list[str]:
        values = [value.strip() for value in text.split(",") if value.strip()]
        for value in values:
            if value not in allowed:
                parser.error(f"--{name}: {value!r} is none of {', '.join(allowed)}")
        return values

    peer_rounds = given.rounds if given.peer_rounds is None else given.peer_rounds
    if min(given.events, given.rounds, given.workers, peer_rounds) < 1:
        parser.error("--events, --rounds, --peer-rounds and --workers must be 1 or more")
    formats = chosen("formats", given.formats, list(_FORMATS))
    targets = chosen("to", given.to, list(_TARGETS))
    if not formats or not targets:
        parser.error("--formats and --to need at least one value")
    return _Options(
        given.events,
        given.rounds,
        peer_rounds,
        formats,
        known if given.peers == "all" else chosen("peers", given.peers, known),
        [target for target in _TARGETS if target in targets],
        given.workers,
        given.out,
    )


def _prepared(names: list[str], console: Console) -> tuple[dict[str, str], list[Peer]]:
    """Install the peers; those that cannot be had are told with the reason."""
    missing: dict[str, str] = {}
    ready: list[Peer] = []
    for peer in (make() for make in PEERS):
        if peer.name not in names:
            continue
        try:
            peer.prepare(console.print)
        except NotMeasurable as reason:
            missing[peer.title] = str(reason)
            console.print(f"[red]{peer.title} cannot be measured here:[/red] {reason}")
        else:
            ready.append(peer)
    return missing, ready


class _Bench:
    """All rounds on one stack."""

    def __init__(
        self,
        environment: Environment,
        registry: str,
        folder: Path,
        options: _Options,
        peers: list[Peer],
        console: Console,
    ) -> None:
        self._environment = environment
        self._registry = registry
        self._folder = folder
        self._options = options
        self._peers = peers
        self._console = console
        self._files = file_system(environment.s3)
        self._workers = options.workers

    def run(self, topics: list[Filled], series: dict[tuple[str, str, str], Series]) -> None:
        """Measure everything ``rounds`` times, adding to ``series`` as it goes."""
        for round_ in range(self._options.rounds):
            peers = self._peers if round_ < self._options.peer_rounds else []
            for topic in topics:
                for name, target, measure in self._systems(topic, peers):
                    entry = series.setdefault(
                        (name, topic.format, target), Series(name, topic.format, target)
                    )
                    if entry.failure:
                        continue  # it would fail again, and take its time
                    what = f"round {round_ + 1} of {self._options.rounds}: {topic.format} {name}"
                    self._measure(f"{what}{target and ' to '}{target}", entry, measure)

    def _measure(self, what: str, entry: Series, measure: Callable[[], Figures]) -> None:
        try:
            with self._console.status(f"{what} ..."):
                figures = measure()
        except (RunFailed, ContentDiffers) as error:
            entry.failure = str(error)
            self._console.print(f"[red]{what} failed:[/red]")
            self._console.print(str(error), markup=False, highlight=False)
        else:
            entry.rounds.append(figures)
            speed = format_number(figures.per_second / 1e3)
            self._console.print(f"{what}: {speed} k events/s", soft_wrap=True)

    def _systems(
        self, topic: Filled, peers: list[Peer]
    ) -> list[tuple[str, str, Callable[[], Figures]]]:
        ours = OURS if self._workers == 1 else f"{OURS}, {self._workers} processes"
        systems: list[tuple[str, str, Callable[[], Figures]]] = [
            (RAW, "", partial(self._raw, topic)),
            (ours, "s3", partial(self._ours, topic)),
        ]
        systems.extend(
            (peer.title, target, partial(self._peer, peer, target, topic))
            for peer in peers
            if topic.format in peer.formats
            for target in self._options.targets
            if target in peer.targets
        )
        return systems

    def _raw(self, topic: Filled) -> Figures:
        return consume_raw(
            self._environment.kafka.bootstrap_servers, topic, self._folder / "run.log"
        )

    def _ours(self, topic: Filled) -> Figures:
        prefix = _fresh()
        try:
            return consume(topic, prefix, self._workers, self._files, self._folder / "run.log")
        finally:
            self._forget("s3", f"{self._environment.s3.bucket}/{prefix}")

    def _peer(self, peer: Peer, target: Target, topic: Filled) -> Figures:
        fresh = _fresh()
        scratch = self._folder / f"{fresh}-scratch"
        scratch.mkdir()
        s3 = self._environment.s3
        folder = fresh if target == "s3" else str(self._folder / fresh)
        path = f"{s3.bucket}/{folder}" if target == "s3" else folder
        job = Job(
            self._environment.kafka.bootstrap_servers,
            topic.name,
            topic.format,
            topic.content.rows,
            target,
            folder,
            s3,
            self._registry,
            scratch,
            self._folder / "run.log",
        )
        if target == "disk":
            Path(folder).mkdir()
        try:
            timed = peer.load(job)
            written = check(self._system(target), path, topic.content)
            return figures(
                job.events,
                steady=timed.steady,
                with_start_up=timed.with_start_up,
                measured=timed.measured,
                written=written,
            )
        finally:
            self._forget(target, path)
            shutil.rmtree(scratch, ignore_errors=True)

    def _system(self, target: str) -> pafs.FileSystem:
        return self._files if target == "s3" else pafs.LocalFileSystem()

    def _forget(self, target: str, path: str) -> None:
        # What is left over is in the way of nobody: the whole stack goes at the end.
        with suppress(OSError):
            self._system(target).delete_dir(path)


def _fresh() -> str:
    """A name of its own for each run, so that every run reads everything and writes anew."""
    return f"run{uuid.uuid4().hex[:12]}"


def _report(
    options: _Options, topics: list[Filled], series: list[Series], missing: dict[str, str]
) -> None:
    series.sort(key=lambda s: options.formats.index(s.format))  # stable: systems stay in order
    ours = next(s.system for s in series if s.system.startswith(OURS))
    console = Console(width=165)
    sizes = ", ".join(f"{t.format} {t.bytes_per_message:,.0f} B a message" for t in topics)
    title = f"ingest: {options.events:,} events, {sizes}, rounds: {options.rounds}"
    console.print(table(series, title, RAW, ours))
    for entry in series:
        if entry.failure:
            console.print(f"{entry.system} {entry.format} {entry.target} failed: ", end="")
            console.print(entry.failure.splitlines()[0], markup=False, highlight=False)
    for title, reason in missing.items():
        console.print(f"{title} not measured: {reason}", markup=False, highlight=False)
    if options.out:
        document = {
            "events": options.events,
            "bytes_per_message": {t.format: t.bytes_per_message for t in topics},
            "series": [s.document() for s in series],
            "not_measured": missing,
        }
        options.out.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    run_main(main)
