"""What was polled, sorted into the open batches of the assigned partitions; and which of them are due."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from loader import config
from loader.codec.joining import Values
from loader.consumer.batches import Buffer
from loader.consumer.progress import Place
from loader.consumer.runs import Run


class Intake:
    """The open batches of a worker's partitions. Pure: it asks nobody, and knows no clock.

    Args:
        limits: of a batch.
    """

    def __init__(self, limits: config.Batch) -> None:
        self._limits = limits
        self.buffers: dict[Place, Buffer] = {}
        self._epoch = 0

    @property
    def epoch(self) -> int:
        """Counts assignments. Read it before a poll, and hand it to `take` with what came of it."""
        return self._epoch

    def assign(self, starts: Iterable[tuple[Place, int]]) -> None:
        """Partitions came, each to be read from an offset."""
        self._epoch += 1
        for (topic, partition), offset in starts:
            self.buffers[topic, partition] = Buffer(
                topic, partition, offset, self._epoch, self._limits
            )

    def unassign(self, places: Iterable[Place]) -> None:
        """Partitions went, and what was open of them."""
        for place in places:
            self.buffers.pop(place, None)

    def weight(self) -> int:
        """Bytes that all open batches hold in memory."""
        return sum(buffer.weight for buffer in self.buffers.values())

    def take(
        self,
        runs: Sequence[tuple[Place, Run[Values]]],
        ends: Sequence[tuple[Place, int]],
        *,
        epoch: int,
        now: float,
    ) -> set[Place]:
        """Take what one poll gave.

        A batch call may hold messages of before a rebalance that happened within it (librdkafka,
        INTRODUCTION: Note on Batch consume APIs). So what came for a partition that was assigned
        within the poll is thrown away, and so is what does not fit behind what is here. Reading such
        a partition anew from the start of its open batch loses nothing.

        Args:
            runs: messages of one partition each, as they came.
            ends: partitions that Kafka said were read to their end, and where that is.
            epoch: as it was before the poll.
            now: monotonic time, seconds.

        Returns:
            The partitions that have to be read again, from their buffer's ``first``.
        """
        fresh = {place for place, buffer in self.buffers.items() if buffer.epoch > epoch}
        again = {place for place, _ in ends if place in fresh}
        for place, run in runs:
            buffer = self.buffers.get(place)
            # Messages of a partition that was just taken away: its new owner reads them.
            if buffer is not None and place not in again:
                if place not in fresh and buffer.fits(run):
                    buffer.add(run, now=now)
                else:
                    again.add(place)
        for place, offset in ends:
            if place in self.buffers and place not in again:
                self.buffers[place].ended = offset
                self.buffers[place].ended_at = now
        return again

    def due(
        self,
        now: float,
        *,
        short: bool,
        takes: Callable[[Place], bool],
        complete: Callable[[Place], bool],
        passed: Callable[[Buffer], bool],
    ) -> list[Place]:
        """Partitions whose batch may close, most urgent first.

        Those at a limit come by age, so that one far behind never holds up the others; then, where
        memory is short, the largest.

        Args:
            now: monotonic time, seconds.
            short: whether memory is.
            takes: whether another batch of a partition may be under way.
            complete: whether everything that a bounded run wants of a partition is here.
            passed: whether offsets that hold no message are to be covered by an empty batch.
        """
        due: list[tuple[int, float, Place]] = []
        for place, buffer in self.buffers.items():
            if not takes(place):
                continue
            if buffer.rows and (buffer.closes(now) or complete(place)):
                due.append((0, buffer.opened, place))
            elif not buffer.rows and passed(buffer):
                due.append((0, buffer.ended_at, place))
            elif buffer.rows and short:
                due.append((1, -buffer.weight, place))
        due.sort()
        # One of the largest is enough to make room.
        closing = sum(1 for kind, _, _ in due if kind == 0)
        return [place for _, _, place in due[: max(closing, 1)]]
