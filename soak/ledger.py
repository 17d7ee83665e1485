"""What was produced: each message's number, whether it is good, its id, and where it came to stand."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

#: Every message carries its number in this header: a letter of a refused one does, too.
HEADER: Final = "soak-n"
#: A place: topic and partition.
Place = tuple[str, int]


@dataclass(slots=True)
class Writing:
    """The ledger of the producer, while it writes. Offsets below 0 are unknown to the client.

    Attributes:
        ids: event id of each message by its number; 0 where it has none.
        good: 1 for a message that must become a row, 0 for one that must be refused.
        committed: number and offset of what the broker acknowledged for good, by place.
        aborted: offsets of what it took in transactions that were aborted then, by place.
    """

    ids: array[int] = field(default_factory=lambda: array("q"))
    good: array[int] = field(default_factory=lambda: array("b"))
    committed: dict[Place, tuple[array[int], array[int]]] = field(default_factory=dict)
    aborted: dict[Place, array[int]] = field(default_factory=dict)

    def commit(self, place: Place, number: int, offset: int) -> None:
        """A message stands there for good."""
        numbers, offsets = self.committed.setdefault(place, (array("q"), array("q")))
        numbers.append(number)
        offsets.append(offset)

    def abort(self, place: Place, offset: int) -> None:
        """A message of an aborted transaction stands there, and nobody may read it."""
        self.aborted.setdefault(place, array("q")).append(offset)

    def save(self, path: Path) -> None:
        """Write it down."""
        arrays: dict[str, Ints] = {
            "ids": np.asarray(self.ids, np.int64),
            "good": np.asarray(self.good, np.int64),
        }
        for (topic, partition), (numbers, offsets) in self.committed.items():
            arrays[f"numbers/{topic}/{partition}"] = np.asarray(numbers, np.int64)
            arrays[f"offsets/{topic}/{partition}"] = np.asarray(offsets, np.int64)
        for (topic, partition), aborted in self.aborted.items():
            arrays[f"aborted/{topic}/{partition}"] = np.asarray(aborted, np.int64)
        with path.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The producer's ledger, read back; see :class:`Writing`."""

    ids: Ints
    good: npt.NDArray[np.bool_]
    committed: Mapping[Place, tuple[Ints, Ints]]
    aborted: Mapping[Place, Ints]

    @classmethod
    def load(cls, path: Path) -> Ledger:
        """Read what :meth:`Writing.save` wrote."""
        with np.load(path) as arrays:
            committed = {
                _place(name): (arrays[name], arrays[name.replace("numbers/", "offsets/", 1)])
                for name in arrays.files
                if name.startswith("numbers/")
            }
            aborted = {_place(n): arrays[n] for n in arrays.files if n.startswith("aborted/")}
            return cls(arrays["ids"], arrays["good"] == 1, committed, aborted)


def _place(name: str) -> Place:
    _, topic, partition = name.split("/")
    return topic, int(partition)
