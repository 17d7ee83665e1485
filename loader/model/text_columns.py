"""Numbers and times read out of text columns, a column at a time (see `loader.model.times`)."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loader.model.times import NUMBER_PATTERN, TIME_PATTERN

_MICROSECONDS_A_DAY: Final = 86_400_000_000


def numbers(texts: pa.Array) -> pa.Array:
    """Doubles of a string array; null where a text is no JSON number."""
    right = pc.match_substring_regex(texts, pattern=rf"\A{NUMBER_PATTERN}\z")
    return pc.cast(pc.if_else(right, texts, pa.scalar(None, pa.string())), pa.float64())


def times_of(texts: pa.Array) -> pa.Array:
    """``timestamp[us]`` (UTC) of a string array; null where a text is no time."""
    parts = pc.extract_regex(texts, pattern=rf"\A{TIME_PATTERN}\z")
    date = pc.struct_field(parts, "date")
    year = _integers(pc.utf8_slice_codeunits(date, 0, 4))
    month = _integers(pc.utf8_slice_codeunits(date, 5, 7))
    day = _integers(pc.utf8_slice_codeunits(date, 8, 10))
    months = (year - 1970) * 12 + np.maximum(month, 1) - 1
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    length = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - first
    seconds = (
        _integers(pc.struct_field(parts, "hour")) * 3600
        + _integers(pc.struct_field(parts, "minute")) * 60
        + _integers(pc.struct_field(parts, "second"))
    )
    fraction = _integers(pc.utf8_rpad(pc.struct_field(parts, "fraction"), 6, padding="0"))
    total = (first + day - 1) * _MICROSECONDS_A_DAY + seconds * 1_000_000 + fraction
    total -= _zone_minutes(pc.struct_field(parts, "zone")) * 60_000_000
    wrong = _booleans(pc.is_null(parts)) | (year < 1) | (day > length)
    return pa.array(total.astype("datetime64[us]"), pa.timestamp("us"), mask=wrong)


def _zone_minutes(zone: pa.Array) -> npt.NDArray[np.int64]:
    """Minutes east of UTC; 0 for none and for ``Z``."""
    offset = pc.fill_null(
        pc.is_in(pc.utf8_slice_codeunits(zone, 0, 1), pa.array(["+", "-"])), False
    )
    shown = pc.if_else(offset, zone, "+00:00")
    minutes = _integers(pc.utf8_slice_codeunits(shown, 1, 3)) * 60
    minutes += _integers(pc.utf8_slice_codeunits(shown, -2, None))
    return np.where(_booleans(pc.starts_with(shown, pattern="-")), -minutes, minutes)


def _integers(texts: pa.Array) -> npt.NDArray[np.int64]:
    """Whole numbers of texts of digits; 0 for null and for the empty text."""
    filled = pc.if_else(pc.equal(pc.fill_null(texts, ""), ""), "0", texts)
    whole: npt.NDArray[np.int64] = pc.cast(filled, pa.int64()).to_numpy(zero_copy_only=False)
    return whole


def _booleans(mask: pa.Array) -> npt.NDArray[np.bool_]:
    flags: npt.NDArray[np.bool_] = mask.to_numpy(zero_copy_only=False)
    return flags
