"""Avro maps of unions as maps of JSON text, a column at a time."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loader.codec.columns import (
    Mask,
    build_map,
    is_plain_fraction,
    map_parts,
    mask_of,
    repeated_keys,
    replace,
    rows_of,
)
from loader.codec.values import quote

#: RE2: the characters that JSON text has to escape.
_ESCAPED: Final = r'["\\\x00-\x1f]'


def union_properties(column: pa.Array[Any]) -> tuple[pa.Array[Any], Mask]:
    """A map of unions as ``map<string, JSON text>``, and the rows that the reference must see."""
    offsets, keys, union, valid = map_parts(column)
    doubtful = repeated_keys(offsets, keys)
    texts, refused = _union_texts(union)
    if refused.any():
        doubtful[rows_of(offsets)[refused]] = True
    return build_map(offsets, keys, texts, valid), doubtful


def _union_texts(union: pa.Array[Any]) -> tuple[pa.Array[Any], Mask]:
    """JSON text of every value of a sparse union, and the mask of the values that have none."""
    codes = union.type_codes.to_numpy()
    refused = np.zeros(len(union), np.bool_)
    pieces: list[pa.Array[Any]] = [pa.nulls(1, pa.string())]
    place = np.zeros(len(union), np.int64)
    total = 1
    for branch in range(union.type.num_fields):
        at = np.flatnonzero(codes == union.type.type_codes[branch])
        if len(at) == 0 or pa.types.is_null(union.field(branch).type):
            continue
        # Values come again and again: each is written once.
        encoded = union.field(branch).take(pa.array(at)).dictionary_encode()
        which = encoded.indices.to_numpy()
        values = encoded.dictionary
        if pa.types.is_floating(values.type):
            refused[at] = ~np.isfinite(values.to_numpy())[which]
        place[at] = which + total
        pieces.append(_texts(values))
        total += len(values)
    return pa.concat_arrays(pieces).take(pa.array(place)), refused


def _texts(values: pa.Array[Any]) -> pa.Array[Any]:
    """JSON text of values of one type."""
    if pa.types.is_string(values.type):
        quoted = pc.binary_join_element_wise('"', values, '"', "")
        special = mask_of(pc.match_substring_regex(values, _ESCAPED))
        if special.any():
            escaped = [quote(text) for text in values.filter(pa.array(special)).to_pylist()]
            quoted = replace(quoted, special, escaped)
        return quoted
    if pa.types.is_floating(values.type):
        # Arrow writes the shortest digits too, but not always in the same notation.
        texts = pc.cast(values, pa.string())
        other = ~is_plain_fraction(texts)
        if other.any():
            texts = replace(
                texts, other, [repr(number) for number in values.to_numpy()[other].tolist()]
            )
        return texts
    return pc.cast(values, pa.string())
