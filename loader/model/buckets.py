"""User buckets: a stable 64-bit hash of the raw user id, modulo the lake's number of buckets.

The hash is the finaliser of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
Generators, OOPSLA 2014). It is part of the lake's format: changing it means another format version.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def buckets_of(user_ids: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """The bucket of each user id: int64, same shape, 0 .. ``count - 1``."""
    z = user_ids.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z % np.uint64(count)).astype(np.int64)
