"""A supervisor of fake workers, as a program: to be killed by the tests.

Arguments: a folder, and what the workers do.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable
from pathlib import Path

from loader import logs
from loader.consumer.overview import Overview
from loader.consumer.restarts import Policy
from loader.consumer.supervisor import Supervisor

QUICK = Policy(first_delay=0.01, max_delay=0.05, stop_timeout=60.0)


def supervisor(
    folder: Path,
    behaviour: str,
    overview: Overview,
    *,
    workers: int = 2,
    policy: Policy = QUICK,
    on_progress: Callable[[], None] = lambda: None,
) -> Supervisor:
    """One whose workers are :mod:`tests.support.fake_worker`."""

    def command(worker: int, descriptor: int) -> list[str]:
        program = [sys.executable, "-m", "tests.support.fake_worker"]
        return [*program, str(folder), behaviour, str(worker), str(descriptor)]

    return Supervisor(
        workers,
        command,
        lambda worker: f"you are {worker}\n".encode(),
        overview,
        policy,
        on_progress=on_progress,
        rng=random.Random(1),
    )


def main(folder: Path, behaviour: str) -> None:
    logs.configure()
    overview = Overview(2)

    def ready() -> None:
        if overview.readiness()[0]:
            sys.stdout.write("ready\n")
            sys.stdout.flush()

    asyncio.run(supervisor(folder, behaviour, overview, on_progress=ready).run())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
