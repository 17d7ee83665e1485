"""A batch of messages as spans: for each value the place in the messages' own bytes where it stands.

Decoding a message means finding its values; copying them is left for later, when the order of the rows
is known. So each byte is copied once, from the message to its place in a sorted Arrow column. A text
that does not stand in its message as it is wanted (an escape undone, a number written out) stands in
the arena instead: a second array of bytes, whose places are counted on from the end of the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loader.codec import gather
from loader.codec.fields import Contract
from loader.codec.primitives import PADDING
from loader.errors import NeedsOperator
from loader.model.events import PROPERTIES, TIME

Bytes = npt.NDArray[np.uint8]
Order = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

#: Places are 32-bit: messages and arena together stay below this.
MAX_BYTES: Final = (1 << 31) - 1

#: The map of the fields that the contract does not know.
EXTRA_FIELD: Final = "extra"
_CLEARED: Final = "cleared"


@dataclass(frozen=True, slots=True)
class Messages:
    """Message values (or keys), joined.

    Attributes:
        source: bytes, with ``PADDING`` more behind the last one.
        bounds: int64, one more than messages: value ``i`` is ``source[bounds[i]:bounds[i + 1]]``. A
            message without a value is empty.
        nulls: which messages have no value; None where all have one.
    """

    source: Bytes
    bounds: npt.NDArray[np.int64]
    nulls: Mask | None = None

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return int(self.bounds[-1] - self.bounds[0])

    def value(self, place: int) -> bytes | None:
        """One of them."""
        if self.nulls is not None and self.nulls[place]:
            return None
        return self.source[self.bounds[place] : self.bounds[place + 1]].tobytes()

    def slice(self, start: int, stop: int) -> Messages:
        """Some of them; the bytes are shared, so what stands behind the last one is the next one."""
        nulls = None if self.nulls is None else self.nulls[start:stop]
        return Messages(self.source, self.bounds[start : stop + 1], nulls)

    def copy_to(self, target: Bytes) -> None:
        """Copy them to the beginning of ``target``, one after the other."""
        target[: self.size] = self.source[self.bounds[0] : self.bounds[-1]]

    @classmethod
    def join(cls, values: Sequence[bytes | None]) -> Messages:
        """Join values.

        Raises:
            ValueError: they hold 1 GiB or more.
        """
        nulls = None
        filled: Iterable[bytes] = values  # type: ignore[assignment]
        if not all(values):
            nulls = np.fromiter((value is None for value in values), np.bool_, len(values))
            filled = [value or b"" for value in values]
        bounds = np.zeros(len(values) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, filled), np.int64, len(values)), out=bounds[1:])
        if bounds[-1] > MAX_BYTES // 2:
            raise ValueError(f"a batch of {bounds[-1]} bytes cannot be decoded")
        joined = b"".join([*filled, bytes(PADDING)])
        return cls(np.frombuffer(joined, np.uint8), bounds, nulls)


def _check_places(end: int) -> None:
    if end > MAX_BYTES:
        raise NeedsOperator(
            "The texts of one batch take more than 2 GiB.",
            hint="Lower batch.max_bytes and start again; nothing of the batch was written.",
        )


class Arena:
    """Bytes that stand in no message. Compiled code writes to ``array`` from ``used`` on.

    Args:
        base: the place of its first byte: the size of the messages' array.
        capacity: bytes to begin with; ``add`` makes room for more, compiled code cannot.

    Raises:
        NeedsOperator: here and in ``add``: its places would not fit into 32 bits.
    """

    def __init__(self, base: int, capacity: int) -> None:
        _check_places(base + capacity)
        self.base = base
        self.array: Bytes = np.zeros(capacity + PADDING, np.uint8)
        self.used = 0

    @property
    def capacity(self) -> int:
        """Bytes that it can hold as it is."""
        return len(self.array) - PADDING

    def add(self, text: bytes) -> tuple[int, int]:
        """Keep ``text``; returns its span."""
        end = self.used + len(text)
        if end > self.capacity:
            _check_places(self.base + end)
            grown = np.zeros(max(end, 2 * self.capacity) + PADDING, np.uint8)
            grown[: self.used] = self.array[: self.used]
            self.array = grown
        start = self.used
        self.array[start:end] = np.frombuffer(text, np.uint8)
        self.used = end
        return self.base + start, len(text)


@dataclass(slots=True)
class MapSpans:
    """A column of maps.

    Attributes:
        firsts: int32, for each row the number of its first entry.
        counts: int32, for each row its entries; -1 is a null map.
        entries: int32 ``[room, 2, 2]``: for each entry the spans of its key and of its value's JSON
            text; a value of size -1 is a null.
        used: how many of ``entries`` are filled.
    """

    firsts: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int32]
    entries: npt.NDArray[np.int32]
    used: int = 0

    @classmethod
    def empty(cls, rows: int, room: int) -> MapSpans:
        """No map in any row, and room for so many entries."""
        return cls(
            firsts=np.zeros(rows, np.int32),
            counts=np.full(rows, -1, np.int32),
            entries=np.zeros((room, 2, 2), np.int32),
        )

    def put(self, row: int, members: Mapping[str, str | None] | None, arena: Arena) -> None:
        """Set one row."""
        if members is None:
            self.counts[row] = -1
            return
        self.firsts[row], self.counts[row] = self.used, len(members)
        if self.used + len(members) > len(self.entries):
            room = max(2 * len(self.entries), self.used + len(members), 64)
            grown = np.zeros((room, 2, 2), np.int32)
            grown[: self.used] = self.entries[: self.used]
            self.entries = grown
        for name, text in members.items():
            value = (0, -1) if text is None else arena.add(text.encode())
            self.entries[self.used] = (arena.add(name.encode()), value)
            self.used += 1


@dataclass(slots=True)
class Spans:
    """The values of a batch of messages, a row for each message; rows that were refused hold anything.

    Attributes:
        contract: which fields there are.
        source: the messages' bytes.
        numbers: int64 ``[ids and the time, rows]``, in the contract's order; the time in microseconds.
        texts: int32 ``[rows, text fields, 2]``: start and size of each text; size -1 is a null.
        maps: the contract's maps by name, and ``extra``: the unknown fields.
        cleared: uint8, for each row one bit for each of the contract's clearable fields.
        arena: texts that stand in no message.
    """

    contract: Contract
    source: Bytes
    numbers: npt.NDArray[np.int64]
    texts: npt.NDArray[np.int32]
    maps: dict[str, MapSpans]
    cleared: npt.NDArray[np.uint8]
    arena: Arena
    _numbered: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._numbered = (*self.contract.ids, self.contract.time)

    @classmethod
    def empty(cls, contract: Contract, messages: Messages, *, entries: int, arena: int) -> Spans:
        """Spans of nothing yet: every text and every map is null.

        Args:
            contract: which fields there are.
            messages: what the spans will point to.
            entries: room for so many entries in each map column.
            arena: bytes of the arena.
        """
        rows = len(messages)
        texts = np.zeros((rows, len(contract.texts), 2), np.int32)
        texts[:, :, 1] = -1
        return cls(
            contract=contract,
            source=messages.source,
            numbers=np.zeros((len(contract.ids) + 1, rows), np.int64),
            texts=texts,
            maps={name: MapSpans.empty(rows, entries) for name in (*contract.maps, EXTRA_FIELD)},
            cleared=np.zeros(rows, np.uint8),
            arena=Arena(len(messages.source), arena),
        )

    def number(self, name: str) -> npt.NDArray[np.int64]:
        """An id or the time (microseconds) of every row."""
        numbers: npt.NDArray[np.int64] = self.numbers[self._numbered.index(name)]
        return numbers

    def put(self, row: int, values: Mapping[str, Any]) -> None:
        """Set one row to values as the reference decoder gives them."""
        contract = self.contract
        for place, name in enumerate(self._numbered):
            self.numbers[place, row] = values[name]
        for place, name in enumerate(contract.texts):
            text = values[name]
            self.texts[row, place] = (0, -1) if text is None else self.arena.add(text.encode())
        for name, column in self.maps.items():
            column.put(row, values[name], self.arena)
        marked = values.get(_CLEARED) or ()
        self.cleared[row] = sum(1 << contract.clearable.index(name) for name in marked)

    def take(self, order: Order) -> pa.RecordBatch:
        """The given rows, in the given order, as columns of the contract."""
        columns: dict[str, pa.Array[Any]] = {}
        for place, name in enumerate(self._numbered):
            columns[name] = pa.array(self.numbers[place][order])
        columns[self.contract.time] = columns[self.contract.time].view(TIME)
        columns |= zip(self.contract.texts, self._texts(self.texts, order), strict=True)
        columns |= {name: self._map(spans, order) for name, spans in self.maps.items()}
        schema = self.contract.columns
        if _CLEARED in schema.names:
            columns[_CLEARED] = self._cleared(order)
        return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)

    def unknown(self, order: Order) -> dict[str, int]:
        """The names of the unknown fields in the given rows, and how often each came."""
        extra = self.maps[EXTRA_FIELD]
        if extra.used == 0:
            return {}
        names = self._map(extra, order).keys.value_counts()
        return dict(zip(*(names.field(place).to_pylist() for place in (0, 1)), strict=True))

    def _texts(self, spans: npt.NDArray[np.int32], order: Order) -> list[pa.Array[Any]]:
        """The columns of ``spans`` (``[rows, columns, 2]``); all share one buffer of bytes."""
        count, width = len(order), spans.shape[1]
        totals, nulls = np.zeros(width, np.int64), np.zeros(width, np.int64)
        reach = np.empty((count, 4), np.int32)
        gather.sizes(spans, order, len(self.source), totals, nulls, reach)
        places = np.array([0, *accumulate((totals + PADDING).tolist())], np.int64)
        out = np.empty(places[-1], np.uint8)
        offsets = np.zeros((width, count + 1), np.int32)
        valid = np.zeros((width, -(-count // 8)), np.uint8)
        gather.copy_texts(
            self.source,
            self.arena.array,
            spans,
            order,
            reach,
            places[:-1].copy(),
            out,
            offsets,
            valid,
        )
        data = pa.py_buffer(out)
        columns: list[pa.Array[Any]] = []
        for column in range(width):
            missing = int(nulls[column])
            if missing == count:
                columns.append(pa.nulls(count, pa.string()))
                continue
            buffers = [
                pa.py_buffer(valid[column]) if missing else None,
                pa.py_buffer(offsets[column]),
                data.slice(int(places[column]), int(totals[column])),
            ]
            columns.append(pa.Array.from_buffers(pa.string(), count, buffers, missing))
        return columns

    def _map(self, spans: MapSpans, order: Order) -> pa.Array[Any]:
        count = len(order)
        offsets = np.zeros(count + 1, np.int32)
        valid = np.zeros(-(-count // 8), np.uint8)
        nulls = gather.map_offsets(spans.counts, order, offsets, valid)
        if nulls == count:
            return pa.nulls(count, PROPERTIES)
        entries = np.empty(offsets[-1], np.int64)
        gather.map_entries(spans.firsts, spans.counts, order, entries)
        keys, values = self._texts(spans.entries, entries)
        pairs = pa.StructArray.from_arrays([keys, values], fields=_PAIR)
        buffers = [pa.py_buffer(valid) if nulls else None, pa.py_buffer(offsets)]
        return pa.Array.from_buffers(PROPERTIES, count, buffers, nulls, children=[pairs])

    def _cleared(self, order: Order) -> pa.Array[Any]:
        """Lists of names; rows share the few lists that there can be."""
        kind = self.contract.columns.field(_CLEARED).type
        marks = self.cleared[order]
        if not marks.any():
            return pa.nulls(len(order), kind)
        names = self.contract.clearable
        lists = [
            [name for place, name in enumerate(names) if mark >> place & 1] or None
            for mark in range(1 << len(names))
        ]
        return pa.array(lists, kind).take(pa.array(marks))


_PAIR: Final = [
    pa.field("key", pa.string(), nullable=False),
    pa.field("value", pa.string()),
]
