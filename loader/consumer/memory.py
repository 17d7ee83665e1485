"""The C allocator, told what a consumer does: take and give back the same large blocks for ever.

By default glibc hands every block above some size back to the kernel, which then gives zeroed pages
for the next one. For batches of tens of megabytes that cost a quarter of the consumer's CPU (measured:
``./scripts/bench codec``, joining 78 MB of messages took 1.3 us a message and takes 0.6). What is kept is
bounded by what was needed at once.
"""

from __future__ import annotations

import ctypes
from typing import Final

#: mallopt's parameters (malloc.h of the GNU C library).
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8

#: The largest int: blocks of any size come from the heap, and the heap is never cut.
_NEVER: Final = (1 << 31) - 1
_LARGEST: Final = 1 << 30


def keep_freed_memory() -> bool:
    """Make this process use freed memory again instead of returning it. Process-wide; call it once.

    Returns:
        False where the C library is not glibc: nothing was changed.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    # One heap for all threads: another one could not hold a block of more than 64 MiB.
    wanted = {_ARENA_MAX: 1, _MMAP_THRESHOLD: _LARGEST, _TRIM_THRESHOLD: _NEVER}
    done = [mallopt(parameter, value) for parameter, value in wanted.items()]
    return all(done)
