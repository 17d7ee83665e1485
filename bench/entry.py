"""How a benchmark starts and ends as a program."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from bench.measure import RunFailed
from loader.errors import LoaderError


def run_main(main: Callable[[Sequence[str]], int]) -> NoReturn:
    """Run it with the command line's arguments, and exit with its status.

    Ended from outside, it ends its stack and whatever it measures all the same.
    """
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except (LoaderError, RunFailed) as error:
        sys.exit(str(error))


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt
