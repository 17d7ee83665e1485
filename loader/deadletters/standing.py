"""What the lake says became of a refused message."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from loader import config
from loader.deadletters.letters import Catalogue, Origin, State
from loader.errors import NeedsOperator
from loader.lake import layout
from loader.lake.chain import Chains
from loader.lake.commit_log import CommitRecord, commit_log
from loader.lake.registry import RegistryRecord, accepted_messages, registry_log
from loader.lake.store import ObjectStore

#: Records whose loaded offsets are kept: letters come roughly in the order of their messages.
_KEPT_RECORDS: Final = 64


class _Covered(NamedTuple):
    """Where one record ends, and which of its offsets the lake holds as accepted."""

    next: int
    loaded: frozenset[int]


class Standing:
    """What the lake says about refused messages, as it stood when this was made.

    Make it before the `DeadLetterTopic`: the letters that a record counts are written before it, so
    whoever looks at the topic afterwards sees all letters of the records known here.

    Args:
        store: the lake.
        topics: the configured topics.

    Raises:
        Unreachable: the lake stayed away.
    """

    def __init__(self, store: ObjectStore, topics: config.Topics) -> None:
        self._store = store
        self._batches = commit_log(store)
        self._control = registry_log(store)
        self._definitions = topics.definitions.name
        #: By topic and partition the first offsets of its records, ascending.
        self._firsts: dict[str, dict[int, list[int]]] = {
            topic.name: self._list(layout.LOG, self._batches, topic.name)
            for topic in (topics.events, topics.user_updates)
        }
        self._registry = {
            topic.name: self._list(layout.REGISTRY, self._control, topic.name)
            for topic in (topics.user_migrations, topics.definitions, topics.user_deletions)
        }
        self._firsts |= self._registry
        self._records: dict[tuple[str, int, int], _Covered] = {}
        self._last: dict[tuple[int, bytes | None], int] | None = None

    def _list(self, root: str, chains: Chains[Any], topic: str) -> dict[int, list[int]]:
        return {
            partition: [
                layout.record_offset(info.key)
                for info in self._store.scan(layout.log_chain(root, topic, partition))
                if info.key.endswith(".json")
            ]
            for partition in chains.partitions(topic)
        }

    def state(self, origin: Origin, catalogue: Catalogue) -> State:
        """What became of one message; ``catalogue`` holds all letters.

        Raises:
            NeedsOperator: the lake's log or a file of it is broken.
            Unreachable: the lake stayed away.
        """
        if origin.topic not in self._firsts:
            return State.UNKNOWN
        firsts = self._firsts[origin.topic].get(origin.partition, [])
        before = bisect_right(firsts, origin.offset)
        if not before:
            return State.PENDING
        covered = self._covered(origin, firsts[before - 1], catalogue)
        if origin.offset >= covered.next:
            return State.PENDING
        return State.LOADED if origin.offset in covered.loaded else State.COUNTED

    def overtaken(self, origin: Origin, key: bytes | None) -> bool:
        """True for a definition after which another one of its id counts: it would undo that one."""
        if origin.topic != self._definitions:
            return False
        if self._last is None:
            tails = {p: self._control.tail(origin.topic, p) for p in self._registry[origin.topic]}
            cut = {p: tail.next for p, tail in tails.items() if tail is not None}
            self._last = {
                (partition, message.key): message.offset
                for partition, message in accepted_messages(self._control, origin.topic, cut)
            }
        return self._last.get((origin.partition, key), -1) > origin.offset

    def _covered(self, origin: Origin, first: int, catalogue: Catalogue) -> _Covered:
        place = (origin.topic, origin.partition, first)
        if place not in self._records:
            if len(self._records) >= _KEPT_RECORDS:
                del self._records[next(iter(self._records))]
            if origin.topic in self._registry:
                control = self._control.record(*place)
                self._records[place] = _Covered(control.next, _accepted(control))
            else:
                batch = self._batches.record(*place)
                self._records[place] = _Covered(batch.next, self._rows(batch, catalogue))
        return self._records[place]

    def _rows(self, record: CommitRecord, catalogue: Catalogue) -> frozenset[int]:
        """The offsets of a record's rows that may have a letter: none where the counts leave no doubt.

        A crash between a letter and its record makes the batch be read again, and a mended decoder
        may accept then what it refused before. Only the rows tell such a letter from one that counts,
        unless as many messages have letters as the record counts and no letter was ever lost.
        """
        letters = catalogue.between(record.topic, record.partition, record.first, record.next)
        if catalogue.complete and letters == record.dead_lettered:
            return frozenset()
        loaded: set[int] = set()
        for file in record.files:
            try:
                body = self._store.get(file.key)
                offsets = pq.read_table(pa.BufferReader(body), columns=["_offset"])
            except (KeyError, pa.ArrowInvalid):
                raise NeedsOperator(
                    f"{self._store.url}/{file.key} is in the commit log and gone or no Parquet file.",
                    hint="Restore the object from the bucket's versions.",
                ) from None
            loaded.update(offsets.column("_offset").to_pylist())
        return frozenset(loaded)


def _accepted(record: RegistryRecord) -> frozenset[int]:
    return frozenset(message.offset for message in record.messages if message.accepted)
