"""A worker's memory: how much may wait in it, and when it has to let go."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from contextlib import suppress

import psutil

from loader.errors import LoaderError

#: Resident bytes that do not depend on what waits: 240 MiB of a worker with its libraries and compiled
#: code, 144 MiB that Kafka's client may have fetched ahead, unpacked.
_BASE = 384 << 20
#: Resident bytes for each byte that waits, at the worst moment: of the batch that is decoded there are
#: spans and columns too; the others only wait. Measured: backlogs of JSON and of Avro, one worker and
#: two, peaked between 658 and 681 MiB where 700 were allowed.
_PER_BYTE = 2
#: Seconds above the limit after which a worker ends; a batch in writing is over long before.
_PATIENCE = 30.0


def water_marks(memory_bytes: int) -> tuple[int, int]:
    """How much may wait in one worker.

    Args:
        memory_bytes: the worker's limit, ``consumer.memory``; at least 448 MiB.

    Returns:
        ``(high, low)`` in bytes of messages polled and not in the lake yet: partitions are paused at
        ``high`` and resumed below ``low``, two thirds of it. 700 MiB give 158 MiB and 105 MiB.
    """
    high = max(memory_bytes - _BASE, 0) // _PER_BYTE
    return high, high * 2 // 3


class MemoryExceeded(LoaderError):
    """A worker stayed above its limit. What it had open is read again by whoever comes next."""


def give_back() -> None:
    """Let the C allocator return what it keeps for later. Nothing happens where it is not glibc's."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


class MemoryWatch:
    """Watches the resident memory of this process.

    What the allocator keeps for later is resident too, however little is in use. So before anything
    counts as above the limit, and again before a worker has to end for it, that is given back.

    Args:
        limit: bytes.
        resident: asks for it, in bytes; None asks the system.
        give_back: returns what is kept without being used.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        limit: int,
        *,
        resident: Callable[[], int] | None = None,
        give_back: Callable[[], None] = give_back,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        process = psutil.Process()
        self._limit = limit
        self._ask = resident or (lambda: int(process.memory_info().rss))
        self._give_back = give_back
        self._clock = clock
        self._above_since: float | None = None
        self.resident = 0

    def look(self) -> bool:
        """True if memory has been above the limit at every look of the last half minute."""
        now = self._clock()
        due = self._above_since is not None and now - self._above_since >= _PATIENCE
        self.resident = self._ask()
        if self.resident > self._limit and (due or self._above_since is None):
            self._give_back()
            self.resident = self._ask()
        if self.resident <= self._limit:
            self._above_since = None
            return False
        if self._above_since is None:
            self._above_since = now
        return due

    def error(self) -> MemoryExceeded:
        """What to say about it."""
        return MemoryExceeded(
            f"Resident memory of {self.resident >> 20} MiB has been above consumer.memory "
            f"({self._limit >> 20} MiB) for {_PATIENCE:.0f} s; ended, so that it is given back.",
            hint="If it comes again: raise consumer.memory, or lower batch.max_rows and batch.max_bytes.",
        )
