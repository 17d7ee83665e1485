"""SIGTERM and SIGINT as an event."""

from __future__ import annotations

import _thread
import signal
import threading


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set. Of the main thread only."""
    stop = threading.Event()

    def asked(*_: object) -> None:
        # A handler runs between two steps of the main thread, which may hold the event's own lock
        # just then: setting it here could wait for ever. A bare thread takes no lock to start.
        _thread.start_new_thread(stop.set, ())

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, asked)
    return stop
