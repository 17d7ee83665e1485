"""JSON messages as spans: the compiled pass, and what it leaves to be made canonical.

A nested value and a number that is not written as ``repr`` writes it are rare, and have their end
found only. Python makes canonical text of them afterwards, of each distinct one once.
"""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Final

import numpy as np
import numpy.typing as npt

from loader.codec.decoders import Scanned
from loader.codec.fields import Contract
from loader.codec.json_fields import FieldTable
from loader.codec.json_kernel import ARENA, EXTRA, OWN, PENDING, scan
from loader.codec.spans import EXTRA_FIELD, Arena, MapSpans, Mask, Messages, Spans
from loader.codec.values import MAX_DEPTH, Refused, json_text, parse_json

#: How deep the value of an entry sits in its message, by plane.
_DEPTHS: Final = {OWN: 3, EXTRA: 2}

#: The most keys that are open at once in a nested value before it is left to Python.
_KEYS: Final = 256

#: The least room for entries, pending entries and bytes of the arena.
_LEAST: Final = 1024


class JsonScanner:
    """Decodes the JSON messages that it can prove. Belongs to one thread.

    Args:
        contract: which message the topic carries.
    """

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._table = FieldTable.of(contract)
        # Bytes of the messages so far, and what they took: the next batch is likely to be alike.
        self._bytes = 1
        self._scratch = np.empty(MAX_DEPTH + _KEYS, np.int64)
        self._taken = np.zeros(4, np.int64)

    def scan(self, messages: Messages) -> Scanned:
        """Find the values of all messages; see :class:`~loader.codec.decoders.Scanner`."""
        room = _Room(self._guess(len(messages.source)), len(messages.source))
        table, contract, rows = self._table, self._contract, len(messages)
        names = (*contract.maps, EXTRA_FIELD)
        numbers = np.zeros((len(contract.ids) + 1, rows), np.int64)
        texts = np.empty((rows, len(contract.texts)), np.int64)
        firsts, counts = (np.zeros((len(names), rows), np.int32) for _ in range(2))
        cleared = np.zeros(rows, np.uint8)
        sure = np.zeros(rows, np.bool_)
        done = 0
        while True:
            done = scan(
                messages.source,
                messages.bounds,
                done,
                table.fields,
                table.words,
                table.slots,
                table.factor,
                table.required,
                numbers,
                texts,
                firsts,
                counts,
                cleared,
                room.entries,
                room.pending,
                room.arena.array,
                room.used,
                room.filling,
                self._scratch,
                sure,
            )
            if done == rows:
                break
            room.grow(int(messages.bounds[done + 1] - messages.bounds[done]))
        room.arena.used = int(room.used[ARENA])
        self._bytes, self._taken = len(messages.source), room.used
        _finish(messages, room, sure)
        planes = [OWN] * len(contract.maps) + [EXTRA]
        maps = {
            name: MapSpans(firsts[place], counts[place], *room.plane(planes[place]))
            for place, name in enumerate(names)
        }
        spans = Spans(
            contract=contract,
            source=messages.source,
            numbers=numbers,
            texts=texts.view(np.int32).reshape(rows, len(contract.texts), 2),
            maps=maps,
            cleared=cleared,
            arena=room.arena,
        )
        return Scanned(spans=spans, sure=sure, schema_ids=np.zeros(rows, np.int32))

    def _guess(self, size: int) -> npt.NDArray[np.int64]:
        """Room for a batch of so many bytes, a little more than the last one took."""
        return self._taken * size * 9 // (self._bytes * 8) + _LEAST


class _Room:
    """The arrays that the compiled pass may fill up.

    Args:
        room: int64 ``[4]``, how much of each there is to begin with.
        base: bytes of the messages.
    """

    def __init__(self, room: npt.NDArray[np.int64], base: int) -> None:
        self.used = np.zeros(4, np.int64)
        self.filling = np.zeros(2, np.int64)
        self.entries = np.empty((2, max(room[OWN], room[EXTRA]), 2), np.int64)
        self.pending = np.empty((room[PENDING], 3), np.int64)
        self.arena = Arena(base, int(room[ARENA]))

    def grow(self, message: int) -> None:
        """Twice the room, and enough for a message of so many bytes."""
        entries = np.empty((2, 2 * self.entries.shape[1] + message // 4, 2), np.int64)
        most = max(self.used[OWN], self.used[EXTRA])
        entries[:, :most] = self.entries[:, :most]
        pending = np.empty((2 * len(self.pending) + message // 4, 3), np.int64)
        pending[: self.used[PENDING]] = self.pending[: self.used[PENDING]]
        arena = Arena(self.arena.base, 2 * self.arena.capacity + message)
        arena.array[: self.used[ARENA]] = self.arena.array[: self.used[ARENA]]
        self.entries, self.pending, self.arena = entries, pending, arena

    def plane(self, plane: int) -> tuple[npt.NDArray[np.int32], int]:
        """The entries of one plane as ``MapSpans`` has them, and how many there are."""
        used = int(self.used[plane])
        return self.entries[plane, :used].view(np.int32).reshape(used, 2, 2), used


def _finish(messages: Messages, room: _Room, sure: Mask) -> None:
    """Make the pending values canonical; a row with one that is refused is not sure."""
    rows, planes, entries = room.pending[: room.used[PENDING]].T
    if len(rows) == 0:
        return
    spans = room.entries[planes, entries, 1]
    starts, sizes = spans & 0xFFFFFFFF, spans >> 32
    numbered: dict[tuple[bytes, int], int] = {}
    data = messages.source.data
    texts = [
        numbered.setdefault((bytes(data[start : start + size]), plane), len(numbered))
        for start, size, plane in zip(starts.tolist(), sizes.tolist(), planes.tolist(), strict=True)
    ]
    canonical = [_canonical(text, plane) for text, plane in numbered]
    lengths = np.array([-1 if text is None else len(text) for text in canonical], np.int64)
    first, _ = room.arena.add(b"".join(text for text in canonical if text))
    ends = np.fromiter(accumulate(np.maximum(lengths, 0).tolist()), np.int64, len(canonical))
    made = (first + ends - np.maximum(lengths, 0)) | lengths << 32
    room.entries[planes, entries, 1] = made[texts]
    sure[rows[lengths[texts] < 0]] = False


def _canonical(text: bytes, plane: int) -> bytes | None:
    """Canonical JSON text of a value, or None if the rules refuse it."""
    if text[0] in b"[{":
        try:
            return json_text(parse_json(text), field="", depth=_DEPTHS[plane]).encode()
        except Refused:
            return None
    value = float(text)
    return repr(value).encode() if math.isfinite(value) else None
