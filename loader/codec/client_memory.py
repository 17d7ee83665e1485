"""Messages where the Kafka client's C library keeps them, copied to where they are wanted, once.

A message is an ``rd_kafka_message_t`` (librdkafka, rdkafka.h: public), of which only the address comes
here. Compiled code follows the addresses, without the GIL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from loader.codec.compiled import compiled, inner
from loader.codec.primitives import LINE, MOST_AHEAD, prefetched
from loader.codec.spans import Bytes, Mask

Addresses = npt.NDArray[np.uint64]
Int64s = npt.NDArray[np.int64]

#: Where the fields of rd_kafka_message_t stand. Its error is its first; a size stands behind its address.
_TOPIC: Final = np.uint64(8)
_PARTITION: Final = np.uint64(16)
_VALUE: Final = np.uint64(24)
_KEY: Final = np.uint64(40)
_OFFSET: Final = np.uint64(56)

#: Messages that are asked for ahead.
_AHEAD: Final = 4


@dataclass(frozen=True, slots=True)
class Functions:
    """Addresses of the library's functions, all of which take a message.

    Attributes:
        timestamp: ``int64 rd_kafka_message_timestamp(message, *type)``.
        headers: ``int rd_kafka_message_headers(message, **headers)``; 0 if there are some.
        destroy: ``void rd_kafka_message_destroy(message)``.
    """

    timestamp: int
    headers: int
    destroy: int


class Scanned:
    """What is known of some messages, which are copied later.

    Args:
        addresses: where they are; they have to stay there until they are released.
        functions: of the library that they came from.

    Attributes:
        errors: the library's error code; 0 for a message.
        topics: address of the topic's handle.
        partitions: their partitions.
        offsets: their offsets.
        arrival_ms: Kafka's time, milliseconds; -1 where there is none.
        with_headers: whether they have some.
        released: whether they are gone.
    """

    def __init__(self, addresses: Addresses, functions: Functions) -> None:
        count = len(addresses)
        self._addresses = addresses
        self._functions = functions
        self.errors, self.partitions, self.offsets, self.arrival_ms = np.empty((4, count), np.int64)
        self._bounds = np.zeros((2, count + 1), np.int64)
        self._nulls = np.empty((2, count), np.bool_)
        self.topics = np.empty(count, np.uint64)
        self.with_headers = np.empty(count, np.bool_)
        self.released = False
        scratch = np.zeros(2, np.uint64)
        _scan(
            addresses, np.uint64(functions.timestamp), np.uint64(functions.headers),
            np.uint64(scratch.ctypes.data), self.errors, self.topics, self.partitions, self.offsets,
            self.arrival_ms, self._bounds, self._nulls, self.with_headers,
        )  # fmt: skip
        self._has_nulls = [bool(nulls.any()) for nulls in self._nulls]

    def values(self, start: int, stop: int) -> ClientValues:
        """Values of some of them."""
        return self._some(0, _VALUE, start, stop)

    def keys(self, start: int, stop: int) -> ClientValues:
        """Keys of some of them."""
        return self._some(1, _KEY, start, stop)

    def _some(self, which: int, field: np.uint64, start: int, stop: int) -> ClientValues:
        nulls = self._nulls[which, start:stop] if self._has_nulls[which] else None
        bounds = self._bounds[which, start : stop + 1]
        return ClientValues(self, self._addresses[start:stop], field, bounds, nulls)

    def release(self) -> None:
        """Give them back to the library; nothing can be copied afterwards."""
        if not self.released:
            self.released = True
            _release(self._addresses, np.uint64(self._functions.destroy))


@dataclass(frozen=True, slots=True)
class ClientValues:
    """Values (or keys) that are still in the library's memory (see :class:`~loader.codec.joining.Values`).

    Attributes:
        scanned: what they belong to.
        addresses: of their messages.
        field: which of a message's fields they are.
        bounds: int64, one more than values; where they would stand if all that was scanned were joined.
        nulls: which are null; None where none is.
    """

    scanned: Scanned
    addresses: Addresses
    field: np.uint64
    bounds: Int64s
    nulls: Mask | None

    def __len__(self) -> int:
        return len(self.addresses)

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return int(self.bounds[-1] - self.bounds[0])

    def slice(self, start: int, stop: int) -> ClientValues:
        """Some of them."""
        nulls = None if self.nulls is None else self.nulls[start:stop]
        bounds = self.bounds[start : stop + 1]
        return ClientValues(self.scanned, self.addresses[start:stop], self.field, bounds, nulls)

    def copy_to(self, target: Bytes) -> None:
        """Copy them to the beginning of ``target``, one after the other.

        Raises:
            ValueError: they were released, or there is no room for them.
        """
        if self.scanned.released:
            raise ValueError("these messages were given back to the Kafka client")
        if self.size > len(target):
            raise ValueError(f"{self.size} bytes do not fit into {len(target)}")
        start = target.ctypes.data - int(self.bounds[0])
        _copy(self.addresses, self.field, np.uint64(start), self.bounds)


def _pointer(builder: Any, address: Any, bits: int) -> Any:
    return builder.inttoptr(address, ir.IntType(bits).as_pointer())


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def _word(_context: Any, _address: Any) -> Any:
    """The eight bytes at an address."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.load(_pointer(builder, arguments[0], 64))

    return types.uint64(types.uint64), generate


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def _int(_context: Any, _address: Any) -> Any:
    """The C ``int`` at an address."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.load(_pointer(builder, arguments[0], 32))

    return types.int32(types.uint64), generate


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def _move(_context: Any, _to: Any, _from: Any, _size: Any) -> Any:
    """The C library's memcpy."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        to, source = (_pointer(builder, each, 8) for each in arguments[:2])
        cgutils.raw_memcpy(builder, to, source, arguments[2], 1)
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint64, types.uint64), generate


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def _ask_for(_context: Any, _address: Any) -> Any:
    """Ask for the cache line at an address, which will be read soon."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        prefetched(builder, _pointer(builder, arguments[0], 8))
        return context.get_dummy_value()

    return types.void(types.uint64), generate


def _caller(returned: Any, native: Any, parameters: int) -> Any:
    """Calls a C function by its address, with so many addresses."""
    kind = ir.FunctionType(native, [ir.IntType(64)] * parameters)

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        result = builder.call(function, arguments[1:])
        return context.get_dummy_value() if returned is types.void else result

    signature = returned(*[types.uint64] * (parameters + 1))
    return signature, generate


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def _call_long(_context: Any, _function: Any, _first: Any, _second: Any) -> Any:
    return _caller(types.int64, ir.IntType(64), 2)


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def _call_int(_context: Any, _function: Any, _first: Any, _second: Any) -> Any:
    return _caller(types.int32, ir.IntType(32), 2)


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def _call_void(_context: Any, _function: Any, _first: Any) -> Any:
    return _caller(types.void, ir.VoidType(), 1)


@inner
def _size(message: Any, field: Any) -> int:
    """Bytes of a value or key, whose size stands behind its address; -1 for null."""
    if _word(message + field) == np.uint64(0):
        return -1
    return int(np.int64(_word(message + field + np.uint64(8))))


@compiled
def _scan(
    addresses: Any, timestamp: Any, headers: Any, scratch: Any, errors: Any, topics: Any,
    partitions: Any, offsets: Any, arrival: Any, bounds: Any, nulls: Any, with_headers: Any,
) -> None:  # fmt: skip
    count = len(addresses)
    for place in range(count):
        if place + 2 * _AHEAD < count:
            _ask_for(addresses[place + 2 * _AHEAD])
            _ask_for(addresses[place + 2 * _AHEAD] + np.uint64(LINE))
        if place + _AHEAD < count:
            coming = addresses[place + _AHEAD]
            # Headers are not parsed before somebody asks for them, and stand behind the value.
            _ask_for(_word(coming + _VALUE) + _word(coming + _VALUE + np.uint64(8)))
        message = addresses[place]
        errors[place] = _int(message)
        topics[place] = _word(message + _TOPIC)
        partitions[place] = _int(message + _PARTITION)
        offsets[place] = np.int64(_word(message + _OFFSET))
        size, key_size = _size(message, _VALUE), _size(message, _KEY)
        nulls[0, place], nulls[1, place] = size < 0, key_size < 0
        bounds[0, place + 1] = bounds[0, place] + max(size, 0)
        bounds[1, place + 1] = bounds[1, place] + max(key_size, 0)
        arrival[place] = _call_long(timestamp, message, scratch)
        with_headers[place] = _call_int(headers, message, scratch + np.uint64(8)) == 0


@compiled
def _copy(addresses: Any, field: Any, to: Any, bounds: Any) -> None:
    count = len(addresses)
    for place in range(count):
        if place + _AHEAD < count:
            start = _word(addresses[place + _AHEAD] + field)
            size = bounds[place + _AHEAD + 1] - bounds[place + _AHEAD]
            for line in range(0, min(size, MOST_AHEAD), LINE):
                _ask_for(start + np.uint64(line))
        size = bounds[place + 1] - bounds[place]
        if size > 0:
            source = _word(addresses[place] + field)
            _move(to + np.uint64(bounds[place]), source, np.uint64(size))


@compiled
def _release(addresses: Any, destroy: Any) -> None:
    for place in range(len(addresses)):
        _call_void(destroy, addresses[place])
