"""A consumer that dies by SIGKILL at one effect. Run as a program by the crash tests.

Arguments: configuration file, effect, ``before`` or ``after`` it, and at which occurrence.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from loader.config import load
from loader.consumer import app
from loader.consumer.effects import Effect, Effects, Side


class Death:
    """Kills the process at the chosen side of the chosen occurrence of an effect."""

    def __init__(self, effect: Effect, side: Side, count: int) -> None:
        self._at = (effect, side)
        self._left = count
        self._lock = threading.Lock()

    def __call__(self, effect: Effect, side: Side) -> None:
        if (effect, side) != self._at:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
                # SIGKILL is not deliverable to ourselves before the next instruction on every kernel.
                signal.pause()


def main(config: str, effect: str, side: str, count: str) -> None:
    chosen: Side = "before" if side == "before" else "after"
    app.run(
        load(Path(config), {}),
        until_caught_up=True,
        stop=threading.Event(),
        effects=Effects(Death(Effect(effect), chosen, int(count))),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
