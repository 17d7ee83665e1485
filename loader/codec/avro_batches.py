"""Avro, a batch at a time.

What the reader cannot take is isolated by cutting the list up. A key that comes twice in a map and a
double that is not finite send their row to the reference decoder; so does a schema of unusual types.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from loader.codec.avro_properties import union_properties
from loader.codec.avro_reader import Plan, plan_for, read, sealed
from loader.codec.columns import Mask
from loader.codec.fields import Contract
from loader.codec.parts import Part, Positions
from loader.codec.schemas import FRAME, SchemaSource, unframe
from loader.codec.values import MAX_TIME_US, MIN_TIME_US
from loader.model.events import TIME

#: A list that one message spoils is cut in so many pieces, and those again, down to a size at which
#: the reference decoder takes no longer than another attempt.
_PIECES: Final = 8
_SMALLEST: Final = 8


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
            whole = len(members) == len(values)
            chosen = values if whole else [values[place] for place in members.tolist()]
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
        datums, sentinel = sealed(plan, values)
        sure = np.ones(len(datums), np.bool_)
        got = read(plan, datums, sentinel)
        if got is None:
            sure = _readable(plan, datums, sentinel)
            if not sure.any():
                return [], positions
            got = read(plan, [datums[place] for place in np.flatnonzero(sure)], sentinel)
            if got is None:
                return [], positions
        columns, doubtful = got
        rows = self._rows(plan, columns, doubtful)
        at = np.flatnonzero(~doubtful)
        sure[np.flatnonzero(sure)[doubtful]] = False
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


def _readable(plan: Plan, datums: Sequence[bytes], sentinel: int) -> Mask:
    """Which datums can be read, found by reading ever smaller pieces of the list.

    Some that can be read are left out: those in a small piece with one that cannot.
    """
    readable = np.zeros(len(datums), np.bool_)
    pending = [(0, len(datums))]
    while pending:
        start, stop = pending.pop()
        size = -(-(stop - start) // _PIECES)
        for first in range(start, stop, size):
            last = min(first + size, stop)
            if read(plan, datums[first:last], sentinel) is not None:
                readable[first:last] = True
            elif size > _SMALLEST:
                pending.append((first, last))
    return readable


def _by_header(values: Sequence[bytes]) -> dict[bytes, Positions]:
    """Places of the values by their first bytes, which hold the frame."""
    headers = [value[: FRAME.size] for value in values]
    kinds = set(headers)
    if len(kinds) == 1:
        return {kinds.pop(): np.arange(len(values))}
    places: dict[bytes, list[int]] = {header: [] for header in kinds}
    for place, header in enumerate(headers):
        places[header].append(place)
    return {header: np.array(members, np.int64) for header, members in places.items()}
