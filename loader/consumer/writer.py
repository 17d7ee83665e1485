"""From a batch of messages to a record in the commit log: the steps whose order makes it exact.

*Prepare* costs CPU: decode, sort, encode; each data file is on its way to the store as soon as it is
encoded. Nothing refers to it yet: after a crash it is an orphan.

*Commit* waits, in this order:

1. The limits on refused messages are checked.
2. The refused ones are sent to the dead letters, and are acknowledged.
3. The data files are in the store.
4. The commit record is put, conditionally. Now the batch exists.

The power may go out on any line: before 4 the batch is read again, after 4 it is in the chain.
A repeat may write a dead letter twice; the record says which count.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from confluent_kafka import Message

from loader import config
from loader.codec.contract import Decoded, Decoder, Rejected
from loader.consumer.batches import Batch
from loader.consumer.effects import Effect, Effects
from loader.consumer.steps import Steps
from loader.errors import NeedsOperator, Transient
from loader.kafka.dead_letters import DeadLetter, DeadLetterSink
from loader.lake import raw_files
from loader.lake.chain import Chains, Lost, Won
from loader.lake.commit_log import CommitRecord, DataFile
from loader.lake.store import ObjectStore
from loader.model.events import LINEAGE_COLUMNS, raw_schema

#: A share of a handful of messages says nothing.
_RATIO_FROM = 1000
#: Requests under way at once.
_UPLOADS: Final = 8


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch: its record, and whether it won its place in the chain."""

    batch: Batch
    record: CommitRecord
    outcome: Won | Lost


@dataclass(slots=True)
class Prepared:
    """A batch that is encoded.

    Attributes:
        batch: without its messages.
        record: as it will stand in the chain, but for the time of its creation.
        uploads: each data file, its bytes, and its upload under way.
        letters: the refused messages.
        refused: their places in the batch, and why.
        bytes: size of the data files, which are held until the record is put.
    """

    batch: Batch
    record: CommitRecord
    uploads: list[tuple[DataFile, pa.Buffer, Future[None]]]
    letters: list[DeadLetter]
    refused: tuple[Rejected, ...]
    bytes: int


