"""The fast Avro decoder: a program for each writer's schema, and compiled code that follows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from loader.codec import avro_kernel as kernel
from loader.codec.avro_program import Tables
from loader.codec.avro_schema import NotASchema, ReaderSchema, WriterSchema, reader_schema
from loader.codec.decoders import Scanned
from loader.codec.fields import Contract
from loader.codec.primitives import PADDING
from loader.codec.schemas import SchemaSource
from loader.codec.spans import MAX_BYTES, Arena, MapSpans, Messages, Spans

#: Writer schemas in one batch; rows of others are left to the reference.
_SCHEMAS: Final = 64
#: Entries that each map column has room for to begin with, a row.
_ENTRIES: Final = 8


class AvroScanner:
    """Decodes the Avro messages that it can prove.

    Args:
        contract: which message this topic carries.
        schemas: where writer schemas come from.
        reader: what is wanted of them; None is the shipped schema of the contract.
    """

    def __init__(
        self, contract: Contract, schemas: SchemaSource, reader: ReaderSchema | None = None
    ) -> None:
        self._contract = contract
        self._schemas = schemas
        self._reader = reader or reader_schema(contract.name)
        self._tables = Tables(contract)
        self._packed = _Packed.of(self._tables)
        self._state = np.zeros(kernel.STATE, np.int64)
        self._stack = np.zeros((kernel.STACK, 5), np.int64)
        self._seen = np.zeros((kernel.SEEN, 4), np.int64)

    def scan(self, messages: Messages) -> Scanned:
        """See :class:`~loader.codec.decoders.Scanner`."""
        ids, programs = self._programs(messages)
        packed = self._packed
        rows, base = len(messages), len(messages.source)
        contract = self._contract
        maps = len(contract.maps) + 1
        numbers = np.empty((len(contract.ids) + 1, rows), np.int64)
        texts = np.empty((rows, len(contract.texts), 2), np.int32)
        firsts, counts = np.empty((maps, rows), np.int32), np.empty((maps, rows), np.int32)
        entries = np.empty((maps, _ENTRIES * rows, 2, 2), np.int32)
        arena = Arena(base, len(packed.constants) + base // 2)
        arena.add(packed.constants)
        sure, schema_ids = np.zeros(rows, np.bool_), np.zeros(rows, np.int32)
        state = self._state
        state[kernel.ROW] = 0
        state[kernel.USED] = arena.used
        state[kernel.ENTRIES :] = 0
        while True:
            stopped = kernel.scan(
                messages.source,
                messages.bounds,
                ids,
                programs,
                packed.steps,
                packed.nodes,
                packed.branches,
                numbers,
                texts.view(np.int64)[:, :, 0],
                firsts,
                counts,
                entries,
                arena.array,
                sure,
                schema_ids,
                state,
                self._stack,
                self._seen,
            )
            if stopped == kernel.DONE:
                break
            if stopped == kernel.ENTRIES_FULL:
                entries = np.concatenate([entries, np.empty_like(entries)], axis=1)
            elif base + 2 * arena.capacity < MAX_BYTES:
                arena.used = int(state[kernel.USED])
                _double(arena)
            else:
                state[kernel.ROW] += 1  # the text of this message is left to the reference
        arena.used = int(state[kernel.USED])
        spans = Spans(
            contract=contract,
            source=messages.source,
            numbers=numbers,
            texts=texts,
            maps={
                name: MapSpans(
                    firsts[place], counts[place], entries[place], int(state[kernel.ENTRIES + place])
                )
                for place, name in enumerate((*contract.maps, "extra"))
            },
            cleared=np.zeros(rows, np.uint8),
            arena=arena,
        )
        return Scanned(spans=spans, sure=sure, schema_ids=schema_ids)

    def _programs(self, messages: Messages) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The batch's schema ids, and the steps of each one's program.

        Raises:
            Unreachable: a writer's schema cannot be fetched now.
        """
        found = np.zeros(_SCHEMAS, np.int64)
        count = kernel.distinct_ids(messages.source, messages.bounds, found)
        ids = found[:count].copy()
        known = self._tables.programs
        for schema_id in ids.tolist():
            if schema_id not in known:
                self._learn(schema_id)
        programs = [known.get(schema_id) or (-1, -1) for schema_id in ids.tolist()]
        return ids, np.array(programs, np.int64).reshape(-1, 2)

    def _learn(self, schema_id: int) -> None:
        written = self._schemas.writer_schema(schema_id)
        if written is None:
            return  # not remembered: the source may learn of it
        try:
            schema = WriterSchema.resolve(written, self._reader)
        except NotASchema:
            self._tables.programs[schema_id] = None
            return
        self._tables.add(schema_id, schema)
        self._packed = _Packed.of(self._tables)


def _double(arena: Arena) -> None:
    grown = np.zeros(2 * arena.capacity + PADDING, np.uint8)
    grown[: arena.used] = arena.array[: arena.used]
    arena.array = grown


@dataclass(frozen=True, slots=True)
class _Packed:
    """``Tables`` as compiled code takes them."""

    steps: npt.NDArray[np.int64]
    nodes: npt.NDArray[np.int64]
    branches: npt.NDArray[np.int64]
    constants: bytes

    @classmethod
    def of(cls, tables: Tables) -> _Packed:
        return cls(
            steps=np.array(tables.steps, np.int64).reshape(-1, 5),
            nodes=np.array(tables.nodes, np.int64).reshape(-1, 3),
            branches=np.array(tables.branches, np.int64).reshape(-1, 3),
            constants=bytes(tables.constants),
        )
