"""Batches on their way to the lake: prepared ahead, committed one after the other in each partition.

The chain lets a record in only behind the one before it. What comes before the record needs no such
order: while a batch waits for the store, the next one of its partition is decoded and its files are
uploaded. If a batch then loses its place to another writer, those behind it are dropped: their files
are orphans, and their messages are read again.

A batch that cannot be decoded now, since its schema cannot be fetched, leaves its encoder to others: it
waits in a thread of its own, and its partition takes no further batch meanwhile.

A record must never leave a gap behind it. So the pipeline knows where each chain ends as far as this
process has seen, and lets only a batch that begins there be committed; after a loss or a failure none,
until the consumer says where it reads on.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, Protocol, TypeVar

from loader.consumer.batches import Batch
from loader.consumer.progress import Place
from loader.consumer.writer import Prepared, Written
from loader.errors import Transient
from loader.lake.chain import Lost, Won
from loader.logs import log

T = TypeVar("T")

#: Batches of one partition that may be under way, and of all.
MAX_OF_PARTITION: Final = 3
MAX_BATCHES: Final = 16
#: Batches that wait for an encoder: few, so that the most urgent one is chosen late.
_QUEUED: Final = 1
#: Seconds between two attempts while a dependency is away.
_PAUSE: Final = 2.0


class Steps(Protocol):
    """The two halves of writing a batch (see :class:`~loader.consumer.writer.BatchWriter`)."""

    def prepare(self, batch: Batch) -> Prepared:
        """Decode, sort, encode; costs CPU."""
        ...

    def commit(self, prepared: Prepared) -> Written:
        """Make it exist; waits for the store and for Kafka."""
        ...


@dataclass(slots=True, eq=False)
class _Entry:
    batch: Batch
    bytes: int
    prepared: Prepared | None = None
    failure: BaseException | None = None
    committing: bool = False
    dropped: bool = False
    waiting: bool = False


class Pipeline:
    """Writes batches in threads of its own. All methods are for one thread, the consumer's.

    Args:
        steps: how a batch is written.
        encoders: threads that prepare; each uses a core.
        patience: seconds that a dependency may stay away, beyond the bounded retries of each
            request, before its error is raised.
    """

    def __init__(self, steps: Steps, *, encoders: int = 1, patience: float = 0.0) -> None:
        self._steps = steps
        self._encoders = encoders
        self._patience = patience
        self._lanes: dict[Place, deque[_Entry]] = {}
        self._ends: dict[Place, int] = {}
        self._done: deque[Written | BaseException] = deque()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._preparing = ThreadPoolExecutor(encoders, thread_name_prefix="encoder")
        self._committing = ThreadPoolExecutor(MAX_BATCHES, thread_name_prefix="commit")
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="aside")

    def __len__(self) -> int:
        """Batches under way, and results that nobody has taken yet."""
        with self._changed:
            return sum(map(len, self._lanes.values())) + len(self._done)

    def held(self) -> int:
        """Bytes that batches under way hold: messages until they are encoded, then files."""
        with self._changed:
            return sum(entry.bytes for lane in self._lanes.values() for entry in lane)

    def begin(self, place: Place, offset: int) -> None:
        """The chain of this partition ends at ``offset``: the next batch begins there."""
        with self._changed:
            self._ends[place] = offset

    def end(self, place: Place) -> int:
        """Where the chain of this partition ends, as far as is known here; -1 after a loss."""
        with self._changed:
            return self._ends.get(place, -1)

    def has_room(self) -> bool:
        """Whether a batch would soon be begun with."""
        with self._changed:
            entries = [
                entry for lane in self._lanes.values() for entry in lane if not entry.waiting
            ]
        unprepared = sum(entry.prepared is None for entry in entries)
        return unprepared < self._encoders + _QUEUED and len(entries) < MAX_BATCHES

    def takes(self, place: Place) -> bool:
        """Whether this partition may have another batch under way."""
        with self._changed:
            lane = self._lanes.get(place, ())
            return len(lane) < MAX_OF_PARTITION and not any(entry.waiting for entry in lane)

    def waiting(self) -> set[Place]:
        """Partitions with a batch that cannot be decoded now. What is read of them only fills the memory."""
        with self._changed:
            return {
                place for place, lane in self._lanes.items() if any(entry.waiting for entry in lane)
            }

    def submit(self, batch: Batch) -> None:
        """Begin with a batch; it follows the batches of its partition that are under way.

        If one of those is lost, it is dropped. If it does not begin where the chain ends, it is lost.
        """
        entry = _Entry(batch, batch.weight)
        with self._changed:
            self._lanes.setdefault((batch.topic, batch.partition), deque()).append(entry)
        self._preparing.submit(self._prepare, entry)

    def results(self) -> list[Written]:
        """What ended since the last call, in order.

        Raises:
            LoaderError: of a batch that failed; it and those behind it are not written.
        """
        with self._changed:
            done = list(self._done)
            self._done.clear()
        failures = [result for result in done if isinstance(result, BaseException)]
        if failures:
            raise failures[0]
        return [result for result in done if isinstance(result, Written)]

    def wait(self, seconds: float) -> None:
        """Until a batch is prepared or ended, at most so long."""
        with self._changed:
            if not self._done:
                self._changed.wait(seconds)

    def drop(self, places: Iterable[Place], seconds: float) -> None:
        """Drop the batches of some partitions; those that are prepared have so long to land."""
        chosen = set(places)
        with self._changed:
            for place in chosen & self._lanes.keys():
                ready = takewhile(lambda entry: entry.prepared is not None, self._lanes[place])
                self._drop(place, keep=sum(1 for _ in ready))
        self._settle(chosen, seconds)

    def drain(self, seconds: float) -> None:
        """Let everything land that can within the time: what waits to be decoded cannot."""
        with self._changed:
            for place, lane in list(self._lanes.items()):
                able = takewhile(lambda entry: not entry.waiting, lane)
                self._drop(place, keep=sum(1 for _ in able))
            places = set(self._lanes)
        self._settle(places, seconds)

    def close(self) -> None:
        """End the threads. What is being committed ends first: a request cannot be called back."""
        with self._changed:
            self._closing.set()
            for place in list(self._lanes):
                self._drop(place, keep=1 if self._lanes[place][0].committing else 0)
        self._preparing.shutdown(wait=True, cancel_futures=True)
        self._aside.shutdown(wait=True, cancel_futures=True)
        self._committing.shutdown(wait=True, cancel_futures=True)

    def _settle(self, places: set[Place], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        with self._changed:
            self._changed.wait_for(
                lambda: not places & self._lanes.keys(), max(0.0, deadline - time.monotonic())
            )

    def _prepare(self, entry: _Entry) -> None:
        if entry.dropped:
            return
        try:
            entry.prepared = self._steps.prepare(entry.batch)
        except Transient as error:
            if self._patience > 0 and self._set_aside(entry, error):
                return
            entry.failure = error
        except BaseException as failure:  # noqa: BLE001 - raised in the consumer's thread
            entry.failure = failure
        self._after_preparing(entry)

    def _set_aside(self, entry: _Entry, error: Transient) -> bool:
        """Try again later and elsewhere; False if this is ending."""
        log.warning("waiting for a dependency", error=str(error))
        deadline = time.monotonic() + self._patience
        with self._changed:
            if self._closing.is_set():
                return False
            entry.waiting = True
            self._aside.submit(self._prepare_later, entry, deadline)
        return True

    def _prepare_later(self, entry: _Entry, deadline: float) -> None:
        self._closing.wait(_PAUSE)
        try:
            entry.prepared = self._patiently(
                lambda: None if entry.dropped else self._steps.prepare(entry.batch), deadline
            )
        except BaseException as failure:  # noqa: BLE001 - raised in the consumer's thread
            entry.failure = failure
        self._after_preparing(entry)

    def _after_preparing(self, entry: _Entry) -> None:
        with self._changed:
            entry.waiting = False
            if entry.dropped:
                return
            if entry.prepared is not None:
                entry.bytes = entry.prepared.bytes
            self._advance((entry.batch.topic, entry.batch.partition))

    def _commit(self, entry: _Entry, prepared: Prepared) -> None:
        result: Written | BaseException
        try:
            result = self._patiently(lambda: self._steps.commit(prepared))
        except BaseException as failure:  # noqa: BLE001 - raised in the consumer's thread
            result = failure
        place = (entry.batch.topic, entry.batch.partition)
        with self._changed:
            self._lanes[place].popleft()
            if isinstance(result, Written) and isinstance(result.outcome, Won):
                self._ends[place] = result.record.next
                self._done.append(result)
            else:
                self._fail(place, result)
            self._advance(place)

    def _advance(self, place: Place) -> None:
        """Begin to commit the first batch of a partition if it can be. The lock is held."""
        head = self._lanes[place][0] if self._lanes.get(place) else None
        if head is None:
            self._lanes.pop(place, None)
        elif head.failure is not None:
            self._fail(place, head.failure)
        elif head.prepared is not None and not head.committing:
            end = self._ends.get(place)
            if end == head.batch.first:
                head.committing = True
                self._committing.submit(self._commit, head, head.prepared)
            elif end is None:
                # Its predecessor's loss or failure has been told already.
                self._drop(place, keep=0)
            else:
                lost = Written(head.batch, head.prepared.record, Lost(end))
                self._fail(place, lost)
        self._changed.notify_all()

    def _fail(self, place: Place, result: Written | BaseException) -> None:
        """Tell of a loss or a failure; nothing of this partition is committed until `begin`."""
        self._ends.pop(place, None)
        self._drop(place, keep=0)
        self._done.append(result)

    def _drop(self, place: Place, *, keep: int) -> None:
        lane = self._lanes.get(place, deque())
        while len(lane) > keep:
            lane.pop().dropped = True
        if not lane:
            self._lanes.pop(place, None)

    def _patiently(self, call: Callable[[], T], deadline: float | None = None) -> T:
        """Run ``call``, again while a dependency is away, until patience or the deadline ends."""
        while True:
            try:
                return call()
            except Transient as error:
                deadline = deadline or time.monotonic() + self._patience
                if self._closing.is_set() or time.monotonic() >= deadline:
                    raise
                log.warning("waiting for a dependency", error=str(error))
                self._closing.wait(_PAUSE)
