"""Waiting for processes that are not our children."""

from __future__ import annotations

import os
import select


def await_end(pid: int, seconds: float = 60) -> bool:
    """True once no process ``pid`` is left; False if it still runs after ``seconds``."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)
