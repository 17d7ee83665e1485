"""Avro, a batch at a time.

What the reader cannot take is isolated by cutting the list up. A key that comes twice in a map and a
double that is not finite send their row to the reference decoder; so does a schema of unusual types.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import compress
from operator import itemgetter
from typing import Any, Final

import numpy as np
import pyarrow as pa

from loader.codec.avro_properties import union_properties
from loader.codec.avro_reader import Plan, plan_for, read, sealed
from loader.codec.columns import Mask
from loader.codec.fields import Contract
from loader.codec.parts import Part, Positions, pick
from loader.codec.schemas import FRAME, SchemaSource, unframe
from loader.codec.values import MAX_TIME_US, MIN_TIME_US
from loader.model.events import TIME

#: A list that one message spoils is cut in pieces of this size, and those that it spoils in so many
#: again, down to a size at which the reference decoder takes no longer than another attempt.
_PIECE: Final = 1024
_PIECES: Final = 8
_SMALLEST: Final = 16

_HEADER: Final = itemgetter(slice(FRAME.size))


class AvroBatches:
    """Decodes the Avro messages that it can prove; leaves the others.

    Args:
        contract: which message this topic carries.
        schemas: where writer schemas come from.
    """

    def __init__(self, contract: Contract, schemas: SchemaSource) -> None:
        self._contract = contract
        self._schemas = schemas
        self._plans: dict[int, Plan | None] = {}

    def decode(self, values: Sequence[bytes]) -> tuple[list[Part], Positions]:
        """Decode messages, none of them empty.

        Returns:
            The rows, and the places in ``values`` that are left to the reference decoder.
        """
        parts: list[Part] = []
        left: list[Positions] = [np.empty(0, np.int64)]
        for header, members in _by_header(values).items():
            plan = self._plan(header)
            if plan is None:
                left.append(members)
                continue
            chosen = values
            if len(members) < len(values):
                mask = np.zeros(len(values), np.bool_)
                mask[members] = True
                chosen = list(compress(values, mask.tolist()))
            found, unread = self._decode_group(plan, chosen, members)
            parts += found
            left.append(unread)
        return parts, np.concatenate(left)

    def _plan(self, header: bytes) -> Plan | None:
        schema_id = unframe(header)
        if schema_id is None:
            return None
        if schema_id not in self._plans:
            written = self._schemas.writer_schema(schema_id)
            if written is None:
                return None  # not remembered: the source may learn of it
            self._plans[schema_id] = plan_for(self._contract, schema_id, written)
        return self._plans[schema_id]

    def _decode_group(
        self, plan: Plan, values: Sequence[bytes], positions: Positions
    ) -> tuple[list[Part], Positions]:
        """Decode messages of one schema; gives their rows and the positions that are left."""
        columns, sure = _read(plan, values)
        if columns is None:
            return [], positions
        doubtful = np.zeros(columns.num_rows, np.bool_)
        rows = self._rows(plan, columns, doubtful)
        at = np.flatnonzero(~doubtful)
        sure[sure] = ~doubtful
        ids = np.full(len(at), plan.schema_id, np.int32)
        part = Part(rows=rows, at=at, positions=positions[sure], schema_ids=ids)
        return [part], positions[~sure]

    def _rows(self, plan: Plan, columns: pa.RecordBatch, doubtful: Mask) -> pa.RecordBatch:
        """The contract's columns; adds to ``doubtful``."""
        contract = self._contract
        arrays: list[pa.Array[Any]] = []
        for column in contract.columns:
            name = column.name
            if name not in plan.fields:
                arrays.append(pa.nulls(columns.num_rows, column.type))
            elif name in contract.maps:
                texts, refused = union_properties(columns.column(name))
                doubtful |= refused
                arrays.append(texts)
            elif name in contract.ids:
                numbers = columns.column(name)
                doubtful |= numbers.to_numpy() < 0
                arrays.append(numbers)
            elif name == contract.time:
                micros = columns.column(name).to_numpy()
                doubtful |= (micros < MIN_TIME_US) | (micros > MAX_TIME_US)
                arrays.append(columns.column(name).cast(TIME))
            else:
                arrays.append(columns.column(name))
        return pa.RecordBatch.from_arrays(arrays, schema=contract.columns)


def _read(plan: Plan, values: Sequence[bytes]) -> tuple[pa.RecordBatch | None, Mask]:
    """Read messages: what cannot be read is left out, by reading ever smaller pieces of the list.

    Returns:
        The columns, or None if nothing can be read, and the mask of the messages that have a row. Of
        the others some could be read: those in a small piece with one that cannot.
    """
    datums, seal = sealed(plan, values)
    whole = read(plan, datums, seal)
    found = {} if whole is None else {0: whole}
    pending = []
    if whole is None:
        pending.append((0, len(datums), min(_PIECE, -(-len(datums) // _PIECES))))
    while pending:
        start, stop, size = pending.pop()
        for first in range(start, stop, size):
            last = min(first + size, stop)
            piece = read(plan, datums[first:last], seal)
            if piece is not None:
                found[first] = piece
            elif size > _SMALLEST:
                pending.append((first, last, -(-size // _PIECES)))
    sure = np.zeros(len(datums), np.bool_)
    if not found:
        return None, sure
    starts = sorted(found)
    for start in starts:
        wrong = found[start][1]
        sure[start : start + len(wrong)] = ~wrong
    right = np.flatnonzero(~np.concatenate([found[start][1] for start in starts]))
    return pick([found[start][0] for start in starts], right), sure


def _by_header(values: Sequence[bytes]) -> dict[bytes, Positions]:
    """Places of the values by their first bytes, which hold the frame."""
    headers = list(map(_HEADER, values))
    common = Counter(headers).most_common(1)[0][0]
    places: dict[bytes, list[int]] = {}
    for place, header in enumerate(headers):
        if header != common:
            places.setdefault(header, []).append(place)
    groups = {header: np.array(members, np.int64) for header, members in places.items()}
    most = np.ones(len(values), np.bool_)
    for members in groups.values():
        most[members] = False
    return {common: np.flatnonzero(most), **groups}
