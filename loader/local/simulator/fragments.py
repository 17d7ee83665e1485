"""Bytes of parts of messages: JSON members and Avro fields.

Written out here rather than taken from a library because a message is put together from parts, and
because the traffic must not depend on the loader's own codec. Tests decode every message with
fastavro and orjson and compare. Avro rules: Apache Avro specification, "Binary encoding".
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import numpy as np
import orjson
import pyarrow as pa

from loader.local.simulator.hashing import Ints

Value = str | int | float | bool | None

#: Branches of the union of a property value, in schema order.
_NULL, _STRING, _LONG, _DOUBLE, _BOOLEAN = range(5)


def json_value(value: Value) -> str:
    """A property's JSON text."""
    return orjson.dumps(value).decode()


def json_texts(fields: Sequence[str], row: Mapping[str, str], *, spell_nulls: bool) -> bytes:
    """Members of nullable text fields, each with a comma before it."""
    parts = [
        f',"{name}":'.encode() + orjson.dumps(row.get(name))
        for name in fields
        if spell_nulls or name in row
    ]
    return b"".join(parts)


def json_properties(field: str, row: Mapping[str, Value] | None) -> bytes:
    """The member of a property map, with a comma before it; empty if absent."""
    return b"" if row is None else f',"{field}":'.encode() + orjson.dumps(row)


def avro_long(value: int) -> bytes:
    """A zig-zag variable-length long."""
    word = (value << 1) ^ (value >> 63)
    out = bytearray()
    while word > 0x7F:
        out.append((word & 0x7F) | 0x80)
        word >>= 7
    out.append(word)
    return bytes(out)


def avro_string(value: str) -> bytes:
    """A string: length, then UTF-8."""
    data = value.encode()
    return avro_long(len(data)) + data


def avro_text(value: str | None) -> bytes:
    """A ``["null", "string"]`` field."""
    return avro_long(0) if value is None else avro_long(1) + avro_string(value)


def avro_properties(row: Mapping[str, Value] | None) -> bytes:
    """A ``["null", map<union{null,string,long,double,boolean}>]`` field."""
    if row is None:
        return avro_long(0)
    parts = [avro_long(1)]
    if row:
        parts.append(avro_long(len(row)))
        parts += [avro_string(key) + _avro_value(value) for key, value in row.items()]
    parts.append(avro_long(0))
    return b"".join(parts)


def _avro_value(value: Value) -> bytes:
    if value is None:
        return avro_long(_NULL)
    if isinstance(value, bool):
        return avro_long(_BOOLEAN) + bytes([value])
    if isinstance(value, int):
        return avro_long(_LONG) + avro_long(value)
    if isinstance(value, float):
        return avro_long(_DOUBLE) + struct.pack("<d", value)
    return avro_long(_STRING) + avro_string(value)


def avro_longs(values: Ints) -> pa.BinaryArray:
    """Each value as a zig-zag variable-length long, all at once."""
    word = ((values << 1) ^ (values >> 63)).astype(np.uint64)
    digits = np.empty((len(values), 10), np.uint8)
    rest = word.copy()
    lengths = np.ones(len(values), np.int64)
    for place in range(10):
        digits[:, place] = (rest & np.uint64(0x7F)).astype(np.uint8)
        rest >>= np.uint64(7)
        more = rest > 0
        digits[more, place] |= 0x80
        lengths += more
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    data = digits[np.arange(10) < lengths[:, None]]
    return pa.BinaryArray.from_buffers(
        pa.binary(), len(values), [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )
