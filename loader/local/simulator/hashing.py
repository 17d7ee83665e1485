"""Deterministic numbers: everything random in the world is a function of the seed.

Ids come from bijections on 53 bits (SDK ids are below 2^53), so distinct inputs give distinct ids
without remembering what was given.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Unsigned = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_MASK_53: Final = np.uint64((1 << 53) - 1)
_WORD: Final = (1 << 64) - 1


def generator(seed: int, *path: int) -> np.random.Generator:
    """A random generator of its own for one part of the world."""
    entropy = [seed & _WORD, *(part & _WORD for part in path)]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))


def mix(seed: int, salt: int, values: Ints | Unsigned) -> Unsigned:
    """64 well-mixed bits for each value (the finaliser of splitmix64)."""
    key = np.uint64((seed * 0x9E3779B97F4A7C15 + salt * 0xD1B54A32D192ED03) & _WORD)
    with np.errstate(over="ignore"):
        word = values.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + key
        word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(word ^ (word >> np.uint64(31)))


def share(seed: int, salt: int, values: Ints | Unsigned) -> Floats:
    """For each value a fixed number in [0, 1)."""
    return np.asarray((mix(seed, salt, values) >> np.uint64(11)).astype(np.float64) / (1 << 53))


def unique_ids(seed: int, salt: int, values: Ints) -> Ints:
    """A bijection of 0 .. 2^53-1 onto itself, scrambled by ``seed`` and ``salt``."""
    keys = mix(seed, salt, np.arange(4))
    word = values.astype(np.uint64) & _MASK_53
    with np.errstate(over="ignore"):
        for key in keys:
            word = (word + key) & _MASK_53
            word = (word * np.uint64(0xBF58476D1CE4E5B9)) & _MASK_53
            word ^= word >> np.uint64(27)
    return np.asarray(word.astype(np.int64))
