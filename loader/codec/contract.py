"""What every decoder gives, whichever format it reads and however fast it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loader.codec.spans import Messages, Spans


class Reason(StrEnum):
    """Why a message was refused: the ``dl-reason`` header of its dead letter."""

    NULL_VALUE = "null_value"
    EMPTY_VALUE = "empty_value"
    NOT_FRAMED = "not_framed"
    UNKNOWN_SCHEMA = "unknown_schema"
    NOT_DECODABLE = "not_decodable"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    OUT_OF_RANGE = "out_of_range"
    BAD_TIME = "bad_time"


@dataclass(frozen=True, slots=True)
class Rejected:
    """One message that cannot become a row.

    ``position`` is its place in the list that was decoded; ``error`` names the field and the fault,
    never the value (it may be personal).
    """

    position: int
    reason: Reason
    error: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """The rows of a list of messages, still where they stand in the messages' bytes.

    Attributes:
        spans: the values, a row for each message of the list.
        positions: int64, ascending: the messages that were accepted, by their place in the list.
        schema_ids: int32, for each of them the writer's schema id (0 for JSON).
        rejected: the other messages, by position.
        unknown_fields: top-level fields that the contract does not know, with how often they came.
        reference_rows: how many messages the reference decoder had to look at.
    """

    spans: Spans
    positions: npt.NDArray[np.int64]
    schema_ids: npt.NDArray[np.int32]
    rejected: tuple[Rejected, ...] = ()
    unknown_fields: Mapping[str, int] = field(default_factory=dict)
    reference_rows: int = 0

    @property
    def rows(self) -> pa.RecordBatch:
        """All accepted messages in their own order: columns as in ``loader.model.events``."""
        return self.spans.take(self.positions)

    def take(self, order: npt.NDArray[np.int64]) -> pa.RecordBatch:
        """Accepted messages in another order; ``order`` holds places in ``positions``."""
        return self.spans.take(self.positions[order])

    def number(self, name: str) -> npt.NDArray[np.int64]:
        """An id, or the time in microseconds, of the accepted messages."""
        return self.spans.number(name)[self.positions]


class Decoder(Protocol):
    """Turns message values into rows. Never raises for a bad message: that one is rejected."""

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Decode a list of message values; every position is in ``positions`` or in ``rejected``.

        Raises:
            Unreachable: a writer's schema cannot be fetched now.
        """
        ...

    def decode_joined(self, messages: Messages) -> Decoded:
        """The same for values that are joined already."""
        ...
