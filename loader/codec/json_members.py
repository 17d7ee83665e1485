"""The rows of a JSON batch that are more than their filled columns.

There a known field is null, or a field is unknown, or a key is repeated; the keys tell which. Or a
comma is too many. A message without any of it has exactly the length of its columns, put together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loader.codec.columns import (
    Mask,
    build_map,
    canonical_json,
    map_parts,
    mask_of,
    rows_of,
    string_buffers,
    validity,
)
from loader.codec.fields import Contract
from loader.codec.json_reader import JsonReader, Messages
from loader.model.events import PROPERTIES

#: RE2: a comma with nothing behind it, be it inside a string.
_LOOSE_COMMA: Final = r",[ \t\r\n]*[\]}]"


@dataclass(frozen=True, slots=True)
class Unusual:
    """What was found.

    Attributes:
        extra: the column of unknown fields, name to JSON text.
        cleared: the column of the clearable fields that are null on purpose.
        names: the names of all unknown fields, one an entry.
        rows: the row of each of ``names``.
    """

    extra: pa.Array[Any]
    cleared: pa.Array[Any]
    names: pa.Array[Any]
    rows: npt.NDArray[np.int64]


def unusual_members(
    contract: Contract, messages: Messages, reader: JsonReader, unsized: Mask
) -> Unusual:
    """Look at the keys where they have to be looked at. Adds to ``messages.doubtful``.

    Args:
        contract: which message it is.
        messages: with all checks of the known fields done.
        reader: read them.
        unsized: rows in which a value as rendered may be longer than it was in the message.
    """
    total = len(messages.doubtful)
    nothing = Unusual(pa.nulls(total, PROPERTIES), _none_cleared(total), *_no_names())
    lengths = np.diff(string_buffers(messages.texts)[0])
    # Whatever else is in a message makes it longer than its known fields are without it.
    unproven = unsized | (lengths != _least_lengths(contract, messages))
    odd = np.flatnonzero(unproven & ~messages.doubtful)
    if len(odd) == 0:
        return nothing
    texts = messages.texts if len(odd) == total else messages.texts.take(pa.array(odd))
    loose = mask_of(pc.match_substring_regex(texts, _LOOSE_COMMA))
    messages.doubtful[odd] |= loose
    lists = reader.keys(texts)
    filled = np.zeros(len(odd), np.int64)
    for column in messages.columns.values():
        if column.null_count < total:
            filled += validity(column)[odd]
    # As many keys as filled columns: every key is known, there once, and not null.
    other = (np.diff(lists.offsets.to_numpy()) != filled) & ~loose
    if not other.any():
        return nothing
    odd, lists = odd[other], lists.filter(pa.array(other))
    row = rows_of(lists.offsets.to_numpy())
    key = pc.index_in(lists.flatten(), pa.array(contract.known)).fill_null(-1).to_numpy()
    known = key >= 0
    shape = (len(contract.known), len(odd))
    times = np.bincount(key[known] * len(odd) + row[known], minlength=shape[0] * shape[1])
    times = times.reshape(shape)
    messages.doubtful[odd[(times > 1).any(axis=0)]] = True
    nulls: dict[str, Mask] = {}
    for name in contract.clearable:
        null = np.zeros(total, np.bool_)
        null[odd] = times[contract.known.index(name)] > 0
        nulls[name] = null & ~validity(messages.columns[name])
    strange = np.zeros(total, np.bool_)
    strange[odd[row[~known]]] = True
    cleared = _cleared(contract, nulls, total)
    return _extra(contract, messages, reader, strange & ~messages.doubtful, cleared)


def _least_lengths(contract: Contract, messages: Messages) -> npt.NDArray[np.int64]:
    """Bytes of each message if it were its filled known fields alone, as rendered, without spaces."""
    total = len(messages.doubtful)
    least = np.ones(total, np.int64)  # two brackets, and a comma less than there are fields
    texts = frozenset(contract.texts)
    for name, column in messages.columns.items():
        if column.null_count == total:
            continue
        around = len(f'"{name}":,') + (len('""') if name in texts else 0)
        lengths = np.diff(string_buffers(column)[0]) + around
        least += lengths if column.null_count == 0 else np.where(validity(column), lengths, 0)
    return least


def doubt_unless_text(messages: Messages, reader: JsonReader, suspects: dict[str, Mask]) -> None:
    """Doubt the rows in which a suspected field is not a JSON string."""
    names = [name for name, rows in suspects.items() if rows.any()]
    if not names:
        return
    rows = np.logical_or.reduce([suspects[name] for name in names])
    answers = reader.are_texts(messages.texts.filter(pa.array(rows)), names)
    for name, answer in zip(names, answers, strict=True):
        other = np.zeros(len(rows), np.bool_)
        other[rows] = ~answer
        messages.doubtful |= suspects[name] & other


def _none_cleared(total: int) -> pa.Array[Any]:
    return pa.nulls(total, pa.list_(pa.string()))


def _cleared(contract: Contract, nulls: dict[str, Mask], total: int) -> pa.Array[Any]:
    if not contract.clearable:
        return _none_cleared(total)
    flags = np.stack([nulls[name] for name in contract.clearable], axis=1)
    counts = flags.sum(axis=1)
    names = pa.array(contract.clearable).take(pa.array(np.nonzero(flags)[1]))
    return pa.ListArray.from_arrays(pa.array(_ends(counts)), names, mask=pa.array(counts == 0))


def _extra(
    contract: Contract,
    messages: Messages,
    reader: JsonReader,
    strange: Mask,
    cleared: pa.Array[Any],
) -> Unusual:
    """The unknown fields of the ``strange`` rows."""
    total = len(strange)
    if not strange.any():
        return Unusual(pa.nulls(total, PROPERTIES), cleared, *_no_names())
    place = np.flatnonzero(strange)
    offsets, keys, items, valid = map_parts(
        reader.members(messages.texts.filter(pa.array(strange)))
    )
    messages.doubtful[place[~valid]] = True
    unknown = ~mask_of(pc.is_in(keys, pa.array(contract.known)))
    rows = place[rows_of(offsets)][unknown]
    names = keys.filter(pa.array(unknown))
    texts, refused = canonical_json(items.filter(pa.array(unknown)), depth=2)
    messages.doubtful[rows[refused]] = True
    counts = np.bincount(rows, minlength=total)
    return Unusual(build_map(_ends(counts), names, texts, counts > 0), cleared, names, rows)


def _ends(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """List offsets from the number of entries of each row."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)


def _no_names() -> tuple[pa.Array[Any], npt.NDArray[np.int64]]:
    return pa.array([], pa.string()), np.empty(0, np.int64)
