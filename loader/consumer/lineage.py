"""Where messages came from: columns of the lake for those accepted, letters for those refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loader.codec.contract import Decoded, Rejected
from loader.codec.spans import Messages
from loader.consumer.batches import Batch
from loader.consumer.runs import Run
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


def letter(batch: Batch, run: Run[Messages], refused: Rejected) -> DeadLetter:
    """The dead letter of a refused message of a batch, whose messages are in ``run``."""
    place = refused.position
    return DeadLetter(
        topic=batch.topic,
        partition=batch.partition,
        offset=int(run.offsets[place]),
        key=run.keys.value(place),
        value=run.values.value(place),
        headers=list(run.headers.get(place, ())),
        reason=str(refused.reason),
        error=refused.error,
        time_ms=int(run.arrival_ms[place]),
    )
