"""Checkpoints against the records that they repeat. They are copies: the records are right."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from loader.lake import layout
from loader.lake.checkpoints import Checkpoint, Span, decode_checkpoint
from loader.lake.store import ObjectStore
from loader.monitor.chain_walk import Place, places, unknown_object
from loader.monitor.findings import Finding, Findings

_DELETE: Final = "Readers pass it over. Delete it: it only repeats records, which stand in the log."
_RESTORE: Final = (
    "Restore the record from the bucket's versions, or from this checkpoint if a deep check finds its "
    "checksum right. If the log is right as it is, delete the checkpoint."
)


def checkpointed(
    store: ObjectStore, findings: Findings, *, topic: str | None = None
) -> list[Place]:
    """The chains that have checkpoints, by the checkpoints' folders alone."""
    return [
        Place(root, found.topic, found.partition)
        for root in (layout.LOG, layout.REGISTRY)
        for found in places(store, f"{layout.CHECKPOINTS}{root}", findings, topic=topic)
    ]


class CheckpointCheck:
    """The checkpoints of one chain, told each record of it in order.

    Make it before the chain is walked: what a checkpoint repeats stood in the log before.

    Args:
        store: the lake.
        place: the chain.
        findings: where faults go.
        deep: read the checkpoints and compare every byte.

    Raises:
        Unreachable: the lake stayed away.
    """

    def __init__(self, store: ObjectStore, place: Place, findings: Findings, *, deep: bool) -> None:
        self._store = store
        self._place = place
        self._findings = findings
        self._deep = deep
        #: Those whose records are still to come, the next one last; and those under comparison.
        self._coming = sorted(self._list(), key=lambda span: span.first, reverse=True)
        self._open: list[_Comparison] = []
        #: The checkpoints that end at an offset where no record was met yet.
        self._ends: dict[int, list[Span]] = {}

    def record(self, key: str, body: bytes | None) -> None:
        """The next record object of the chain, whole or not; ``body`` is None if it is gone."""
        offset = layout.record_offset(key)
        self._ends.pop(offset, None)
        self._close(offset)
        while self._coming and self._coming[-1].first <= offset:
            self._begin(self._coming.pop(), offset)
        for comparison in self._open:
            comparison.record(offset, body)

    def finish(self) -> None:
        """The chain has ended."""
        while self._coming:
            self._begin(self._coming.pop(), None)
        self._close(None)
        for span in (span for spans in self._ends.values() for span in spans):
            what = f"It ends at offset {span.next}, where no record of the log begins."
            self._fault(span, what, _RESTORE)

    def _list(self) -> Iterable[Span]:
        folder = layout.checkpoint_folder(
            self._place.root, self._place.topic, self._place.partition
        )
        for info in self._store.scan(folder):
            span = layout.checkpoint_span(info.key)
            if span is None:
                unknown_object(self._findings, self._place, info.key, "is no checkpoint")
            else:
                yield Span(info.key, *span)

    def _begin(self, span: Span, offset: int | None) -> None:
        if offset != span.first:
            what = f"It begins at offset {span.first}, where no record of the log begins."
            self._fault(span, what, _RESTORE)
            return
        self._ends.setdefault(span.next, []).append(span)
        if not self._deep:
            return
        try:
            checkpoint = decode_checkpoint(self._store.get(span.key))
            key = checkpoint.key
        except KeyError:
            self._fault(span, "It was listed and is gone.", _DELETE)
        except ValueError as error:
            self._fault(span, f"It is damaged: {error}.", _DELETE)
        else:
            if key == span.key:
                self._open.append(_Comparison(span, checkpoint))
            else:
                self._fault(span, f"It holds another checkpoint: {key}.", _DELETE)

    def _close(self, offset: int | None) -> None:
        """End the comparisons that reach no farther than ``offset``; all where it is None."""
        for comparison in self._open:
            if offset is None or offset >= comparison.span.next:
                what = comparison.verdict()
                if what:
                    self._fault(comparison.span, what, _RESTORE)
        self._open = [
            comparison
            for comparison in self._open
            if offset is not None and offset < comparison.span.next
        ]

    def _fault(self, span: Span, what: str, hint: str) -> None:
        place = self._place
        self._findings.add(
            Finding("bad_checkpoint", place.topic, place.partition, span.key, what, hint)
        )


class _Comparison:
    """One checkpoint, compared record by record."""

    def __init__(self, span: Span, checkpoint: Checkpoint) -> None:
        self.span = span
        self._left = dict(checkpoint.records)
        self._faults: list[str] = []

    def record(self, offset: int, body: bytes | None) -> None:
        """A record of the log that begins inside the checkpoint."""
        copy = self._left.pop(offset, None)
        if copy is None:
            self._faults.append(f"The log's record of offset {offset} is not in it")
        elif body != copy:
            self._faults.append(f"Its record of offset {offset} is not the log's, byte for byte")

    def verdict(self) -> str:
        """What does not hold, one sentence; empty if it repeats the log's records."""
        lost = [f"Its record of offset {offset} is not in the log" for offset in self._left]
        faults = self._faults + lost
        if not faults:
            return ""
        return faults[0] + (f" (and {len(faults) - 1} more)." if len(faults) > 1 else ".")
