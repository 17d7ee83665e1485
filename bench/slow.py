"""``./scripts/bench slow``: what a slow object store costs the consumer.

One stack, one topic, one proxy before the S3 server: in interleaved rounds a new lake and a new group
read all of the topic, once with every request passed on at once, once with every request held for
``--delay`` milliseconds before the server sees it. Uploads overlap decoding, so little should be lost.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from rich.console import Console

from bench.backlog import Run, consume
from bench.entry import run_main
from bench.topics import make, send
from loader.local.stack import Stack
from soak.proxy import Proxy


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./scripts/bench slow", description=__doc__)
    parser.add_argument("--events", type=int, default=2_000_000, help="default 2 M")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (default 3)")
    parser.add_argument("--delay", type=float, default=100.0, help="ms a request (default 100)")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args(argv)
    if given.events < 1 or given.rounds < 1 or given.workers < 1 or given.delay <= 0:
        parser.error("--events, --rounds, --workers and --delay must be positive")
    console = Console(stderr=True)
    runs: dict[float, list[Run]] = {0.0: [], given.delay: []}
    with tempfile.TemporaryDirectory(prefix="heap-loader-bench-") as name:
        folder = Path(name)
        stack = Stack.open(folder / "stack")
        proxy = Proxy()
        try:
            environment = stack.up()
            server = urlsplit(environment.s3.endpoint_url)
            address = (server.hostname or "", server.port or 0)
            route = proxy.add(lambda: address, lambda _: "request", 1.0, "slow")
            route.faults = ("delay",)
            document = make(environment, "slow", "json")
            document["lake"]["endpoint_url"] = f"http://127.0.0.1:{route.port}"
            console.print(f"simulating {given.events:,} events ...")
            send(document, "json", given.events, folder)
            for number in range(given.rounds):
                for delay, found in runs.items():
                    console.print(f"round {number + 1}, {delay:.0f} ms a request ...")
                    route.delay = delay / 1000
                    found.append(consume(document, folder, given.workers))
        finally:
            proxy.close()
            stack.down(purge=True)
    print(
        "| a request waits | k events/s | to no wait | peak MiB of a worker | S3 requests per M |"
    )
    print("| --- | --- | --- | --- | --- |")
    base = median(run.messages / run.seconds for run in runs[0.0])
    for delay, found in runs.items():
        speeds = sorted(run.messages / run.seconds / 1000 for run in found)
        print(
            f"| {delay:.0f} ms | {median(speeds):,.0f} ({speeds[0]:,.0f}-{speeds[-1]:,.0f}) "
            f"| {median(speeds) * 1000 / base:.2f} | {median(run.peak for run in found):,.0f} "
            f"| {median(run.requests / run.messages * 1e6 for run in found):,.0f} |"
        )
    return 0


if __name__ == "__main__":
    run_main(main)
