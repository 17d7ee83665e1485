"""When too many messages are refused: stop before a bad deploy drains a topic into the dead letters.

Two limits for each partition, over its messages in their order, wherever batches begin and end:

* by ratio: of the last ``window`` messages more than ``max_ratio`` were refused. Where fewer are
  known (a young partition), the share of those, from 1,000 messages on: that of a handful says nothing.
* in a row: more than ``max_consecutive`` messages without a good one between them.

What counts is the chain. A batch is checked before anything of it is written, and counts for the next
one when its record has won its place; a batch that was lost, or that is read again after a crash, is
checked against what stands before it in the chain, and never counts twice. After a start or a
rebalance the chain's last records say what came before, so restarting a stopped consumer does not
let a little more of the flood through each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from loader import config
from loader.errors import NeedsOperator
from loader.lake import layout
from loader.lake.chain import Chains
from loader.lake.commit_log import CommitRecord
from loader.lake.store import ObjectStore

#: A share of fewer messages says nothing, unless the window itself is smaller.
RATIO_FROM: Final = 1000
#: Records at the end of a chain that are asked what came before: one request each.
_LOOK_BACK: Final = 50

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one record: how many messages it read, and how many of them were refused."""

    read: int
    refused: int


#: Says what a chain holds before an offset, oldest first: ``(topic, partition, offset)``.
History = Callable[[str, int, int], Iterable[Counts]]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the messages before an offset of one partition.

    Attributes:
        refused: where the refused ones of the last ``window`` messages are, ascending; -1 is the
            last message.
        seen: how many messages are known, at most ``window``.
        run: how many at the end were refused in a row.
    """

    refused: Positions
    seen: int
    run: int

    def then(self, read: int, positions: Positions, window: int) -> Known:
        """What is known after ``read`` more messages, of which those at ``positions`` were refused."""
        refused = np.concatenate([self.refused, positions]) - read
        run = _runs(positions, read, self.run)[1]
        return Known(refused[refused >= -window], min(self.seen + read, window), run)


_NOTHING: Final = Known(np.empty(0, np.int64), 0, 0)


@dataclass(frozen=True, slots=True)
class Checked:
    """A batch that passed. It counts once it is handed to :meth:`RefusalLimits.landed`."""

    topic: str
    partition: int
    after: Known


class RefusalLimits:
    """The limits on refused messages. Safe for threads, at most one batch of a partition at a time.

    Args:
        settings: the limits.
        history: says what the chain holds before an offset; asked only where a batch has refused
            messages and what came before it is not known here.
    """

    def __init__(self, settings: config.DeadLetters, history: History = lambda *_: ()) -> None:
        self._settings = settings
        self._history = history
        #: By partition: where its chain ended when we last knew, and what came before.
        self._known: dict[tuple[str, int], tuple[int, Known]] = {}

    def check(
        self,
        topic: str,
        partition: int,
        first: int,
        read: int,
        refused: Sequence[int],
        example: str = "",
    ) -> Checked:
        """Check a batch before anything of it is written.

        Args:
            topic: Kafka topic.
            partition: Kafka partition.
            first: the offset at which the batch begins: the end of the partition's chain.
            read: its messages.
            refused: positions of the refused ones among them, 0 to ``read`` - 1, ascending.
            example: the first refused message, for people: its offset, reason and error.

        Raises:
            NeedsOperator: too many are refused.
            Unreachable: the lake did not say what came before.
        """
        window = self._settings.window
        before = self._before(topic, partition, first, asked=bool(refused))
        positions = np.asarray(refused, np.int64)
        if refused:
            fault = self._too_many(before, positions) or self._in_a_row(before, read, positions)
            if fault:
                shown = f" (the first: {example})" if example else ""
                raise NeedsOperator(
                    f"{topic}[{partition}]: {len(refused)} of {read} messages from offset {first} "
                    f"are refused{shown}. {fault}",
                    hint="Stopped before they fill the dead letters; nothing of this batch was written. "
                    "Mend the producer or the topic's format; to let them through, raise "
                    "dead_letters.max_ratio or dead_letters.max_consecutive.",
                )
        return Checked(topic, partition, before.then(read, positions, window))

    def landed(self, checked: Checked, next_: int) -> None:
        """The batch's record has won its place in the chain, which now ends at ``next_``."""
        self._known[checked.topic, checked.partition] = (next_, checked.after)

    def _before(self, topic: str, partition: int, first: int, *, asked: bool) -> Known:
        """What came before ``first``. Where nothing was refused yet nobody needs to know."""
        end, known = self._known.get((topic, partition), (-1, _NOTHING))
        if end == first:
            return known
        known = _NOTHING
        if asked:
            for counts in self._history(topic, partition, first):
                # A record does not say which of its messages were refused: spread evenly.
                places = np.floor(np.arange(counts.refused) * counts.read / max(counts.refused, 1))
                known = known.then(counts.read, places.astype(np.int64), self._settings.window)
            if len(known.refused) > self._settings.max_ratio * known.seen:
                # Somebody raised the limits to let these through. They must not stop us again.
                return _NOTHING
        return known

    def _too_many(self, before: Known, positions: Positions) -> str:
        """The fault by ratio, at whichever message of the batch it comes up; empty if none."""
        window = self._settings.window
        enough = min(RATIO_FROM, window)
        # Judged at each refused message: a good one cannot raise the share.
        sizes = np.minimum(before.seen + positions + 1, window)
        moments, sizes = positions[sizes >= enough], sizes[sizes >= enough]
        refused = np.concatenate([before.refused, positions])
        counts = np.searchsorted(refused, moments, "right") - np.searchsorted(
            refused, moments - sizes, "right"
        )
        over = counts > self._settings.max_ratio * sizes
        if not over.any():
            return ""
        worst = int(np.argmax(counts / sizes))
        return (
            f"Of {sizes[worst]:,} messages of the partition in their order {counts[worst]:,} are "
            f"refused; dead_letters.max_ratio is {self._settings.max_ratio:g}."
        )

    def _in_a_row(self, before: Known, read: int, positions: Positions) -> str:
        longest = _runs(positions, read, before.run)[0]
        if longest <= self._settings.max_consecutive:
            return ""
        return (
            f"{longest:,} are refused in a row; dead_letters.max_consecutive is "
            f"{self._settings.max_consecutive:,}."
        )


def _runs(positions: Positions, read: int, before: int) -> tuple[int, int]:
    """The longest run of refused messages and the one at the end; ``before`` of them came before."""
    if not len(positions):
        return 0, 0 if read else before
    starts = [0, *(np.flatnonzero(np.diff(positions) != 1) + 1).tolist(), len(positions)]
    lengths = [after - start for start, after in pairwise(starts)]
    if positions[0] == 0:
        lengths[0] += before
    return max(lengths), lengths[-1] if positions[-1] == read - 1 else 0


def chain_history(store: ObjectStore, log: Chains[CommitRecord]) -> History:
    """What the last records of a chain say: at most 50 of them are read.

    Args:
        store: the lake.
        log: its commit log.
    """

    def history(topic: str, partition: int, offset: int) -> Iterable[Counts]:
        firsts = [
            layout.record_offset(info.key)
            for info in store.scan(layout.log_chain(layout.LOG, topic, partition))
            if info.key.endswith(".json")
        ]
        firsts = [first for first in firsts if first < offset][-_LOOK_BACK:]
        if not firsts:
            return ()
        return [
            Counts(record.read, record.dead_lettered)
            for record in log.records(topic, partition, since=firsts[0])
            if record.next <= offset
        ]

    return history