class BatchWriter:
    """Writes batches: `prepare` in any number of threads, `commit` one at a time for a partition.

    Args:
        store: the lake.
        log: its commit log.
        buckets: its number of buckets.
        decoders: makes a decoder for a topic; called once for each thread and topic.
        dead_letters: where refused messages go.
        limits: when too many are refused.
        topic_ids: Kafka's ids of the topics.
        writer: id of this process.
        steps: takes the CPU time of each step.
        effects: told of each effect.
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
        steps: Steps | None = None,
        effects: Effects | None = None,
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
        self._steps = steps or Steps()
        self._effects = effects or Effects()

    def prepare(self, batch: Batch) -> Prepared:
        """Decode, sort and encode a batch; its data files begin to be uploaded.

        The batch gives its messages away: they are freed as soon as they are decoded.

        Raises:
            Unreachable: a writer's schema cannot be fetched now; nothing was changed.
        """
        with self._steps.timed("messages"):
            messages = batch.messages
            values = cast("list[bytes | None]", list(map(Message.value, messages)))
            offsets = np.fromiter(map(Message.offset, messages), np.int64, len(messages))
            arrived = map(itemgetter(1), map(Message.timestamp, messages))
            arrival_ms = np.fromiter(arrived, np.int64, len(messages))
        with self._steps.timed("decode"):
            decoded = self._decoder(batch.topic).decode(values)
            del values
        letters = [_letter(batch, refused, arrival_ms) for refused in decoded.rejected]
        record = self._record(batch, decoded, arrival_ms)
        messages.clear()
        lineage = _Lineage(batch, offsets, arrival_ms)
        uploads = []
        with self._steps.timed("sort"):
            cuts = list(
                raw_files.cut(decoded.number("time"), decoded.number("user_id"), self._buckets)
            )
        for cut in cuts:
            with self._steps.timed("gather"):
                rows = lineage.added(decoded, cut.rows)
            with self._steps.timed("parquet"):
                file, body = raw_files.encode(
                    rows, cut, batch.topic, batch.partition, batch.first, batch.next
                )
            del rows
            uploads.append((file, body, self._uploads.submit(self._put, file.key, body)))
        files = tuple(file for file, _, _ in uploads)
        return Prepared(
            batch=batch,
            record=dataclasses.replace(record, files=files),
            uploads=uploads,
            letters=letters,
            refused=decoded.rejected,
            bytes=sum(file.bytes for file in files),
        )

    def commit(self, prepared: Prepared) -> Written:
        """Make a prepared batch exist. May be called again after a transient error.

        Raises:
            NeedsOperator: too many messages are refused; no letter was sent.
            Unreachable: the store or the dead-letter topic stayed away.
        """
        self._check_limits(prepared)
        if prepared.letters:
            with self._effects.doing(Effect.SEND_LETTERS):
                self._dead_letters.send(prepared.letters)
        for place, (file, body, upload) in enumerate(prepared.uploads):
            try:
                upload.result()
            except Transient:
                again = self._uploads.submit(self._put, file.key, body)
                prepared.uploads[place] = (file, body, again)
                again.result()
        created = dt.datetime.now(dt.UTC).isoformat()
        # The same body whenever it is tried again: an answer that was lost is recognised by it.
        if not prepared.record.created:
            prepared.record = dataclasses.replace(prepared.record, created=created)
        with self._effects.doing(Effect.PUT_RECORD):
            outcome = self._log.append(prepared.record)
        return Written(prepared.batch, prepared.record, outcome)

    def close(self) -> None:
        """Wait for uploads in flight and end the threads."""
        self._uploads.shutdown(cancel_futures=True)

    def _put(self, key: str, body: pa.Buffer) -> None:
        with self._steps.timed("upload"), self._effects.doing(Effect.PUT_DATA):
            self._store.put(key, body.to_pybytes())

    def _record(
        self, batch: Batch, decoded: Decoded, arrival_ms: npt.NDArray[np.int64]
    ) -> CommitRecord:
        """The batch's record but for its files and the time of its creation."""
        arrival = (int(arrival_ms.min()), int(arrival_ms.max())) if len(arrival_ms) else (-1, -1)
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
            written=len(decoded.positions),
            dead_lettered=len(decoded.rejected),
            dead_letter_reasons=dict(Counter(str(r.reason) for r in decoded.rejected)),
            schema_ids=tuple(np.unique(decoded.schema_ids).tolist()),
            unknown_fields=dict(decoded.unknown_fields),
            min_arrival=arrival[0] * 1000 if arrival[0] >= 0 else -1,
            max_arrival=arrival[1] * 1000 if arrival[1] >= 0 else -1,
        )

    def _decoder(self, topic: str) -> Decoder:
        decoders: dict[str, Decoder] = self._local.__dict__.setdefault("decoders", {})
        if topic not in decoders:
            decoders[topic] = self._decoders(topic)
        return decoders[topic]

    def _check_limits(self, prepared: Prepared) -> None:
        batch, refusals = prepared.batch, prepared.refused
        read, count = prepared.record.read, len(refusals)
        key = (batch.topic, batch.partition)
        run = longest = self._refused_in_a_row.get(key, 0)
        expected = 0
        for refused in refusals:
            run = run + 1 if refused.position == expected else 1
            expected = refused.position + 1
            longest = max(longest, run)
        self._refused_in_a_row[key] = run if expected == read else 0
        too_many = read >= _RATIO_FROM and count / read > self._limits.max_ratio
        if too_many or longest > self._limits.max_consecutive:
            first = refusals[0]
            raise NeedsOperator(
                f"{batch.topic}[{batch.partition}]: {count} of {read} messages from offset "
                f"{batch.first} are refused, {longest} in a row (first: offset "
                f"{prepared.letters[0].offset}, {first.reason}: {first.error}).",
                hint="Stopped before they fill the dead letters. Mend the producer or the topic's "
                "format; to let them through, raise dead_letters.max_ratio or max_consecutive.",
            )


class _Lineage:
    """Where each message of a batch came from, as columns of the lake."""

    def __init__(
        self, batch: Batch, offsets: npt.NDArray[np.int64], arrival_ms: npt.NDArray[np.int64]
    ) -> None:
        self._topic = pa.array([batch.topic], pa.string())
        self._partition = batch.partition
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


def _letter(batch: Batch, refused: Rejected, arrival_ms: npt.NDArray[np.int64]) -> DeadLetter:
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
