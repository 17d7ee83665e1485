"""Values joined as they come, in memory that grows where it stands and goes back to the system as a whole.

A batch is collected for a while, among others. Were its bytes many small blocks of the heap, they would
have to be copied together in the end, and would leave holes in the heap when they go.
"""

from __future__ import annotations

import mmap
from contextlib import suppress
from typing import Final, Protocol, Self

import numpy as np
import numpy.typing as npt

from loader.codec.primitives import PADDING
from loader.codec.spans import MAX_BYTES, Bytes, Mask, Messages

#: Bytes to begin with.
_FIRST: Final = 1 << 20
#: From so many bytes on the kernel is asked for pages of 2 MiB: to be given a page of 4 KiB, zeroed, costs
#: more than to fill it (0.9 us a message of 782 bytes instead of 0.3).
_HUGE: Final = 4 << 20


class Values(Protocol):
    """Values (or keys) of messages, wherever they stand."""

    @property
    def bounds(self) -> npt.NDArray[np.int64]:
        """One more than values: value ``i`` has ``bounds[i + 1] - bounds[i]`` bytes."""
        ...

    @property
    def nulls(self) -> Mask | None:
        """Which are null, and have no bytes; None where none is."""
        ...

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        ...

    def __len__(self) -> int: ...

    def slice(self, start: int, stop: int) -> Self:
        """Some of them; nothing is copied."""
        ...

    def copy_to(self, target: Bytes) -> None:
        """Copy them to the beginning of ``target``, one after the other."""
        ...


class Joining:
    """Values that are added, and taken all at once."""

    def __init__(self) -> None:
        self._memory: mmap.mmap | None = None
        self._parts: list[Messages] = []
        self.size = 0

    def add(self, values: Values) -> None:
        """Copy values behind those that are here.

        Raises:
            ValueError: all together hold 1 GiB or more.
        """
        if self.size + values.size > MAX_BYTES // 2:
            raise ValueError(f"a batch of {self.size + values.size} bytes cannot be decoded")
        size, bounds = values.size, values.bounds
        memory = self._room(self.size + size + PADDING)
        values.copy_to(np.frombuffer(memory, np.uint8, size, self.size))
        # Where they stand now; their own bytes are not needed any more.
        moved = bounds + (self.size - int(bounds[0]))
        self._parts.append(Messages(_NOTHING, moved, values.nulls))
        self.size += size

    def take(self) -> Messages:
        """All values; nothing is here afterwards."""
        parts, memory = self._parts, self._room(self.size + PADDING)
        memory[self.size : self.size + PADDING] = bytes(PADDING)
        source = np.frombuffer(memory, np.uint8, self.size + PADDING)
        # Compiled code is made for one kind of array: that of `Messages.join`.
        source.flags.writeable = False
        nulls = None
        if any(part.nulls is not None for part in parts):
            nulls = np.concatenate(
                [np.zeros(len(p), np.bool_) if p.nulls is None else p.nulls for p in parts]
            )
        bounds = np.concatenate([np.zeros(1, np.int64), *(part.bounds[1:] for part in parts)])
        self._memory, self._parts, self.size = None, [], 0
        return Messages(source, bounds, nulls)

    def _room(self, wanted: int) -> mmap.mmap:
        """Memory of at least so many bytes, with what is here."""
        have = 0 if self._memory is None else len(self._memory)
        if self._memory is None or have < wanted:
            grown = max(wanted, 2 * have, _FIRST)
            if self._memory is None:
                self._memory = _mapped(grown)
            else:
                self._memory = _resized(self._memory, grown)
        return self._memory


def _mapped(size: int) -> mmap.mmap:
    # Private: what is shared cannot grow, its end could not be touched.
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return _in_huge_pages(memory)


def _resized(memory: mmap.mmap, size: int) -> mmap.mmap:
    try:
        memory.resize(size)
    except (SystemError, OSError):
        # Only Linux moves pages instead of bytes.
        grown = _mapped(size)
        grown[: len(memory)] = memory[:]
        memory.close()
        return grown
    return _in_huge_pages(memory)


def _in_huge_pages(memory: mmap.mmap) -> mmap.mmap:
    advice = getattr(mmap, "MADV_HUGEPAGE", None)
    if advice is not None and len(memory) >= _HUGE:
        # A kernel that has none says no, and small pages do.
        with suppress(OSError):
            memory.madvise(advice)
    return memory


_NOTHING: Final = np.empty(0, np.uint8)
