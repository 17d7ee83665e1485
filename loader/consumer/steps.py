"""Where the consumer's CPU time goes: seconds by step of the hot path."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Steps:
    """CPU seconds by step, summed over threads. Safe for threads; timed once a batch, not a message."""

    seconds: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add this thread's CPU time inside to ``step``."""
        started = time.thread_time()
        try:
            yield
        finally:
            spent = time.thread_time() - started
            with self._lock:
                self.seconds[step] = self.seconds.get(step, 0.0) + spent
