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

#: Small, so that a few hundred messages make many batches and several checkpoints.
MAX_ROWS = 20
FOLD_RECORDS = 3


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
    settings = load(Path(config), {})
    batch = settings.batch.model_copy(update={"max_rows": MAX_ROWS})
    app.run(
        settings.model_copy(update={"batch": batch}),
        until_caught_up=True,
        stop=threading.Event(),
        effects=Effects(Death(Effect(effect), chosen, int(count))),
        fold_records=FOLD_RECORDS,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
