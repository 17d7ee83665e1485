"""A chain of immutable records, one after the other by offset: the lake's only commit point.

Each record is one object, named by the first offset it covers and created with a conditional put.
A record's ``first`` equals the ``next`` of the record before it, so the chain answers three
questions at once: what exists, how far we have read, and who won where two writers met. Two
writers for one partition try to create the same key, the store lets one win, and the other one
drops its batch and goes on from the winner's ``next``. There is no lock to take and none to expire.

Two effects, each one object: ``append`` puts a record, ``fold`` puts a checkpoint, which repeats
records so that readers need few requests (`loader.lake.checkpoints`). A chain is whole without any.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Generic

from loader.lake import layout
from loader.lake.ahead import fetched_ahead
from loader.lake.checkpoints import Checkpoint, Checkpoints, Span
from loader.lake.record_objects import R, RecordObjects, offset_of
from loader.lake.store import ObjectStore

#: Records of a full checkpoint, and bytes of records beyond which it is full before.
FOLD_RECORDS: Final = 500
FOLD_BYTES: Final = 8 << 20
#: Records that a reader fetches at once; of checkpoints, which are larger, a quarter as many.
_RECORDS_AHEAD: Final = 16


@dataclass(frozen=True, slots=True)
class Won:
    """The record is in the chain."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Another writer's record stands at this offset; ``next`` is where the chain ends now."""

    next: int


