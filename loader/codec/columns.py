"""Vectorised pieces that both fast decoders use: JSON text of property values, repeated keys, times.

Each gives, beside its result, the rows of which it cannot say that the result is what the rules of
``loader.codec.values`` give. Those go to the reference decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loader.codec.contract import Reason
from loader.codec.values import MAX_INTEGER_DIGITS, Refused, json_text, parse_json
from loader.model.events import PROPERTIES

Mask = npt.NDArray[np.bool_]

#: Rows that are looked at one by one where one of them is bad.
_FEW: Final = 256


def lookup(characters: bytes) -> Mask:
    """A table of 256 booleans, true for the given bytes."""
    table = np.zeros(256, np.bool_)
    table[list(characters)] = True
    return table


def string_buffers(strings: pa.Array[Any]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Offsets (one more than rows) and bytes of a string column. A null may cover bytes or none."""
    _, offsets, data = strings.buffers()
    count = len(strings) + 1
    if offsets is None or offsets.size == 0:
        return np.zeros(count, np.int32), np.empty(0, np.uint8)
    table = np.frombuffer(offsets, np.int32, strings.offset + count)[strings.offset :]
    empty = data is None or data.size == 0
    return table, np.empty(0, np.uint8) if empty else np.frombuffer(data, np.uint8)


def strings(values: Sequence[bytes]) -> pa.Array[Any]:
    """The values as a string column, whatever their bytes."""
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, values), np.int32, len(values)), out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(pa.string(), len(values), buffers)


def not_utf8(texts: pa.Array[Any]) -> Mask:
    """Rows of a string column that are not UTF-8."""
    wrong = np.zeros(len(texts), np.bool_)
    if _is_valid(texts):
        return wrong
    for start in range(0, len(texts), _FEW):
        few = texts.slice(start, _FEW)
        if not _is_valid(few):
            wrong[start : start + _FEW] = [not _is_valid(few.slice(i, 1)) for i in range(len(few))]
    return wrong


def _is_valid(column: pa.Array[Any]) -> bool:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def validity(column: pa.Array[Any]) -> Mask:
    """True where a value is not null."""
    if column.null_count == 0:
        return np.ones(len(column), np.bool_)
    return mask_of(column.is_valid())


def mask_of(column: pa.Array[Any]) -> Mask:
    """A boolean column without nulls as a mask."""
    return np.array(column.to_numpy(zero_copy_only=False), np.bool_)


def first_byte_in(strings: pa.Array[Any], table: Mask) -> Mask:
    """True where a value is not null, not empty, and starts with a byte of ``table``."""
    offsets, data = string_buffers(strings)
    if strings.null_count == len(strings) or data.size == 0:
        return np.zeros(len(strings), np.bool_)
    found = table[data[np.minimum(offsets[:-1], data.size - 1)]]
    found &= offsets[1:] > offsets[:-1]
    if strings.null_count and found.any():
        found &= validity(strings)
    return found


def replace(strings: pa.Array[Any], mask: Mask, values: Sequence[str | None]) -> pa.Array[Any]:
    """``strings`` with ``values`` in the places of ``mask``, in order."""
    return pc.replace_with_mask(strings, pa.array(mask), pa.array(values, pa.string()))


def each(items: pa.Array[Any], convert: Callable[[Any], str]) -> tuple[list[str | None], Mask]:
    """Convert value by value; a value that is refused gives None and is marked in the mask."""
    out: list[str | None] = []
    refused = np.zeros(len(items), np.bool_)
    for place, item in enumerate(items.to_pylist()):
        try:
            out.append(convert(item))
        except Refused:
            out.append(None)
            refused[place] = True
    return out, refused


_AS_IT_IS: Final = lookup(b'"tf')
_NESTED: Final = lookup(b"{[")

#: RE2: decimal digits that are their own canonical form, given at most 15 of them. A decimal of up to
#: 15 significant digits is the shortest text of its double (IEEE 754: DBL_DIG), and Python's ``repr``
#: writes it so from 0.0001 up.
_PLAIN: Final = (
    r"^-?(?:[1-9][0-9]*\.(?:0|[0-9]*[1-9])|0\.(?:0|0{0,3}[1-9]|0{0,3}[1-9][0-9]*[1-9]))\z"
)
_PLAIN_LENGTH: Final = 16
_INTEGER: Final = r"^(?:0|-?[1-9][0-9]*)\z"


