"""From a batch of messages to a record in the commit log: the steps whose order makes it exact.

*Prepare* costs CPU: decode, sort, encode; each data file is on its way to the store as soon as it is
encoded. Nothing refers to it yet: after a crash it is an orphan.

*Commit* waits, in this order:

1. The limits on refused messages are checked.
2. The refused ones are sent to the dead letters, and are acknowledged.
3. The data files are in the store, and the topic is still the one that was read.
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
from typing import Final

import numpy as np
import pyarrow as pa

from loader.codec.contract import Decoded, Decoder, Rejected
from loader.codec.spans import Messages
from loader.consumer.batches import Batch
from loader.consumer.effects import Effect, Effects
from loader.consumer.limits import RefusalLimits
from loader.consumer.lineage import Lineage, letter
from loader.consumer.runs import Run
from loader.consumer.steps import Steps
from loader.consumer.vigil import Vigil
from loader.errors import Transient
from loader.kafka.dead_letters import DeadLetter, DeadLetterSink
from loader.lake import raw_files
from loader.lake.chain import Chains, Lost, Won
from loader.lake.commit_log import CommitRecord, DataFile
from loader.lake.store import ObjectStore

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
        ticket: of the vigil's check that began after the last message was polled.
    """

    batch: Batch
    record: CommitRecord
    uploads: list[tuple[DataFile, pa.Buffer, Future[None]]]
    letters: list[DeadLetter]
    refused: tuple[Rejected, ...]
    bytes: int
    ticket: int = 0

    def example(self) -> str:
        """The first refused message, for people."""
        if not self.refused:
            return ""
        first = self.refused[0]
        return f"offset {self.letters[0].offset}, {first.reason}: {first.error}"


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
        vigil: says whether the topics are still the ones they were.
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
        limits: RefusalLimits,
        topic_ids: Mapping[str, str],
        writer: str,
        vigil: Vigil | None = None,
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
        self._ask = vigil.ask if vigil else lambda: 0
        self._confirm = vigil.confirm if vigil else lambda _: None
        self._writer = writer
        self._local = threading.local()
        self._uploads = ThreadPoolExecutor(_UPLOADS, thread_name_prefix="upload")
        self._steps = steps or Steps()
        self._effects = effects or Effects()

    def prepare(self, batch: Batch) -> Prepared:
        """Decode, sort and encode a batch; its data files begin to be uploaded.

        The batch holds its messages no longer.

        Raises:
            Unreachable: a writer's schema cannot be fetched now; nothing was changed.
        """
        ticket = self._ask()
        run = batch.run
        if run is None:
            raise ValueError("this batch was prepared before")
        with self._steps.timed("decode"):
            decoded = self._decoder(batch.topic).decode_joined(run.values)
        # Not before: where a writer's schema cannot be fetched now, this is tried again.
        batch.run = None
        letters = [letter(batch, run, refused) for refused in decoded.rejected]
        record = self._record(batch, decoded, run)
        lineage = Lineage(batch.topic, batch.partition, run.offsets, run.arrival_ms)
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
            ticket=ticket,
        )

    def commit(self, prepared: Prepared) -> Written:
        """Make a prepared batch exist. May be called again after a transient error.

        Raises:
            NeedsOperator: too many messages are refused; no letter was sent.
            Unreachable: the store or the dead-letter topic stayed away.
        """
        checked = self._limits.check(
            prepared.batch.topic,
            prepared.batch.partition,
            prepared.batch.first,
            prepared.record.read,
            [refused.position for refused in prepared.refused],
            prepared.example(),
        )
        # The messages are those of the topic that reading began with, and not of one made again.
        self._confirm(prepared.ticket)
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
        if isinstance(outcome, Won):
            self._limits.landed(checked, prepared.record.next)
        return Written(prepared.batch, prepared.record, outcome)

    def close(self) -> None:
        """Wait for uploads in flight and end the threads."""
        self._uploads.shutdown(cancel_futures=True)

    def _put(self, key: str, body: pa.Buffer) -> None:
        with self._steps.timed("upload"), self._effects.doing(Effect.PUT_DATA):
            self._store.put(key, body.to_pybytes())

    def _record(self, batch: Batch, decoded: Decoded, run: Run[Messages]) -> CommitRecord:
        """The batch's record but for its files and the time of its creation."""
        came = run.arrival_ms
        arrival = (int(came.min()), int(came.max())) if len(came) else (-1, -1)
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
            read=len(run),
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
