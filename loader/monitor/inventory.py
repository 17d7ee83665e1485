"""``heap-loader lake ls``: what each chain of the lake holds, by its records alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from loader.lake import layout
from loader.lake.commit_log import CommitRecord
from loader.lake.commit_log import decode_record as decode_commit
from loader.lake.registry import RegistryRecord
from loader.lake.registry import decode_record as decode_registry
from loader.lake.store import ObjectStore
from loader.monitor.chain_walk import (
    Observer,
    Place,
    Walked,
    check_topic,
    places,
    unobserved,
    walk,
)
from loader.monitor.findings import Findings

#: Told (what is counted, how many so far) after each record or file.
Progress = Callable[[str, int], None]


def no_progress(_what: str, _done: int) -> None:
    """For who does not look."""


@dataclass(slots=True)
class Summary:
    """One partition's chain, summed up.

    Attributes:
        place: which chain.
        records: records that could be read.
        first: the first offset covered; None without records.
        next: the offset after the last one covered; None without records.
        read: messages read.
        rows: rows in the files; messages that a fold takes, in the registry.
        dead_letters: messages refused.
        files: data files.
        bytes: their size together.
        last_record: when the last record was written, ISO 8601 UTC; None without records.
    """

    place: Place
    records: int = 0
    first: int | None = None
    next: int | None = None
    read: int = 0
    rows: int = 0
    dead_letters: int = 0
    files: int = 0
    bytes: int = 0
    last_record: str | None = None

    def add(self, record: CommitRecord | RegistryRecord) -> None:
        """Count the next record of the chain."""
        self.records += 1
        self.first = record.first if self.first is None else self.first
        self.next = record.next
        self.last_record = record.created
        if isinstance(record, CommitRecord):
            self.read += record.read
            self.rows += record.written
            self.dead_letters += record.dead_lettered
            self.files += len(record.files)
            self.bytes += sum(file.bytes for file in record.files)
        else:
            refused = sum(not message.accepted for message in record.messages)
            self.read += len(record.messages)
            self.rows += len(record.messages) - refused
            self.dead_letters += refused

    def document(self, findings: Findings) -> dict[str, Any]:
        """The partition as JSON shows it; ``ok`` is false where a finding names it."""
        return {
            "log": self.place.root.rstrip("/"),
            "topic": self.place.topic,
            "partition": self.place.partition,
            "records": self.records,
            "first": self.first,
            "next": self.next,
            "read": self.read,
            "rows": self.rows,
            "dead_letters": self.dead_letters,
            "files": self.files,
            "bytes": self.bytes,
            "last_record": self.last_record,
            "ok": not findings.places[self.place.topic, self.place.partition],
        }


@dataclass(frozen=True, slots=True)
class Inventory:
    """What ``lake ls`` shows."""

    lake: str
    partitions: tuple[Summary, ...]
    findings: Findings

    def document(self) -> dict[str, Any]:
        """``lake ls --json``."""
        return {
            "lake": self.lake,
            "partitions": [summary.document(self.findings) for summary in self.partitions],
        }


def chains(
    store: ObjectStore,
    findings: Findings,
    *,
    topic: str | None = None,
    partition: int | None = None,
) -> list[Place]:
    """The chains of both logs that are asked for.

    Raises:
        UsageError: the lake has no such topic.
    """
    if topic is not None:
        check_topic(store, topic)
    return [
        place
        for root in (layout.LOG, layout.REGISTRY)
        for place in places(store, root, findings, topic=topic)
        if partition is None or place.partition == partition
    ]


def records(
    store: ObjectStore, place: Place, findings: Findings, observe: Observer = unobserved
) -> Iterator[Walked[CommitRecord] | Walked[RegistryRecord]]:
    """A chain's records, decoded by its root; ``observe`` as in `loader.monitor.chain_walk.walk`."""
    if place.root == layout.LOG:
        yield from walk(store, place, decode_commit, findings, observe)
    else:
        yield from walk(store, place, decode_registry, findings, observe)


def take_inventory(
    store: ObjectStore,
    *,
    topic: str | None = None,
    partition: int | None = None,
    progress: Progress = no_progress,
) -> Inventory:
    """Sum up every chain; no data file is read.

    Raises:
        UsageError: the lake has no such topic.
        Unreachable: the lake stayed away.
    """
    findings = Findings()
    summaries = []
    done = 0
    for place in chains(store, findings, topic=topic, partition=partition):
        summary = Summary(place)
        for walked in records(store, place, findings):
            summary.add(walked.record)
            done += 1
            progress("records", done)
        summaries.append(summary)
    return Inventory(store.url, tuple(summaries), findings)
