"""What one soak run is: how much traffic, and how many faults of which kind."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

Protocol = Literal["cooperative", "eager", "consumer"]

#: Seconds until the broker misses a worker that was killed.
SESSION_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Options:
    """One run.

    Attributes:
        events: well-formed events to produce; refused ones and user updates come on top.
        kills: SIGKILLs of random workers, some at a random moment, some before, in or after a chosen
            request.
        stops: SIGTERMs of random workers; each must end with 0.
        freezes: SIGSTOPs of random workers for longer than the session, then SIGCONT: zombies.
        broker_kills: SIGKILLs of the broker.
        s3_stops: ends of the S3 server, by SIGTERM and SIGKILL in turn.
        seconds: how long production and faults are spread over, at least.
        seed: decides traffic, schedule, batch limits and the proxies' faults.
        workers: consumer processes in one group.
        partitions: of the topics of events and of user updates.
        faults: share of S3 requests that a proxy delays, resets or cuts; of Kafka's a tenth of it.
        format: of the messages.
        protocol: how the group shares its partitions out.
    """

    events: int = 5_000_000
    kills: int = 100
    stops: int = 10
    freezes: int = 10
    broker_kills: int = 2
    s3_stops: int = 2
    seconds: float = 600.0
    seed: int = 1
    workers: int = 2
    partitions: int = 4
    faults: float = 0.05
    format: Literal["json", "avro"] = "json"
    protocol: Protocol = "cooperative"

    def client(self) -> dict[str, str | int]:
        """The workers' ``[kafka.client]``: a death is noticed in seconds."""
        if self.protocol == "consumer":
            return {"group.protocol": "consumer"}
        strategy = "cooperative-sticky" if self.protocol == "cooperative" else "range"
        return {
            "partition.assignment.strategy": strategy,
            "session.timeout.ms": int(SESSION_SECONDS * 1000),
            "heartbeat.interval.ms": 500,
        }


def parse(argv: list[str]) -> tuple[Options, argparse.Namespace]:
    """Read the command line; returns the run, and how to report it."""
    parser = argparse.ArgumentParser(
        prog="./scripts/soak",
        description="Kill, cut and restart everything around `heap-loader consume` while events flow; "
        "then count every offset. Exit status: 0 nothing lost and nothing twice, 3 a check did not hold.",
        epilog="Example: ./scripts/soak --events 200000 --kills 8    (two to three minutes)",
    )
    add = parser.add_argument
    add("--events", type=int, default=5_000_000, help="events to produce (default 5,000,000)")
    add("--kills", type=int, default=100, help="kill -9 of random workers (default 100)")
    add("--stops", type=int, help="SIGTERMs of random workers (default a tenth of --kills)")
    add("--freezes", type=int, help="SIGSTOPs beyond the session (default a tenth of --kills)")
    add("--broker-kills", type=int, default=2, help="kill -9 of the broker (default 2)")
    add("--s3-stops", type=int, default=2, help="ends of the S3 server (default 2)")
    add("--seconds", type=float, help="spread over at least (default 6 a kill, at least 30)")
    add("--seed", type=int, default=1, help="decides everything that is random (default 1)")
    add("--workers", type=int, default=2, help="consumer processes (default 2)")
    add("--partitions", type=int, default=4, help="partitions a topic (default 4)")
    add("--faults", type=float, default=0.05, help="share of S3 requests to harm (default 0.05)")
    add("--format", choices=("json", "avro"), default="json", help="of the messages")
    add("--protocol", choices=("cooperative", "eager", "consumer"), default="cooperative")
    add("--json", action="store_true", help="print the summary as one JSON document on stdout")
    add("--out", type=Path, help="also write the summary here, as JSON")
    add("--keep", type=Path, help="work in this folder, and leave logs and data there")
    given = parser.parse_args(argv)
    values: dict[str, Any] = {
        name: getattr(given, name) for name in Options.__slots__ if getattr(given, name) is not None
    }
    tenth = (given.kills + 9) // 10
    values.setdefault("stops", tenth)
    values.setdefault("freezes", tenth)
    values.setdefault("seconds", max(30.0, 6.0 * given.kills))
    options = Options(**values)
    for name in ("events", "workers", "partitions"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be 1 or more")
    if not 0 <= options.faults <= 0.3:
        parser.error("--faults is a share from 0 to 0.3: beyond, five attempts are too few")
    return options, given
