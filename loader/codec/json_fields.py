"""The contract's fields as a table that compiled code can look a key up in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from loader.codec.compiled import inner
from loader.codec.fields import Contract
from loader.codec.json_bytes import signed
from loader.codec.primitives import load64

#: What a field is, column ``KIND`` of ``FieldTable.fields``.
ID: Final = 0
MOMENT: Final = 1
TEXT: Final = 2
MAP: Final = 3

#: The columns of ``FieldTable.fields``.
KIND: Final = 0
PLACE: Final = 1
SIZE: Final = 2
CLEARS: Final = 3

#: Instead of a field: the key is none that the contract knows.
UNKNOWN: Final = -1

_SLOTS_BITS: Final = 10
_SHIFT: Final = np.uint64(64 - _SLOTS_BITS)
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)
_WORD: Final = 8
_MOST_FIELDS: Final = 63
_TRIES: Final = 100_000


@dataclass(frozen=True, slots=True)
class FieldTable:
    """The known fields of a contract.

    Attributes:
        fields: int64 ``[fields, 4]``: its kind; its place among the numbers, the texts or the maps; the
            bytes of its name; the bit that an explicit null sets in ``cleared``, or 0.
        words: uint64 ``[fields, words]``: its name, eight bytes each, the last eight of a longer name in
            the last word.
        slots: int64: by hash the number of the field, or ``UNKNOWN``.
        factor: uint64: gives each field a hash of its own.
        required: a bit for each field, set where it may not be absent or null.
    """

    fields: npt.NDArray[np.int64]
    words: npt.NDArray[np.uint64]
    slots: npt.NDArray[np.int64]
    factor: np.uint64
    required: int

    @classmethod
    def of(cls, contract: Contract) -> FieldTable:
        """The table of one contract.

        Raises:
            ValueError: it has more fields than there are bits to mark them with, or no table was found.
        """
        names = [name.encode() for name in contract.known]
        if len(names) > _MOST_FIELDS:
            raise ValueError(f"a contract of {len(names)} fields: at most {_MOST_FIELDS}")
        words = _words(names)
        factor, slots = _slots(names, words)
        numbers = (*contract.ids, contract.time)
        required = {*numbers, *contract.required_texts}
        fields = []
        for name, encoded in zip(contract.known, names, strict=True):
            clears = 1 << contract.clearable.index(name) if name in contract.clearable else 0
            if name in contract.texts:
                kind, place = TEXT, contract.texts.index(name)
            elif name in contract.maps:
                kind, place = MAP, contract.maps.index(name)
            else:
                kind, place = MOMENT if name == contract.time else ID, numbers.index(name)
            fields.append((kind, place, len(encoded), clears))
        return cls(
            fields=np.array(fields, np.int64),
            words=words,
            slots=slots,
            factor=factor,
            required=sum(1 << i for i, name in enumerate(contract.known) if name in required),
        )


def _words(names: list[bytes]) -> npt.NDArray[np.uint64]:
    width = max(2, *(-(-len(name) // _WORD) for name in names))
    words = np.zeros((len(names), width), np.uint64)
    for field, name in enumerate(names):
        for start in range(0, len(name), _WORD):
            words[field, start // _WORD] = int.from_bytes(name[start : start + _WORD], "little")
        words[field, -1] = int.from_bytes(name[-_WORD:], "little")
    return words


def _slots(
    names: list[bytes], words: npt.NDArray[np.uint64]
) -> tuple[np.uint64, npt.NDArray[np.int64]]:
    """A factor by which no two names have the same hash, and the table of hashes."""
    mixed = (
        words[:, 0] + words[:, -1] * _SPREAD + np.array([len(name) for name in names], np.uint64)
    )
    for tried in range(_TRIES):
        factor = np.uint64((2 * tried + 1) * int(_SPREAD) % (1 << 64))
        places = (mixed * factor) >> _SHIFT
        if len(set(places.tolist())) == len(names):
            slots = np.full(1 << _SLOTS_BITS, UNKNOWN, np.int64)
            slots[places.astype(np.int64)] = np.arange(len(names))
            return factor, slots
    raise ValueError(f"no table of hashes for {len(names)} fields")


@inner
def key_word(data: Any, start: int, size: int) -> Any:
    """The first eight bytes of a key, zeros behind a shorter one."""
    word = load64(data, start)
    if size < _WORD:
        word &= (np.uint64(1) << np.uint64(8 * size)) - np.uint64(1)
    return word


@inner
def find(data: Any, start: int, size: int, fields: Any, words: Any, slots: Any, factor: Any) -> int:
    """The number of the field whose name is ``data[start:start + size]``, or ``UNKNOWN``."""
    first = key_word(data, start, size)
    last = first
    if size > _WORD:
        last = load64(data, start + size - _WORD)
    field = slots[((first + last * _SPREAD + np.uint64(size)) * factor) >> _SHIFT]
    if field < 0 or fields[field, SIZE] != size or words[field, 0] != first:
        return UNKNOWN
    if words[field, -1] != last:
        return UNKNOWN
    for word in range(1, (size - 1) // _WORD):
        if words[field, word] != load64(data, start + word * _WORD):
            return UNKNOWN
    return signed(field)