class Chains(Generic[R]):
    """All chains under one root (``log/`` or ``registry/``) of a lake. Safe for threads.

    Args:
        store: the lake's object store.
        root: ``layout.LOG`` or ``layout.REGISTRY``.
        decode: turns an object's body into a record; raises ``ValueError`` for a body that is none.
        fold_records: records of a full checkpoint.
        fold_bytes: bytes of records with which a checkpoint is full although it has fewer.
        ahead: records that a reader fetches at once; 1 fetches in the caller's own thread.
    """

    def __init__(
        self,
        store: ObjectStore,
        root: str,
        decode: Callable[[bytes], R],
        *,
        fold_records: int = FOLD_RECORDS,
        fold_bytes: int = FOLD_BYTES,
        ahead: int = _RECORDS_AHEAD,
    ) -> None:
        self._store = store
        self._root = root
        self._fold_records = fold_records
        self._fold_bytes = fold_bytes
        self._ahead = ahead
        self._objects = RecordObjects(store, root, decode, ahead=ahead)
        self._checkpoints = Checkpoints(store, root)
        #: By topic and partition, how many records no checkpoint holds, as far as was seen here.
        self._unfolded: dict[tuple[str, int], int] = {}
        self._lock = threading.Lock()

    def topics(self) -> list[str]:
        """Topics that have a chain, sorted."""
        return self._store.list_folders(self._root)

    def partitions(self, topic: str) -> list[int]:
        """Partitions of ``topic`` that have a chain, ascending."""
        return sorted(int(name) for name in self._store.list_folders(f"{self._root}{topic}/"))

    def record(self, topic: str, partition: int, first: int) -> R:
        """The record that begins at ``first``, known to exist. One request.

        Raises:
            NeedsOperator: it is gone or damaged.
        """
        return self._objects.read(layout.log_record(self._root, topic, partition, first))

    def records(self, topic: str, partition: int, *, since: int = 0) -> Iterator[R]:
        """The records with ``first >= since``, in order, each checked against the one before it.

        Where checkpoints hold them, one request brings a whole checkpoint; else it brings a record.

        Raises:
            NeedsOperator: a record is missing, cut short or overlaps its neighbour; a checkpoint and
                the records do not fit together.
        """
        before: R | None = None
        for source, record in self._sourced(topic, partition, since):
            self._objects.check_joint(before, record.first, source)
            before = record
            yield record

    def tail(self, topic: str, partition: int) -> R | None:
        """The last record of a partition's chain; None where there is none yet.

        Three requests, however long the chain: the newest checkpoint, the records after it, the
        last one. (One more for each 1,000 records that nobody has folded.)

        Raises:
            NeedsOperator: the last record is damaged, or the chain does not go on where its newest
                checkpoint ends.
        """
        last = None
        count = 0
        newest = self._checkpoints.newest(topic, partition)
        for key in self._objects.keys_after(topic, partition, newest):
            last = key
            count += 1
        with self._lock:
            self._unfolded[topic, partition] = count
        return None if last is None else self._objects.read(last)

    def append(self, record: R) -> Won | Lost:
        """Make ``record`` exist, unless another writer's record stands at its first offset.

        The caller must have taken ``record.first`` from the chain's tail. An answer that was lost on
        the way is recognised: the same body at the key is our own write.

        Raises:
            ValueError: the record covers no offset.
        """
        if record.next <= record.first:
            raise ValueError(f"empty record: [{record.first}, {record.next})")
        place = (record.topic, record.partition)
        key = layout.log_record(self._root, *place, record.first)
        if self._store.put_if_absent(key, record.encode()):
            with self._lock:
                self._unfolded[place] = self._unfolded.get(place, 0) + 1
            return Won()
        tail = self.tail(*place)
        assert tail is not None, "a record stands at our offset, so there is a tail"  # noqa: S101
        return Lost(tail.next)

    def fold_due(self, topic: str, partition: int) -> bool:
        """True if ``fold`` is likely to find enough for a checkpoint.

        No request: records are counted as ``tail`` and ``append`` meet them. Before the first of
        these for a partition the answer is no.
        """
        with self._lock:
            return self._unfolded.get((topic, partition), 0) > self._fold_records

    def fold(self, topic: str, partition: int) -> bool:
        """Put the next checkpoint of a chain, if there is enough for a full one.

        One effect: "put checkpoint". It may come to nothing, and be done twice by two writers, since
        whole checkpoints of one span are equal and the store keeps one. At most one checkpoint is
        made, so that the time is bounded (500 small requests, 16 at once): call it again while
        ``fold_due``. It takes no lock that ``append`` would wait for.

        Returns:
            True if a checkpoint was made, by us or by another writer at the same time.

        Raises:
            NeedsOperator: the chain is broken.
        """
        checkpoint = self.next_checkpoint(topic, partition)
        if checkpoint is None:
            return False
        self.put_checkpoint(checkpoint)
        return True

    def next_checkpoint(self, topic: str, partition: int) -> Checkpoint | None:
        """The checkpoint that goes on where the newest one ends; None where it would not be full.

        The chain's last record stays out, so that there is always one after the newest checkpoint:
        that proves that the two belong together, and spares ``tail`` the reading of checkpoints.

        Raises:
            NeedsOperator: the chain is broken.
        """
        newest = self._checkpoints.newest(topic, partition)
        found = self._objects.keys_after(topic, partition, newest)
        keys = list(itertools.islice(found, self._fold_records + 1))
        if len(keys) <= self._fold_records:
            with self._lock:
                self._unfolded[topic, partition] = len(keys)
            return None
        bodies: list[tuple[int, bytes]] = []
        size = 0
        before: R | None = None
        for key, body in fetched_ahead(self._objects.get, keys[:-1], most=self._ahead):
            record = self._objects.decoded(key, body, offset_of(key))
            self._objects.check_joint(before, record.first, key)
            bodies.append((record.first, body))
            before = record
            size += len(body)
            if size >= self._fold_bytes:
                break
        after = keys[len(bodies)]
        self._objects.check_joint(before, offset_of(after), after)
        return Checkpoint(
            self._root, topic, partition, bodies[0][0], offset_of(after), tuple(bodies)
        )

    def put_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Make a checkpoint exist. Where another writer's stands already, ours is not needed."""
        self._checkpoints.put(checkpoint)
        place = (checkpoint.topic, checkpoint.partition)
        with self._lock:
            left = self._unfolded.get(place, 0) - len(checkpoint.records)
            self._unfolded[place] = max(0, left)

    def _sourced(self, topic: str, partition: int, since: int) -> Iterator[tuple[str, R]]:
        """Records from ``since``, unchecked, each with the key of the object it was read from."""
        plan: list[Span] = []
        for span in self._checkpoints.spans(topic, partition, since=since):
            if not plan or span.next > plan[-1].next:
                plan.append(span)
        position = since
        read = self._checkpoints.read
        for span, checkpoint in fetched_ahead(read, plan, most=max(1, self._ahead // 4)):
            if position < span.first:
                yield from self._objects.between(topic, partition, position, span.first)
                position = span.first
            if checkpoint is None:
                yield from self._objects.between(topic, partition, position, span.next)
            else:
                for first, body in checkpoint.records:
                    if first >= position:
                        yield span.key, self._objects.decoded(span.key, body, first)
            position = span.next
        last = self._objects.keys_after(
            topic, partition, plan[-1] if plan else None, since=position
        )
        yield from self._objects.fetched(last)
