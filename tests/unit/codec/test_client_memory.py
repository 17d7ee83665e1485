"""Messages in a library's memory, made here by hand, against those that a client's objects hold."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.codec.client_memory import Functions, Scanned
from loader.codec.joining import Joining
from loader.codec.spans import Messages

CONTENT = st.none() | st.binary(max_size=300)
ROWS = st.lists(
    st.tuples(CONTENT, CONTENT, st.integers(-1, 2**62), st.booleans(), st.integers(-190, 0)),
    max_size=30,
)


class Message(ctypes.Structure):
    """rd_kafka_message_t (librdkafka, rdkafka.h)."""

    _fields_ = (
        ("err", ctypes.c_int),
        ("rkt", ctypes.c_void_p),
        ("partition", ctypes.c_int32),
        ("payload", ctypes.c_void_p),
        ("len", ctypes.c_size_t),
        ("key", ctypes.c_void_p),
        ("key_len", ctypes.c_size_t),
        ("offset", ctypes.c_int64),
        ("_private", ctypes.c_void_p),
    )


class Library:
    """Its functions, over messages that stay where they are."""

    def __init__(self) -> None:
        self.messages: dict[int, Message] = {}
        self.times: dict[int, int] = {}
        self.with_headers: set[int] = set()
        self.destroyed: list[int] = []
        self._held: list[object] = []
        two = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
        has = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
        one = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
        self._functions = (
            two(lambda message, _: self.times[message]),
            has(lambda message, _: 0 if message in self.with_headers else -156),
            one(self.destroyed.append),
        )
        addresses = [ctypes.cast(each, ctypes.c_void_p).value or 0 for each in self._functions]
        self.functions = Functions(*addresses)

    def add(
        self, value: bytes | None, key: bytes | None, time: int, headers: bool, error: int
    ) -> int:
        number = len(self.messages)
        message = Message(error, 77, number % 3, *self._bytes(value), *self._bytes(key), number, 0)
        address = ctypes.addressof(message)
        self.messages[address] = message
        self.times[address] = time
        if headers:
            self.with_headers.add(address)
        return address

    def _bytes(self, content: bytes | None) -> tuple[int | None, int]:
        if content is None:
            return None, 0
        # A buffer of one byte at least: what is empty has an address all the same.
        held = ctypes.create_string_buffer(content, max(len(content), 1))
        self._held.append(held)
        return ctypes.addressof(held), len(content)


@settings(deadline=None)  # the first example loads machine code
@given(ROWS, st.data())
def test_it_reads_what_is_there_and_gives_all_of_it_back(
    rows: list[tuple[bytes | None, bytes | None, int, bool, int]], data: st.DataObject
) -> None:
    library = Library()
    addresses = np.array([library.add(*row) for row in rows], np.uint64)
    scanned = Scanned(addresses, library.functions)
    assert scanned.errors.tolist() == [row[4] for row in rows]
    assert scanned.arrival_ms.tolist() == [row[2] for row in rows]
    assert scanned.with_headers.tolist() == [row[3] for row in rows]
    assert scanned.offsets.tolist() == list(range(len(rows)))
    assert scanned.partitions.tolist() == [n % 3 for n in range(len(rows))]
    assert set(scanned.topics.tolist()) <= {77}
    start = data.draw(st.integers(0, len(rows)))
    stop = data.draw(st.integers(start, len(rows)))
    cut = data.draw(st.integers(0, stop - start))
    both = scanned.values(start, stop), scanned.keys(start, stop)
    joined = []
    for values in both:
        joining = Joining()
        joining.add(Messages.join([b"before"]))
        joining.add(values.slice(0, cut))
        joining.add(values.slice(cut, len(values)))
        joined.append(joining.take())
    assert not library.destroyed
    scanned.release()
    scanned.release()
    assert library.destroyed == addresses.tolist()
    for copied, column in zip(joined, (0, 1), strict=True):
        wanted = Messages.join([b"before", *(row[column] for row in rows[start:stop])])  # type: ignore[list-item]
        assert copied.bounds.tolist() == wanted.bounds.tolist()
        assert copied.source.tobytes() == wanted.source.tobytes()
        nulls = [[] if each is None else each.tolist() for each in (copied.nulls, wanted.nulls)]
        # Where nothing is null, an array that says so is the same as none.
        assert any(nulls[0]) == any(nulls[1])
        assert not any(nulls[0]) or nulls[0] == nulls[1]


def test_nothing_is_copied_where_there_is_no_room_or_after_they_were_given_back() -> None:
    library = Library()
    addresses = np.array([library.add(b"value", b"key", 1, False, 0)], np.uint64)
    scanned = Scanned(addresses, library.functions)
    values = scanned.values(0, 1)
    with pytest.raises(ValueError, match="5 bytes do not fit into 4"):
        values.copy_to(np.empty(4, np.uint8))
    scanned.release()
    with pytest.raises(ValueError, match="given back"):
        values.copy_to(np.empty(5, np.uint8))
