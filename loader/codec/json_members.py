"""The rows of a JSON batch in which not every key is one filled column.

There a known field is null, or a field is unknown, or a key is repeated; the keys tell which.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
    validity,
)
from loader.codec.fields import Contract
from loader.codec.json_reader import JsonReader, Messages
from loader.model.events import PROPERTIES


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


def unusual_members(contract: Contract, messages: Messages, reader: JsonReader) -> Unusual:
    """Look at the keys where they have to be looked at. Adds to ``messages.doubtful``."""
    total = len(messages.doubtful)
    filled = np.zeros(total, np.int64)
    for column in messages.columns.values():
        filled += validity(column)
    # As many keys as filled columns: every key is known, there once, and not null.
    odd = np.flatnonzero((filled != messages.keys) & ~messages.doubtful)
    if len(odd) == 0:
        nothing = pa.nulls(total, pa.list_(pa.string()))
        return Unusual(pa.nulls(total, PROPERTIES), nothing, *_no_names())
    lists = reader.keys(messages.texts.take(pa.array(odd)))
    row = rows_of(lists.offsets.to_numpy())
    key = pc.index_in(lists.flatten(), pa.array(contract.known)).fill_null(-1).to_numpy()
    known = key >= 0
    shape = (len(contract.known), len(odd))
    times = np.bincount(key[known] * len(odd) + row[known], minlength=shape[0] * shape[1])
    times = times.reshape(shape)
    messages.doubtful[odd[(times > 1).any(axis=0)]] = True
    nulls: dict[str, Mask] = {}
    for name in (*contract.maps, *contract.clearable):
        null = np.zeros(total, np.bool_)
        null[odd] = times[contract.known.index(name)] > 0
        nulls[name] = null & ~validity(messages.columns[name])
    doubt_unless(messages, reader, {name: nulls[name] for name in contract.maps}, "NULL")
    strange = np.zeros(total, np.bool_)
    strange[odd[row[~known]]] = True
    cleared = _cleared(contract, nulls, total)
    return _extra(contract, messages, reader, strange & ~messages.doubtful, cleared)


def doubt_unless(
    messages: Messages, reader: JsonReader, suspects: dict[str, Mask], kind: str
) -> None:
    """Doubt the rows in which a suspected field is not of DuckDB's JSON type ``kind``."""
    names = [name for name, rows in suspects.items() if rows.any()]
    if not names:
        return
    rows = np.logical_or.reduce([suspects[name] for name in names])
    answers = reader.are(messages.texts.filter(pa.array(rows)), names, kind)
    for name, answer in zip(names, answers, strict=True):
        other = np.zeros(len(rows), np.bool_)
        other[rows] = ~answer
        messages.doubtful |= suspects[name] & other


def _cleared(contract: Contract, nulls: dict[str, Mask], total: int) -> pa.Array[Any]:
    if not contract.clearable:
        return pa.nulls(total, pa.list_(pa.string()))
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
