"""A chain of immutable records, one after the other by offset: the lake's only commit point.

Each record is one object, named by the first offset it covers and created with a conditional put.
A record's ``first`` equals the ``next`` of the record before it, so the chain answers three
questions at once: what exists, how far we have read, and who won where two writers met. Two
writers for one partition try to create the same key, the store lets one win, and the other one
drops its batch and goes on from the winner's ``next``. There is no lock to take and none to expire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from loader.errors import NeedsOperator
from loader.lake import layout
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


@dataclass(frozen=True, slots=True)
class Won:
    """The record is in the chain."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Another writer's record stands at this offset; ``next`` is where the chain ends now."""

    next: int


class Chains(Generic[R]):
    """All chains under one root (``log/`` or ``registry/``) of a lake.

    Args:
        store: the lake's object store.
        root: ``layout.LOG`` or ``layout.REGISTRY``.
        decode: turns an object's body into a record; raises ``ValueError`` for a body that is none.
    """

    def __init__(self, store: ObjectStore, root: str, decode: Callable[[bytes], R]) -> None:
        self._store = store
        self._root = root
        self._decode = decode

    def topics(self) -> list[str]:
        """Topics that have a chain, sorted."""
        return self._store.list_folders(self._root)

    def partitions(self, topic: str) -> list[int]:
        """Partitions of ``topic`` that have a chain, ascending."""
        return sorted(int(name) for name in self._store.list_folders(f"{self._root}{topic}/"))

    def records(self, topic: str, partition: int, *, since: int = 0) -> Iterator[R]:
        """The records with ``first >= since``, in order, each checked against the one before it.

        Raises:
            NeedsOperator: a record is missing, cut short or overlaps its neighbour.
        """
        before: R | None = None
        for key in self._keys(topic, partition, since):
            record = self._read(key)
            if before is not None and record.first != before.next:
                raise NeedsOperator(
                    f"{self._store.url}: the chain of {topic}[{partition}] is broken: a record ends "
                    f"at offset {before.next}, the one after it begins at {record.first} ({key}).",
                    hint="Restore the missing record from the bucket's versions or backups.",
                )
            before = record
            yield record

    def tail(self, topic: str, partition: int) -> R | None:
        """The last record of a partition's chain; None where there is none yet."""
        last = None
        for key in self._keys(topic, partition, 0):
            last = key
        return None if last is None else self._read(last)

    def append(self, record: R) -> Won | Lost:
        """Make ``record`` exist, unless another writer's record stands at its first offset.

        The caller must have taken ``record.first`` from the chain's tail. An answer that was lost on
        the way is recognised: the same body at the key is our own write.

        Raises:
            ValueError: the record covers no offset.
        """
        if record.next <= record.first:
            raise ValueError(f"empty record: [{record.first}, {record.next})")
        key = layout.log_record(self._root, record.topic, record.partition, record.first)
        if self._store.put_if_absent(key, record.encode()):
            return Won()
        tail = self.tail(record.topic, record.partition)
        assert tail is not None, "a record stands at our offset, so there is a tail"  # noqa: S101
        return Lost(tail.next)

    def _keys(self, topic: str, partition: int, since: int) -> Iterator[str]:
        folder = layout.log_chain(self._root, topic, partition)
        after = layout.log_record(self._root, topic, partition, since - 1) if since > 0 else ""
        for info in self._store.scan(folder, start_after=after):
            if info.key.endswith(".json"):
                yield info.key

    def _read(self, key: str) -> R:
        try:
            record = self._decode(self._store.get(key))
        except KeyError:
            raise NeedsOperator(
                f"{self._store.url}/{key} was listed and is gone.",
                hint="Nothing may delete records: restore it from the bucket's versions.",
            ) from None
        except ValueError as error:
            raise NeedsOperator(
                f"{self._store.url}/{key} is not a record of this lake: {error}.",
                hint="Restore it, or run a loader that knows this format.",
            ) from error
        if record.first != layout.record_offset(key):
            raise NeedsOperator(
                f"{self._store.url}/{key} holds a record that begins at {record.first}.",
                hint="Restore the object from the bucket's versions.",
            )
        return record
