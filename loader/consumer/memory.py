"""The C allocator, told what a consumer does: small blocks by the thousand, and a few large ones a batch.

Left to itself, glibc keeps a heap for each thread and learns, block by block, to take ever larger ones
from it: the columns of one batch stand between the messages of the next, and the holes that they leave
are never used whole. So there is one heap, which keeps what it has for the next poll, and for blocks
larger than that of a poll memory of their own, which goes back to the system with them. Measured with a
backlog of 100 k messages of 782 bytes a batch: 690 MiB resident instead of 830, at the same speed.
"""

from __future__ import annotations

import ctypes
from typing import Final

#: mallopt's parameters (malloc.h of the GNU C library).
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8

#: Bytes at the heap's end that are kept for what comes.
_KEPT: Final = 64 << 20
#: Blocks of so many bytes get memory of their own: more than the messages of a poll.
_OWN: Final = 4 << 20


def tune_allocator() -> bool:
    """Tell glibc. Process-wide; call it once, before memory is taken.

    Returns:
        False where the C library is not glibc: nothing was changed.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    wanted = {_ARENA_MAX: 1, _MMAP_THRESHOLD: _OWN, _TRIM_THRESHOLD: _KEPT}
    done = [mallopt(parameter, value) for parameter, value in wanted.items()]
    return all(done)
