"""A worker's memory: how much may wait in it, and when it has to let go."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

from loader.errors import LoaderError

#: Resident bytes that do not depend on what waits: 145 MiB of an idle worker, 64 MiB that Kafka's client
#: may have fetched ahead, and what libraries keep of the batches that they worked on.
_BASE = 316 << 20
#: Resident bytes for each message byte that waits, at the worst moment: as messages, as columns, as files.
_PER_BYTE = 3
#: Seconds above the limit after which a worker ends; a batch in writing is over long before.
_PATIENCE = 30.0


def water_marks(memory_bytes: int) -> tuple[int, int]:
    """How much may wait in one worker.

    Args:
        memory_bytes: the worker's limit, ``consumer.memory``; at least 384 MiB.

    Returns:
        ``(high, low)`` in message bytes polled and not in the lake yet: partitions are paused at
        ``high`` and resumed below ``low``, half of it. 700 MiB give 128 MiB and 64 MiB.
    """
    high = max(memory_bytes - _BASE, 0) // _PER_BYTE
    return high, high // 2


class MemoryExceeded(LoaderError):
    """A worker stayed above its limit. What it had open is read again by whoever comes next."""


class MemoryWatch:
    """Watches the resident memory of this process.

    Args:
        limit: bytes.
        resident: asks for it, in bytes; None asks the system.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        limit: int,
        *,
        resident: Callable[[], int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        process = psutil.Process()
        self._limit = limit
        self._ask = resident or (lambda: int(process.memory_info().rss))
        self._clock = clock
        self._above_since: float | None = None
        self.resident = 0

    def look(self) -> bool:
        """True if memory has been above the limit at every look of the last half minute."""
        self.resident = self._ask()
        now = self._clock()
        if self.resident <= self._limit:
            self._above_since = None
        elif self._above_since is None:
            self._above_since = now
        return self._above_since is not None and now - self._above_since >= _PATIENCE

    def error(self) -> MemoryExceeded:
        """What to say about it."""
        return MemoryExceeded(
            f"Resident memory of {self.resident >> 20} MiB has been above consumer.memory "
            f"({self._limit >> 20} MiB) for {_PATIENCE:.0f} s; ended, so that it is given back.",
            hint="If it comes again: raise consumer.memory, or lower batch.max_rows and batch.max_bytes.",
        )
