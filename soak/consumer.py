"""The console script, but it shows where its threads are when SIGUSR1 asks: what the workers run."""

from __future__ import annotations

import faulthandler
import signal

if __name__ == "__main__":
    faulthandler.register(signal.SIGUSR1)
    from loader.cli import main

    main()
