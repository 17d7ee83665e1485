"""``./scripts/bench growth``: how the consumer's speed and memory change with what it is given.

One stack; the same number of events each time, but with other partitions, workers, batches or widths.
Prints a table of Markdown, where each line is also told as a share of the first one.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import orjson
from confluent_kafka import Consumer, Producer, TopicPartition
from rich.console import Console

from bench.backlog import Run, consume
from bench.entry import run_main
from bench.plot import Line, plot
from bench.topics import make, send
from loader.local.environment import Environment
from loader.local.stack import Stack

_PARTITIONS = (1, 4, 16, 64)
_WORKERS = (1, 2)
_ROWS = (10_000, 50_000, 100_000, 400_000)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./scripts/bench growth", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="of each run (default 1 M)")
    parser.add_argument("--rounds", type=int, default=1, help="of each line; medians are printed")
    parser.add_argument("--plot", type=Path, help="draw partitions and workers here, as SVG")
    given = parser.parse_args(argv)
    console = Console(stderr=True)
    print("| what | k events/s | to the first line | peak MiB of a worker | S3 requests per M |")
    print("| --- | --- | --- | --- | --- |")
    first = 0.0
    speeds: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="heap-loader-bench-") as name:
        stack = Stack.open(Path(name) / "stack")
        try:
            for what, run in _runs(stack.up(), Path(name), given.events, console):
                runs = [run() for _ in range(given.rounds)]
                speed = median(one.messages / one.seconds for one in runs)
                speeds[what] = speed / 1000
                first = first or speed
                peak = median(one.peak for one in runs)
                requests = median(one.requests / one.messages * 1e6 for one in runs)
                print(
                    f"| {what} | {speed / 1000:,.0f} | {speed / first:.2f} | {peak:,.0f} "
                    f"| {requests:,.0f} |",
                    flush=True,
                )
        finally:
            stack.down(purge=True)
    if given.plot:
        _draw(speeds, given.plot)
    return 0


def _draw(speeds: dict[str, float], path: Path) -> None:
    lines = [
        Line(
            _counted(workers, "worker"),
            [(n, speeds[_shape(count, workers)]) for n, count in enumerate(_PARTITIONS)],
        )
        for workers in _WORKERS
    ]
    plot(
        path,
        "Events a second by partitions of the topic, one and two workers",
        ("partitions", "k events/s"),
        lines,
        steps=[str(count) for count in _PARTITIONS],
    )


def _shape(partitions: int, workers: int) -> str:
    return f"{_counted(partitions, 'partition')}, {_counted(workers, 'worker')}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s'[: count > 1]}"


def _runs(
    environment: Environment, folder: Path, events: int, console: Console
) -> Iterator[tuple[str, Callable[[], Run]]]:
    base: dict[str, Any] = {}
    for partitions in _PARTITIONS:
        console.print(f"simulating {events:,} events in {_counted(partitions, 'partition')} ...")
        document = make(environment, f"p{partitions}", "json", partitions)
        send(document, "json", events, folder)
        base = document if partitions == 4 else base
        for workers in _WORKERS:
            yield _shape(partitions, workers), partial(consume, document, folder, workers)
    for rows in _ROWS:
        document = {**base, "batch": {"max_rows": rows}}
        what = f"4 partitions, 2 workers, batches of {rows:,}"
        yield what, partial(consume, document, folder, 2)
    for width, change in (("a third of the fields", _narrow), ("40 properties more", _wide)):
        console.print(f"writing events with {width} ...")
        document = make(environment, change.__name__.strip("_"), "json")
        size = _rewrite(environment, base, document, change)
        what = f"4 partitions, 2 workers, {width} ({size:,.0f} bytes)"
        yield what, partial(consume, document, folder, 2)


def _narrow(event: dict[str, Any]) -> dict[str, Any]:
    kept = (
        "event_id",
        "user_id",
        "session_id",
        "time",
        "type",
        "path",
        "title",
        "browser",
        "country",
    )
    return {name: event[name] for name in kept if name in event}


def _wide(event: dict[str, Any]) -> dict[str, Any]:
    more = {f"measure {n}": n * event["event_id"] % 1000 for n in range(40)}
    return event | {"properties": (event.get("properties") or {}) | more}


def _rewrite(
    environment: Environment,
    source: dict[str, Any],
    target: dict[str, Any],
    change: Callable[[dict[str, Any]], dict[str, Any]],
) -> float:
    """Every event of one topic, changed, into another; returns the mean size of a message."""
    servers = environment.kafka.bootstrap_servers
    topic = source["topics"]["events"]["name"]
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "growth"})
    places = [
        TopicPartition(topic, n, 0) for n in consumer.list_topics(topic).topics[topic].partitions
    ]
    left = sum(consumer.get_watermark_offsets(place)[1] for place in places)
    consumer.assign(places)
    producer = Producer({
        "bootstrap.servers": servers, "linger.ms": 50, "compression.type": "lz4",
        "queue.buffering.max.messages": 1_000_000,
    })  # fmt: skip
    size = count = 0
    while left:
        for message in consumer.consume(min(left, 10_000), 1.0):
            value = orjson.dumps(change(orjson.loads(message.value() or b"")))
            producer.produce(
                target["topics"]["events"]["name"], value, message.key(), message.partition() or 0
            )
            size, count, left = size + len(value), count + 1, left - 1
        producer.poll(0)
    producer.flush()
    consumer.close()
    return size / count


if __name__ == "__main__":
    run_main(main)
