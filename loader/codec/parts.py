"""Putting together what was decoded in pieces: by the fast path, by the reference, or refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loader.codec.contract import Decoded, Rejected
from loader.codec.reference import ReferenceDecoder, Row
from loader.codec.values import Refused

Positions = npt.NDArray[np.int64]

#: Rows are copied in runs where those have this many rows on average, else one by one.
_RUN: Final = 16


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the messages of a batch, as rows.

    Attributes:
        rows: columns as in the contract; not every row counts.
        at: the rows that count, ascending.
        positions: for each of them its message's place in the list, ascending.
        schema_ids: for each of them the writer's schema id.
        unknown: how often unknown fields came.
    """

    rows: pa.RecordBatch
    at: npt.NDArray[np.int64]
    positions: Positions
    schema_ids: npt.NDArray[np.int32]
    unknown: Mapping[str, int] = field(default_factory=dict)


def rows_to_batch(rows: Sequence[Row], columns: pa.Schema) -> pa.RecordBatch:
    """Arrow columns of rows that the reference decoder gave."""
    arrays = [
        _column([row.values[name] for row in rows], columns.field(name)) for name in columns.names
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=columns)


def _column(values: list[Any], column: pa.Field[Any]) -> pa.Array[Any]:
    if pa.types.is_map(column.type):
        values = [None if value is None else list(value.items()) for value in values]
    return pa.array(values, column.type)


def moved(part: Part, places: Positions) -> Part:
    """The part of a picked sub-list, with the positions of the whole list: ``places[position]``."""
    return replace(part, positions=places[part.positions])


def by_reference(
    values: Sequence[bytes | None],
    positions: Positions,
    reference: ReferenceDecoder,
    columns: pa.Schema,
) -> tuple[list[Part], list[Rejected]]:
    """Decode the messages at ``positions`` one at a time."""
    rows: list[Row] = []
    accepted: list[int] = []
    rejected: list[Rejected] = []
    unknown: Counter[str] = Counter()
    for position in positions.tolist():
        try:
            row = reference.decode_one(values[position])
        except Refused as fault:
            rejected.append(Rejected(position, fault.reason, fault.error))
        else:
            rows.append(row)
            accepted.append(position)
            unknown.update(row.unknown)
    if not rows:
        return [], rejected
    part = Part(
        rows=rows_to_batch(rows, columns),
        at=np.arange(len(rows)),
        positions=np.array(accepted, np.int64),
        schema_ids=np.array([row.schema_id for row in rows], np.int32),
        unknown=unknown,
    )
    return [part], rejected


def assemble(
    parts: Sequence[Part], rejected: Sequence[Rejected], columns: pa.Schema, *, reference_rows: int
) -> Decoded:
    """All parts as one batch in message order."""
    unknown: Counter[str] = Counter()
    for part in parts:
        unknown.update(part.unknown)
    if not parts:
        nothing = np.empty(0, np.int64)
        parts = [Part(rows_to_batch([], columns), nothing, nothing, np.empty(0, np.int32))]
    positions = np.concatenate([part.positions for part in parts])
    schema_ids = np.concatenate([part.schema_ids for part in parts])
    order = np.argsort(positions, kind="stable")
    starts = np.cumsum([0, *(part.rows.num_rows for part in parts)]).tolist()
    at = np.concatenate([part.at + start for part, start in zip(parts, starts, strict=False)])
    return Decoded(
        rows=pick([part.rows for part in parts], at[order]),
        positions=positions[order],
        schema_ids=schema_ids[order],
        rejected=tuple(sorted(rejected, key=lambda refusal: refusal.position)),
        unknown_fields=dict(unknown),
        reference_rows=reference_rows,
    )


def pick(batches: Sequence[pa.RecordBatch], rows: npt.NDArray[np.int64]) -> pa.RecordBatch:
    """Rows of several batches as one batch that holds nothing else.

    Args:
        batches: at least one, all of one schema.
        rows: which, and in which order; numbered through all batches.
    """
    if len(rows) == 0:
        return batches[0].slice(0, 0)
    starts = np.cumsum([0, *(batch.num_rows for batch in batches)])
    if len(batches) == 1 and len(rows) == starts[-1] and (rows == np.arange(len(rows))).all():
        return batches[0]
    # Rows that follow one another are copied in one go.
    which = np.searchsorted(starts, rows, side="right") - 1
    breaks = np.flatnonzero((np.diff(rows) != 1) | (np.diff(which) != 0)) + 1
    if len(breaks) == 0 or len(rows) < _RUN * len(breaks):
        whole = batches[0] if len(batches) == 1 else pa.concat_batches(batches)
        return whole.take(pa.array(rows))
    firsts = np.concatenate([[0], breaks])
    counts = np.diff(np.concatenate([firsts, [len(rows)]]))
    runs = zip(
        which[firsts].tolist(),
        (rows - starts[which])[firsts].tolist(),
        counts.tolist(),
        strict=True,
    )
    return pa.concat_batches([batches[batch].slice(first, count) for batch, first, count in runs])
