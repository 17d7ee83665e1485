"""From a batch of messages to a record in the commit log: the steps whose order makes it exact.

1. Decode; the limits on refused messages are checked before anything is written.
2. Write the refused ones to the dead letters, and wait until they are acknowledged.
3. Put the data files. Nothing refers to them yet: after a crash they are orphans.
4. Put the commit record, conditionally. Now the batch exists.

The power may go out on any line: before 4 the batch is read again, after 4 it is in the chain.
A repeat may write a dead letter twice; the record says which count.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from confluent_kafka import Message

from loader import config
from loader.codec.contract import Decoded, Decoder, Rejected
from loader.consumer.batches import Batch
from loader.errors import NeedsOperator
from loader.kafka.dead_letters import DeadLetter, DeadLetterSink
from loader.lake import raw_files
from loader.lake.chain import Chains, Lost, Won
from loader.lake.commit_log import CommitRecord, DataFile
from loader.lake.store import ObjectStore
from loader.model.events import LINEAGE_COLUMNS, raw_schema

#: A share of a handful of messages says nothing.
_RATIO_FROM = 1000
_UPLOADS = 4


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch: its record, and whether it won its place in the chain."""

    batch: Batch
    record: CommitRecord
    outcome: Won | Lost


class BatchWriter:
    """Writes batches, several at a time in threads of the caller, at most one for a partition.

    Args:
        store: the lake.
        log: its commit log.
        buckets: its number of buckets.
        decoders: makes a decoder for a topic; called once for each thread and topic.
        dead_letters: where refused messages go.
        limits: when too many are refused.
        topic_ids: Kafka's ids of the topics.
        writer: id of this process.
    """

    def __init__(
        self,
        store: ObjectStore,
        log: Chains[CommitRecord],
        *,
        buckets: int,
        decoders: Callable[[str], Decoder],
        dead_letters: DeadLetterSink,
        limits: config.DeadLetters,
        topic_ids: Mapping[str, str],
        writer: str,
    ) -> None:
        self._store = store
        self._log = log
        self._buckets = buckets
        self._decoders = decoders
        self._dead_letters = dead_letters
        self._limits = limits
        self._topic_ids = topic_ids
        self._writer = writer
        self._local = threading.local()
        self._uploads = ThreadPoolExecutor(_UPLOADS, thread_name_prefix="upload")
        self._refused_in_a_row: dict[tuple[str, int], int] = {}

    def write(self, batch: Batch) -> Written:
        """Write one batch.

        Raises:
            NeedsOperator: too many messages are refused; nothing of the batch was written.
            Unreachable: the store or the dead-letter topic stayed away.
        """
        decoded = self._decoder(batch.topic).decode(_values(batch))
        self._check_limits(batch, decoded)
        times = np.fromiter((m.timestamp()[1] for m in batch.messages), np.int64)
        self._dead_letters.send([_letter(batch, refused, times) for refused in decoded.rejected])
        record = self._record(batch, decoded, times)
        parts = raw_files.split(_with_lineage(batch, decoded, times), self._buckets)
        # The rows are in the parts now. What the batch held makes room for the files.
        del decoded
        batch.messages.clear()
        files = self._write_files(record, parts)
        created = dt.datetime.now(dt.UTC).isoformat()
        record = dataclasses.replace(record, files=tuple(files), created=created)
        return Written(batch, record, self._log.append(record))

    def _record(self, batch: Batch, decoded: Decoded, times: npt.NDArray[np.int64]) -> CommitRecord:
        """The batch's record but for its files and the time of its creation."""
        arrival = (int(times.min()), int(times.max())) if len(times) else (-1, -1)
        return CommitRecord(
            topic=batch.topic,
            partition=batch.partition,
            first=batch.first,
            next=batch.next,
            topic_id=self._topic_ids[batch.topic],
            batch=uuid.uuid4().hex,
            writer=self._writer,
            created="",
            files=(),
            read=len(batch.messages),
            written=decoded.rows.num_rows,
            dead_lettered=len(decoded.rejected),
            dead_letter_reasons=dict(Counter(str(r.reason) for r in decoded.rejected)),
            schema_ids=tuple(np.unique(decoded.schema_ids).tolist()),
            unknown_fields=dict(decoded.unknown_fields),
            min_arrival=arrival[0] * 1000 if arrival[0] >= 0 else -1,
            max_arrival=arrival[1] * 1000 if arrival[1] >= 0 else -1,
        )

    def close(self) -> None:
        """Wait for uploads in flight and end the threads."""
        self._uploads.shutdown()

    def _decoder(self, topic: str) -> Decoder:
        decoders: dict[str, Decoder] = self._local.__dict__.setdefault("decoders", {})
        if topic not in decoders:
            decoders[topic] = self._decoders(topic)
        return decoders[topic]

    def _check_limits(self, batch: Batch, decoded: Decoded) -> None:
        key = (batch.topic, batch.partition)
        run = longest = self._refused_in_a_row.get(key, 0)
        expected = 0
        for refused in decoded.rejected:
            run = run + 1 if refused.position == expected else 1
            expected = refused.position + 1
            longest = max(longest, run)
        self._refused_in_a_row[key] = run if expected == len(batch.messages) else 0
        read, count = len(batch.messages), len(decoded.rejected)
        too_many = read >= _RATIO_FROM and count / read > self._limits.max_ratio
        if too_many or longest > self._limits.max_consecutive:
            first = decoded.rejected[0]
            raise NeedsOperator(
                f"{batch.topic}[{batch.partition}]: {count} of {read} messages from offset "
                f"{batch.first} are refused, {longest} in a row (first: offset "
                f"{batch.messages[first.position].offset()}, {first.reason}: {first.error}).",
                hint="Stopped before they fill the dead letters. Mend the producer or the topic's "
                "format; to let them through, raise dead_letters.max_ratio or max_consecutive.",
            )

    def _write_files(self, record: CommitRecord, parts: Iterator[raw_files.Part]) -> list[DataFile]:
        uploads = []
        files = []
        for part in parts:
            file, body = raw_files.encode(
                part, record.topic, record.partition, record.first, record.next
            )
            files.append(file)
            uploads.append(self._uploads.submit(self._store.put, file.key, body))
        for upload in uploads:
            upload.result()
        return files


def _values(batch: Batch) -> list[bytes | None]:
    return cast("list[bytes | None]", list(map(Message.value, batch.messages)))


def _with_lineage(batch: Batch, decoded: Decoded, times: npt.NDArray[np.int64]) -> pa.RecordBatch:
    """The rows as the lake stores them: the message's columns, then where each came from."""
    count = decoded.rows.num_rows
    offsets = np.fromiter(map(Message.offset, batch.messages), np.int64, len(batch.messages))
    topic = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(count, np.int8)), pa.array([batch.topic], pa.string())
    )
    lineage = [
        topic,
        pa.array(np.full(count, batch.partition, np.int32)),
        pa.array(offsets[decoded.positions]),
        pa.array(times[decoded.positions] * 1000).cast(LINEAGE_COLUMNS.field("_arrival_time").type),
        pa.array(decoded.schema_ids, pa.int32()),
    ]
    return pa.RecordBatch.from_arrays(
        [*decoded.rows.columns, *lineage], schema=raw_schema(decoded.rows.schema)
    )


def _letter(batch: Batch, refused: Rejected, times: npt.NDArray[np.int64]) -> DeadLetter:
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
        time_ms=int(times[refused.position]),
    )


def _headers(message: Message) -> list[tuple[str, bytes | None]]:
    headers: Any = message.headers() or []
    return [(name, _bytes(value)) for name, value in headers]


def _bytes(value: bytes | str | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
