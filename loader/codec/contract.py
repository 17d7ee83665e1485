"""What every decoder gives, whichever format it reads and however fast it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa


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
    """The rows of a list of messages.

    Attributes:
        rows: columns as in ``loader.model.events`` (``EVENT_COLUMNS`` or ``USER_UPDATE_COLUMNS``),
            one row per accepted message, in message order.
        positions: int64, for each row its message's place in the list.
        schema_ids: int32, for each row the writer's schema id (0 for JSON).
        rejected: the other messages, by position.
        unknown_fields: top-level fields that the contract does not know, with how often they came.
        reference_rows: how many messages the reference decoder had to look at.
    """

    rows: pa.RecordBatch
    positions: npt.NDArray[np.int64]
    schema_ids: npt.NDArray[np.int32]
    rejected: tuple[Rejected, ...] = ()
    unknown_fields: Mapping[str, int] = field(default_factory=dict)
    reference_rows: int = 0


class Decoder(Protocol):
    """Turns message values into rows. Never raises for a bad message: that one is rejected."""

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Decode a list of message values; every position is in ``positions`` or in ``rejected``."""
        ...