def canonical_json(items: pa.Array[Any], *, depth: int) -> tuple[pa.Array[Any], Mask]:
    """JSON text that DuckDB wrote, brought into the form of ``values.json_text``.

    DuckDB's strings, ``true`` and ``false`` have that form, and so have most numbers; other numbers
    and nested values are converted one by one.

    Returns:
        The texts, and the mask of the items that the rules refuse.
    """
    other = validity(items) & ~first_byte_in(items, _AS_IT_IS)
    if other.any():
        numbers = items.filter(pa.array(other))
        whole = _matches(numbers, _INTEGER) & (_lengths(numbers) <= MAX_INTEGER_DIGITS)
        other[other] = ~(whole | is_plain_fraction(numbers))
    refused = np.zeros(len(items), np.bool_)
    if not other.any():
        return items, refused
    nested = other & first_byte_in(items, _NESTED)
    for mask, convert in (
        (nested, lambda text: json_text(parse_json(text.encode()), field="", depth=depth)),
        (other & ~nested, _number_text),
    ):
        if mask.any():
            texts, refused[mask] = each(items.filter(pa.array(mask)), convert)
            items = replace(items, mask, texts)
    return items, refused


#: RE2: numbers that no other notation writes in fewer characters than these have.
_SHORTEST: Final = (
    r"^-?(?:0|[1-9][0-9]*|[1-9][0-9]*\.[0-9]*[1-9]|(?:[1-9][0-9]*)?[1-9]\.0|0\.0"
    r"|0\.0?(?:[1-9]|[1-9][0-9]*[1-9]))\z"
)


def may_be_longer(items: pa.Array[Any]) -> Mask:
    """True for JSON text of which the same value could have been sent in fewer characters.

    Of a number with n digits the shortest other notation is n digits and an exponent, ``5e1``.
    """
    other = validity(items) & ~first_byte_in(items, _AS_IT_IS)
    if other.any():
        other[other] = ~_matches(items.filter(pa.array(other)), _SHORTEST)
    return other


def is_plain_fraction(numbers: pa.Array[Any]) -> Mask:
    """True for the text of a double that is surely as ``repr`` writes it."""
    return _matches(numbers, _PLAIN) & (_lengths(numbers) <= _PLAIN_LENGTH)


def _number_text(text: str) -> str:
    """Of a fraction or a very long integer; NaN and Infinity are refused."""
    if text.lstrip("-").isdigit():
        return json_text(parse_json(text.encode()), field="", depth=1)
    try:
        return json_text(float(text), field="", depth=1)
    except ValueError:
        raise Refused(Reason.NOT_DECODABLE, "not a number") from None


def _matches(texts: pa.Array[Any], pattern: str) -> Mask:
    return mask_of(pc.match_substring_regex(texts, pattern))


def _lengths(texts: pa.Array[Any]) -> npt.NDArray[np.int32]:
    return np.asarray(pc.binary_length(texts).to_numpy(), np.int32)


def map_parts(
    column: pa.Array[Any],
) -> tuple[npt.NDArray[np.int32], pa.Array[Any], pa.Array[Any], Mask]:
    """Offsets from 0, keys and items of exactly the entries that the rows cover, and the validity.

    A null row covers no entries.
    """
    valid = validity(column)
    offsets = np.asarray(column.offsets.to_numpy(), np.int32)
    if column.null_count and (offsets[1:] > offsets[:-1])[~valid].any():
        column = pa.concat_arrays([column.take(pa.array(np.arange(len(column))))])
        offsets = np.asarray(column.offsets.to_numpy(), np.int32)
    start, stop = int(offsets[0]), int(offsets[-1])
    entries = column.values
    keys = entries.field(0).slice(start, stop - start)
    items = entries.field(1).slice(start, stop - start)
    return offsets - offsets[0], keys, items, valid


def build_map(
    offsets: npt.NDArray[np.int32], keys: pa.Array[Any], items: pa.Array[Any], valid: Mask
) -> pa.Array[Any]:
    """A column of ``PROPERTIES``; rows that are not ``valid`` are null."""
    return pa.MapArray.from_arrays(
        pa.array(offsets, pa.int32()),
        keys,
        items,
        PROPERTIES,
        mask=None if valid.all() else pa.array(~valid),
    )


def rows_of(offsets: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """For every entry of a list or map column, its row."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def repeated_keys(offsets: npt.NDArray[np.int32], keys: pa.Array[Any]) -> Mask:
    """Rows in which a key comes twice."""
    repeated = np.zeros(len(offsets) - 1, np.bool_)
    if len(keys) == 0:
        return repeated
    encoded = keys.dictionary_encode()
    codes = encoded.indices.to_numpy().astype(np.int64)
    row = rows_of(offsets)
    # One bit a key: where each entry of a row has a bit of its own, no key is repeated.
    filled = np.diff(offsets) > 0
    bits = np.bitwise_or.reduceat(
        np.uint64(1) << (codes % 64).astype(np.uint64), offsets[:-1][filled]
    )
    doubtful = np.zeros(len(repeated), np.bool_)
    doubtful[filled] = np.bitwise_count(bits) < np.diff(offsets)[filled]
    if doubtful.any():
        entry = doubtful[row]
        pairs = row[entry] * len(encoded.dictionary) + codes[entry]
        pairs.sort()
        again = pairs[1:][pairs[1:] == pairs[:-1]]
        repeated[again // len(encoded.dictionary)] = True
    return repeated
