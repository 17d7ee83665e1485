"""A topic's messages as one Arrow batch: bytes, arrival, and what they mean.

Columns of a batch: ``key`` and ``value`` (binary; a null value is a tombstone), ``arrival``
(microseconds), ``order`` (settles equal arrivals), ``fault`` (null, or why the loader must refuse
the message), and then the topic's own columns, which are meaningless where ``fault`` is set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loader.local.simulator.hashing import Ints

ENVELOPE: Final = ("key", "value", "arrival", "order", "fault")
Describe = Callable[[pa.RecordBatch], pa.Table]


@dataclass(frozen=True, slots=True)
class Messages:
    """Messages of one topic, in order of arrival.

    Attributes:
        batch: see the module's text.
        describe: makes logical rows of a batch's own columns.
    """

    batch: pa.RecordBatch
    describe: Describe

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    @property
    def keys(self) -> list[bytes]:
        """Message keys: the user id in decimal ASCII."""
        keys: list[bytes] = self.batch.column("key").to_pylist()
        return keys

    @property
    def values(self) -> list[bytes | None]:
        """Message values; None is a tombstone."""
        values: list[bytes | None] = self.batch.column("value").to_pylist()
        return values

    @property
    def arrival_ms(self) -> Ints:
        """Message times: arrival, in milliseconds since the epoch."""
        return np.asarray(self.batch.column("arrival").to_numpy() // 1000)

    @property
    def faults(self) -> list[str | None]:
        """For each message None, or the reason for which it must be refused."""
        faults: list[str | None] = self.batch.column("fault").to_pylist()
        return faults

    @property
    def refused(self) -> int:
        """How many messages must go to the dead letters."""
        return len(self) - int(self.batch.column("fault").null_count)

    def rows(self) -> pa.Table:
        """What the acceptable messages say: one logical row each, in order of arrival."""
        good = self.batch.filter(pc.is_null(self.batch.column("fault")))
        return self.describe(good.select([n for n in good.schema.names if n not in ENVELOPE]))


def sort_by_arrival(batch: pa.RecordBatch) -> pa.RecordBatch:
    """In order of arrival, equal ones by ``order``."""
    order = np.lexsort((batch.column("order").to_numpy(), batch.column("arrival").to_numpy()))
    return batch.take(pa.array(order))


def joined(batches: Iterable[pa.RecordBatch]) -> pa.RecordBatch:
    """One batch of several of one schema, at least one."""
    return pa.concat_batches(list(batches))


class Delay:
    """Holds messages back until the stream has reached their arrival.

    Each message is copied once on its way in, whatever the length of its delay: those that are not
    due yet wait in slots of ``width`` microseconds. What waits is bounded by the messages in flight.
    """

    def __init__(self, start: int, width: int) -> None:
        self._start = start
        self._width = max(width, 1)
        self._slots: dict[int, list[pa.RecordBatch]] = {}

    def put(self, batch: pa.RecordBatch) -> None:
        """Take messages in any order of arrival."""
        if not batch.num_rows:
            return
        slots = (batch.column("arrival").to_numpy() - self._start) // self._width
        order = np.argsort(slots, kind="stable")
        batch, slots = batch.take(pa.array(order)), slots[order]
        bounds = [0, *(np.flatnonzero(np.diff(slots)) + 1).tolist(), len(slots)]
        for first, end in pairwise(bounds):
            # A copy of its own: a slice would keep the whole batch alive.
            part = batch.slice(first, end - first)
            part = (
                part
                if end - first > len(slots) // 2
                else part.take(pa.array(np.arange(end - first)))
            )
            self._slots.setdefault(int(slots[first]), []).append(part)

    def due(self, until: int | None) -> list[pa.RecordBatch]:
        """Give out all slots that end at or before ``until``, in order; None gives everything."""
        last = None if until is None else (until - self._start) // self._width
        ready = sorted(slot for slot in self._slots if last is None or slot < last)
        return [sort_by_arrival(joined(self._slots.pop(slot))) for slot in ready]
