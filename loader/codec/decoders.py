"""The decoders that the consumers use: vectorised, with the reference decoder behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, Literal, Protocol, cast

import numpy as np

from loader.codec.avro_batches import AvroBatches
from loader.codec.contract import Decoded, Decoder
from loader.codec.fields import CONTRACTS, Contract
from loader.codec.json_batches import JsonBatches
from loader.codec.parts import Part, Positions, assemble, by_reference, moved
from loader.codec.reference import ReferenceDecoder
from loader.codec.schemas import SchemaSource

#: Bounds what a decoder holds at a time, and keeps it in memory that is used again.
_PIECE_BYTES: Final = 16 << 20


def decoder(
    contract: Literal["events", "user_updates"],
    format: Literal["json", "avro"],  # noqa: A002 - the name that the configuration uses
    schemas: SchemaSource,
) -> Decoder:
    """A decoder for one topic.

    An instance belongs to one thread: it holds a DuckDB connection (JSON) or a cache (Avro).

    Args:
        contract: which message the topic carries.
        format: how the messages are written.
        schemas: where Avro writer schemas come from; not asked for JSON.
    """
    fields = CONTRACTS[contract]
    json = format == "json"
    batches = JsonBatches(fields) if json else AvroBatches(fields, schemas)
    return _Decoder(fields, batches, ReferenceDecoder(fields, format, schemas))


def reference_decoder(
    contract: Literal["events", "user_updates"],
    format: Literal["json", "avro"],  # noqa: A002
    schemas: SchemaSource,
) -> Decoder:
    """The same by the specification alone: slow, and what ``decoder`` is measured against."""
    fields = CONTRACTS[contract]
    return _Decoder(fields, None, ReferenceDecoder(fields, format, schemas))


class _Batches(Protocol):
    """A vectorised decoder: gives rows, and the places that are left to the reference decoder."""

    def decode(self, values: Sequence[bytes]) -> tuple[list[Part], Positions]: ...


class _Decoder:
    """Asks the vectorised decoder first, and the reference for what that leaves."""

    def __init__(
        self, contract: Contract, batches: _Batches | None, reference: ReferenceDecoder
    ) -> None:
        self._columns = contract.columns
        self._batches = batches
        self._reference = reference

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Decode a list of message values; every position is in ``positions`` or in ``rejected``."""
        parts: list[Part] = []
        done = np.zeros(len(values), np.bool_)
        if self._batches is not None:
            for places, picked in _pieces(values):
                found, left = self._batches.decode(picked)
                parts += [moved(part, places) for part in found]
                done[places] = True
                done[places[left]] = False
        left = np.flatnonzero(~done)
        more, rejected = by_reference(values, left, self._reference, self._columns)
        return assemble([*parts, *more], rejected, self._columns, reference_rows=len(left))


def _pieces(values: Sequence[bytes | None]) -> Iterator[tuple[Positions, Sequence[bytes]]]:
    """The values that hold something, in runs of about ``_PIECE_BYTES``, and their places."""
    places = np.arange(len(values))
    filled = cast("Sequence[bytes]", values)
    if not all(values):
        places = np.flatnonzero(np.fromiter(map(bool, values), np.bool_, len(values)))
        filled = [value for value in values if value]
    size = np.cumsum(np.fromiter(map(len, filled), np.int64, len(filled)))
    starts = np.flatnonzero(np.diff(size // _PIECE_BYTES, prepend=-1)).tolist()
    for start, stop in pairwise([*starts, len(filled)]):
        yield places[start:stop], filled[start:stop]
