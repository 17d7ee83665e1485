"""Arrow columns to PostgreSQL's binary COPY format, whole columns at a time.

A row is an int16 count of fields, then per field an int32 length and so many bytes, all big-endian;
length -1 is NULL (PostgreSQL docs: COPY, Binary Format). The backend spends half as much on it as on
text. No value becomes a Python object: numpy swaps bytes, and Arrow joins the pieces of each row.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
TRAILER = struct.pack("!h", -1)
_NULL = pa.scalar(struct.pack("!i", -1), pa.binary())
_NOTHING = pa.scalar(b"", pa.binary())
_DAYS = 10_957  # from 1970-01-01 to PostgreSQL's own epoch, 2000-01-01
_MICROSECONDS = _DAYS * 86_400_000_000
_DIGITS = 4  # of one digit of PostgreSQL's NUMERIC
_BASE = 10**_DIGITS
_NARROW = 18  # decimal digits that fit in 64 bits
_NEGATIVE = 0x4000

Array = npt.NDArray[np.generic]


def rows(columns: Sequence[pa.Array], types: Sequence[str]) -> memoryview:
    """Rows in binary COPY format, without the file's header and trailer.

    Args:
        columns: arrays of equal length, at least one, with types that :func:`copy_types.fits` let
            pass for ``types``. Together below 2 GiB of text.
        types: PostgreSQL's spelling of the table columns' types, without length.

    Raises:
        pyarrow.ArrowInvalid: a time is beyond what 64 bits of microseconds hold.
    """
    pieces: list[pa.Array | pa.Scalar] = [pa.scalar(struct.pack("!h", len(columns)), pa.binary())]
    for column, kind in zip(columns, types, strict=True):
        pieces += _PIECES[kind](column)
    if len(columns[0]) == 0:
        return memoryview(b"")
    joined = pc.binary_join_element_wise(
        *pieces, _NOTHING, null_handling="replace", null_replacement=_NULL.as_py()
    )
    return memoryview(_content(joined))


def _content(joined: pa.Array) -> pa.Buffer:
    offsets = np.frombuffer(joined.buffers()[1], np.int32)
    first, last = joined.offset, joined.offset + len(joined)
    start = int(offsets[first])
    return joined.buffers()[2].slice(start, int(offsets[last]) - start)


def _cells(values: Array, column: pa.Array) -> list[pa.Array]:
    """A piece of fixed width for each row: its length, then the value. NULL stays NULL."""
    width = values.dtype.itemsize
    cells = np.empty(len(values), np.dtype([("size", ">i4"), ("value", values.dtype)]))
    cells["size"] = width
    cells["value"] = values
    return [_fixed(cells, column)]


def _fixed(cells: Array, column: pa.Array) -> pa.Array:
    width = cells.dtype.itemsize
    offsets = np.arange(0, (len(cells) + 1) * width, width, dtype=np.int32)
    valid = None
    if column.null_count:
        valid = np.packbits(pc.is_valid(column).to_numpy(zero_copy_only=False), bitorder="little")
    buffers = [pa.py_buffer(valid) if valid is not None else None, pa.py_buffer(offsets)]
    return pa.Array.from_buffers(pa.binary(), len(cells), [*buffers, pa.py_buffer(cells)])


def _plain(column: pa.Array, arrow: pa.DataType, dtype: str) -> list[pa.Array]:
    values = column.cast(arrow).fill_null(0) if column.null_count else column.cast(arrow)
    return _cells(values.to_numpy(zero_copy_only=False).astype(dtype), column)


def _number(arrow: pa.DataType, dtype: str) -> Callable[[pa.Array], list[pa.Array]]:
    return lambda column: _plain(column, arrow, dtype)


def _boolean(column: pa.Array) -> list[pa.Array]:
    return _plain(column.cast(pa.uint8()), pa.uint8(), ">u1")


def _date(column: pa.Array) -> list[pa.Array]:
    days = column.cast(pa.int32())
    return _plain(pc.subtract_checked(days, _DAYS), pa.int32(), ">i4")


def _timestamp(column: pa.Array) -> list[pa.Array]:
    zone = column.type.tz if pa.types.is_timestamp(column.type) else None
    since = column.cast(pa.timestamp("us", zone)).cast(pa.int64())
    return _plain(pc.subtract_checked(since, _MICROSECONDS), pa.int64(), ">i8")


def _time(column: pa.Array) -> list[pa.Array]:
    return _plain(column.cast(pa.time64("us")).cast(pa.int64()), pa.int64(), ">i8")


def _bytes(column: pa.Array) -> list[pa.Array]:
    """Text and bytes: two pieces, the length and the value."""
    binary = column.cast(pa.binary())
    sizes = pc.binary_length(binary)
    lengths = (sizes.fill_null(0) if sizes.null_count else sizes).to_numpy(zero_copy_only=False)
    return [_fixed(lengths.astype(">i4"), column), binary.fill_null(b"")]


def _numeric(column: pa.Array) -> list[pa.Array]:
    """int16s: number of digits to base 10,000, weight of the first, sign, decimal places, digits."""
    if pa.types.is_null(column.type):
        column = column.cast(pa.decimal128(1, 0))
    precision, scale = column.type.precision, column.type.scale
    after = -(-scale // _DIGITS)
    before = max(1, -(-(precision - scale) // _DIGITS))
    split = _narrow_digits if precision <= _NARROW else _wide_digits
    digits, negative = split(column, before, after)
    cells = np.empty(
        len(column),
        np.dtype([("size", ">i4"), ("head", ">i2", 4), ("digits", ">i2", before + after)]),
    )
    cells["size"] = 2 * (4 + before + after)
    cells["head"] = (before + after, before - 1, 0, scale)
    cells["head"][:, 2] = np.where(negative, _NEGATIVE, 0)
    cells["digits"] = digits
    return [_fixed(cells, column)]


def _narrow_digits(column: pa.Array, before: int, after: int) -> tuple[Array, Array]:
    """Digits to base 10,000 of numbers that fit in 64 bits, and which are negative."""
    words = np.frombuffer(column.buffers()[1], np.int64)[::2]  # low words, two's complement
    unscaled = words[column.offset : column.offset + len(column)]
    scale = column.type.scale
    whole, part = np.divmod(np.abs(unscaled), np.int64(10**scale))
    digits = np.empty((len(column), before + after), np.int64)
    left = scale
    for place in range(before + after - 1, before - 1, -1):
        taken = left % _DIGITS or _DIGITS  # the last digit may hold fewer decimals
        part, digits[:, place] = np.divmod(part, 10**taken)
        digits[:, place] *= 10 ** (_DIGITS - taken)
        left -= taken
    for place in range(before - 1, -1, -1):
        whole, digits[:, place] = np.divmod(whole, _BASE)
    return digits, unscaled < 0


def _wide_digits(column: pa.Array, before: int, after: int) -> tuple[Array, Array]:
    """The same for numbers of any size, by way of their text."""
    scale = column.type.scale
    behind = after * _DIGITS - scale  # zeros that fill the last digit
    width = (before + after) * _DIGITS - behind
    unscaled = pc.abs(column.cast(pa.decimal128(38, scale))).view(pa.decimal128(38, 0))
    text = pc.utf8_lpad(unscaled.cast(pa.string()).fill_null(""), width, padding="0")
    figures = np.frombuffer(_content(text), np.uint8).reshape(len(column), width) - ord("0")
    figures = np.pad(figures.astype(np.int16), ((0, 0), (0, behind)))
    powers = np.array([1000, 100, 10, 1], np.int16)
    digits = figures.reshape(len(column), before + after, _DIGITS) * powers
    negative = pc.less(column, pa.scalar(0, column.type)).fill_null(False)
    return digits.sum(axis=2, dtype=np.int16), negative.to_numpy(zero_copy_only=False)


_PIECES: dict[str, Callable[[pa.Array], list[pa.Array]]] = {
    "smallint": _number(pa.int16(), ">i2"),
    "integer": _number(pa.int32(), ">i4"),
    "bigint": _number(pa.int64(), ">i8"),
    "real": _number(pa.float32(), ">f4"),
    "double precision": _number(pa.float64(), ">f8"),
    "boolean": _boolean,
    "date": _date,
    "time without time zone": _time,
    "timestamp without time zone": _timestamp,
    "timestamp with time zone": _timestamp,
    "numeric": _numeric,
    "character varying": _bytes,
    "character": _bytes,
    "super": _bytes,
    "varbyte": _bytes,
}
