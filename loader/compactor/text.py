"""Text that fits its column: lengths are bytes, and no value may fail the whole COPY."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def fit(values: pa.Array, length: int) -> tuple[pa.Array, int]:
    """Cut texts to ``length`` bytes at a character's boundary, and drop NULs, which no column holds.

    Returns:
        The texts (string array of the same length) and how many of them were changed.
    """
    changed = 0
    if _has_nul(values):
        found = pc.fill_null(pc.match_substring(values, pattern="\0"), fill_value=False)
        changed += int(pc.sum(found).as_py() or 0)
        values = pc.replace_substring(values, pattern="\0", replacement="")
    longer = pc.fill_null(pc.greater(pc.binary_length(values), length), fill_value=False)
    count = int(pc.sum(longer).as_py() or 0)
    if not count:
        return values, changed
    cut = [text.encode()[:length].decode(errors="ignore") for text in _texts(values, longer)]
    return pc.replace_with_mask(values, longer, pa.array(cut, pa.string())), changed + count


def _texts(values: pa.Array, mask: pa.Array) -> list[str]:
    found: list[str] = values.filter(mask).to_pylist()
    return found


def _has_nul(values: pa.Array) -> bool:
    """Whether a NUL may be among the texts: one look at the buffer."""
    data = values.buffers()[2]
    return data is not None and bool((np.frombuffer(data, np.uint8) == 0).any())
