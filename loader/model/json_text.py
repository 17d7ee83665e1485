"""JSON values of open-ended properties as text that a person would recognise."""

from __future__ import annotations

import json

import orjson
import pyarrow as pa
import pyarrow.compute as pc


def text_of(value: str | None) -> str | None:
    """The text of one JSON value: a JSON text without its quotes, anything else as it stands.

    A JSON null is an absent value. A lone surrogate, which UTF-8 cannot hold, becomes ``?``.
    """
    if value is None or value == "null":
        return None
    if not value.startswith('"'):
        return value
    return str(json.loads(value)).encode(errors="replace").decode()


def texts_of(values: pa.Array) -> pa.Array:
    """`text_of` for a string array of JSON values: a string array of the same length."""
    values = pc.if_else(pc.equal(values, "null"), pa.scalar(None, pa.string()), values)
    quoted = pc.starts_with(values, pattern='"')
    texts = pc.if_else(quoted, pc.utf8_slice_codeunits(values, 1, -1), values)
    escaped = pc.fill_null(
        pc.and_(quoted, pc.match_substring(values, pattern="\\")), fill_value=False
    )
    if not pc.any(escaped).as_py():
        return texts
    return pc.replace_with_mask(texts, escaped, _unescaped(values.filter(escaped)))


def _unescaped(values: pa.Array) -> pa.Array:
    """JSON texts decoded: one parse of all of them as one JSON list."""
    offsets = pa.array([0, len(values)], pa.int32())
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, values), ",")[0].as_py()
    try:
        return pa.array(orjson.loads(f"[{joined}]"), pa.string())
    except orjson.JSONDecodeError:
        # A lone surrogate: valid JSON, no valid text. Rare enough to look at each value.
        return pa.array([text_of(value) for value in values.to_pylist()], pa.string())
