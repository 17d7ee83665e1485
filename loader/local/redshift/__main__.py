"""``python -m loader.local.redshift --config FILE.json``: run until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from loader.errors import LoaderError, Unreachable
from loader.local.redshift.config import StandInConfig, load_config
from loader.local.redshift.errors import SqlError
from loader.local.redshift.server import StandIn


async def serve(config: StandInConfig) -> None:
    """Run a stand-in until a signal asks for the end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    stand_in = StandIn(config)
    try:
        await stand_in.start()
    except SqlError as error:
        raise Unreachable(f"the backend refused: {error.message}.") from error
    await stop.wait()
    await stand_in.stop()


def main() -> int:
    """Read the arguments and serve. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m loader.local.redshift", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="JSON file")
    arguments = parser.parse_args()
    try:
        asyncio.run(serve(load_config(arguments.config)))
    except LoaderError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
