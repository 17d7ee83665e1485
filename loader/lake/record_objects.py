"""The objects of a chain, one record each: listed, read, and checked on the way."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from loader.errors import NeedsOperator
from loader.lake import layout
from loader.lake.ahead import fetched_ahead
from loader.lake.checkpoints import Span
from loader.lake.store import ObjectStore


class ChainRecord(Protocol):
    """What the chain must know of a record: half-open offsets ``[first, next)``, never empty."""

    @property
    def topic(self) -> str:
        """The Kafka topic."""
        ...

    @property
    def partition(self) -> int:
        """The Kafka partition."""
        ...

    @property
    def first(self) -> int:
        """The first offset covered."""
        ...

    @property
    def next(self) -> int:
        """The offset after the last one covered."""
        ...

    def encode(self) -> bytes:
        """The object's body; unique to its writer."""
        ...


R = TypeVar("R", bound=ChainRecord)


class RecordObjects(Generic[R]):
    """The record objects under one root of a lake. Arguments as of `loader.lake.chain.Chains`."""

    def __init__(
        self, store: ObjectStore, root: str, decode: Callable[[bytes], R], *, ahead: int
    ) -> None:
        self._store = store
        self._root = root
        self._decode = decode
        self._ahead = ahead

    def between(self, topic: str, partition: int, start: int, stop: int) -> Iterator[tuple[str, R]]:
        """The records whose ``first`` is in ``[start, stop)``, each by a request of its own."""
        keys = self.keys(topic, partition, start)
        return self.fetched(itertools.takewhile(lambda key: offset_of(key) < stop, keys))

    def fetched(self, keys: Iterator[str]) -> Iterator[tuple[str, R]]:
        """Each key with the record that stands there, in order; several are fetched at once."""
        for key, body in fetched_ahead(self.get, keys, most=self._ahead):
            yield key, self.decoded(key, body, offset_of(key))

    def keys_after(
        self, topic: str, partition: int, newest: Span | None, *, since: int = 0
    ) -> Iterator[str]:
        """The records after the newest checkpoint, the first of which must begin where it ends.

        Without a checkpoint: those from ``since``.

        Raises:
            NeedsOperator: the record there is missing.
        """
        keys = self.keys(topic, partition, since if newest is None else newest.next)
        if newest is None:
            yield from keys
            return
        first = next(keys, None)
        if first is None or offset_of(first) != newest.next:
            found = "no record follows" if first is None else f"the next record is {first}"
            raise NeedsOperator(
                f"{self._store.url}: the chain of {topic}[{partition}] does not go on at offset "
                f"{newest.next}, where its checkpoint {newest.key} ends: {found}.",
                hint="Restore the missing record from the bucket's versions or backups. If the log "
                "is right as it is, delete the checkpoint: it only repeats records.",
            )
        yield first
        yield from keys

    def keys(self, topic: str, partition: int, since: int) -> Iterator[str]:
        """The keys of the records with ``first >= since``, in order."""
        folder = layout.log_chain(self._root, topic, partition)
        after = layout.log_record(self._root, topic, partition, since - 1) if since > 0 else ""
        for info in self._store.scan(folder, start_after=after):
            if info.key.endswith(".json"):
                yield info.key

    def read(self, key: str) -> R:
        """The record that stands at ``key``. Raises NeedsOperator if it is gone or damaged."""
        return self.decoded(key, self.get(key), offset_of(key))

    def get(self, key: str) -> bytes:
        """The body of the record that stands at ``key``. Raises NeedsOperator if it is gone."""
        try:
            return self._store.get(key)
        except KeyError:
            raise NeedsOperator(
                f"{self._store.url}/{key} was listed and is gone.",
                hint="Nothing may delete records: restore it from the bucket's versions.",
            ) from None

    def decoded(self, source: str, body: bytes, first: int) -> R:
        """The record of a body that was read from ``source``, as the one of offset ``first``.

        Raises:
            NeedsOperator: it is none.
        """
        try:
            record = self._decode(body)
        except ValueError as error:
            raise NeedsOperator(
                f"{self._store.url}/{source} is not a record of this lake: {error}.",
                hint="Restore it, or run a loader that knows this format.",
            ) from error
        if record.first != first:
            raise NeedsOperator(
                f"{self._store.url}/{source} holds a record that begins at {record.first}, in the "
                f"place of {first}.",
                hint="Restore the object from the bucket's versions.",
            )
        return record

    def check_joint(self, before: R | None, first: int, source: str) -> None:
        """Raise NeedsOperator unless ``before`` ends where the record of ``source`` begins."""
        if before is not None and before.next != first:
            raise NeedsOperator(
                f"{self._store.url}: the chain of {before.topic}[{before.partition}] is broken: a "
                f"record ends at offset {before.next}, the one after it begins at {first} ({source}).",
                hint="Restore the missing record from the bucket's versions or backups.",
            )


def offset_of(key: str) -> int:
    """The offset that a key of a chain's folder names; -1 where it is no record's, as none has."""
    try:
        return layout.record_offset(key)
    except ValueError:
        return -1
