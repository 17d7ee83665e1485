"""Where messages came from: columns of the lake for those accepted, letters for those refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from confluent_kafka import Message

from loader.codec.contract import Decoded, Rejected
from loader.consumer.batches import Batch
from loader.kafka.dead_letters import DeadLetter
from loader.model.events import LINEAGE_COLUMNS, raw_schema


class Lineage:
    """Where each message of a batch came from, as columns of the lake.

    Args:
        topic: of the batch.
        partition: of the batch.
        offsets: int64, of each message.
        arrival_ms: int64, Kafka's time of each message, milliseconds.
    """

    def __init__(
        self,
        topic: str,
        partition: int,
        offsets: npt.NDArray[np.int64],
        arrival_ms: npt.NDArray[np.int64],
    ) -> None:
        self._topic = pa.array([topic], pa.string())
        self._partition = partition
        self._offsets = offsets
        self._arrival = arrival_ms * 1000

    def added(self, decoded: Decoded, order: npt.NDArray[np.int64]) -> pa.RecordBatch:
        """Accepted messages in the given order, with the lineage behind their own columns."""
        count, positions = len(order), decoded.positions[order]
        lineage: list[pa.Array[Any]] = [
            pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), self._topic),
            pa.array(np.full(count, self._partition, np.int32)),
            pa.array(self._offsets[positions]),
            pa.array(self._arrival[positions]).view(LINEAGE_COLUMNS.field("_arrival_time").type),
            pa.array(decoded.schema_ids[order]),
        ]
        rows = decoded.take(order)
        return pa.RecordBatch.from_arrays([*rows.columns, *lineage], schema=raw_schema(rows.schema))


def letter(batch: Batch, refused: Rejected, arrival_ms: npt.NDArray[np.int64]) -> DeadLetter:
    """The dead letter of a refused message."""
    message = batch.messages[refused.position]
    offset = message.offset()
    assert offset is not None  # noqa: S101 - a consumed message has one
    return DeadLetter(
        topic=batch.topic,
        partition=batch.partition,
        offset=offset,
        key=_bytes(message.key()),
        value=_bytes(message.value()),
        headers=_headers(message),
        reason=str(refused.reason),
        error=refused.error,
        time_ms=int(arrival_ms[refused.position]),
    )


def _headers(message: Message) -> list[tuple[str, bytes | None]]:
    headers: Any = message.headers() or []
    return [(name, _bytes(value)) for name, value in headers]


def _bytes(value: bytes | str | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
