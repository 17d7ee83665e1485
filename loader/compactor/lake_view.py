"""The lake as a sync sees it: one cut, and the files between an earlier cut and this one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from loader import config
from loader.codec.control import ControlReader
from loader.codec.registry import schema_source
from loader.errors import NeedsOperator, UsageError
from loader.lake.commit_log import CommitRecord, DataFile, commit_log
from loader.lake.metadata import read_metadata
from loader.lake.registry_state import RegistryState, read_registry
from loader.lake.store import ObjectStore
from loader.model.plans import Cut, Volume

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class LakeView:
    """Everything a sync reads, frozen at one moment.

    Attributes:
        store: the lake.
        buckets: the lake's number of user buckets.
        cut: the ends of the chains of events and user updates.
        registry: definitions and merges of users.
    """

    store: ObjectStore
    buckets: int
    cut: Cut
    registry: RegistryState
    _records: dict[tuple[str, int], list[CommitRecord]] = field(default_factory=dict)

    def records(self, topics: Iterable[str], since: Cut) -> list[CommitRecord]:
        """The commit records of ``topics`` from ``since`` up to the view's cut.

        Raises:
            NeedsOperator: the chain does not go on where ``since`` ends.
        """
        found: list[CommitRecord] = []
        for topic in topics:
            for partition, end in sorted(self.cut.get(topic, {}).items()):
                start = since.get(topic, {}).get(partition, 0)
                if start < end:
                    found += self._between(topic, partition, start, end)
        return found

    def _between(self, topic: str, partition: int, start: int, end: int) -> list[CommitRecord]:
        known = self._records.get((topic, partition), [])
        if not known or known[0].first > start:
            log = commit_log(self.store)
            known = [r for r in log.records(topic, partition, since=start) if r.first < end]
            self._records[topic, partition] = known
        chosen = [record for record in known if record.first >= start]
        # From the beginning the first record may start anywhere: the topic had an end before us.
        if not chosen or (start and chosen[0].first != start) or chosen[-1].next != end:
            raise NeedsOperator(
                f"{self.store.url}: the chain of {topic}[{partition}] does not lead from offset "
                f"{start} to {end}.",
                hint="A commit record is missing: restore it from the bucket's versions.",
            )
        return chosen

    def files(self, topics: Iterable[str], since: Cut) -> list[DataFile]:
        """The data files of those records."""
        return [file for record in self.records(topics, since) for file in record.files]

    def volume(self, topics: Iterable[str], since: Cut) -> Volume:
        """What reading them means."""
        files = self.files(topics, since)
        return Volume(len(files), sum(f.bytes for f in files), sum(f.rows for f in files))

    def arrived_up_to(self, topics: Iterable[str], since: Cut) -> datetime | None:
        """The latest arrival time of those records, UTC without zone; None where unknown."""
        latest = max((r.max_arrival for r in self.records(topics, since)), default=-1)
        if latest < 0:
            return None
        return (_EPOCH + timedelta(microseconds=latest)).replace(tzinfo=None)


def view_lake(settings: config.Settings, store: ObjectStore) -> LakeView:
    """Take a cut of the commit log and of the registry log.

    Raises:
        UsageError: there is no lake yet.
        NeedsOperator: a chain is broken, or the lake is of another format version.
    """
    metadata = read_metadata(store)
    if metadata is None:
        raise UsageError(f"{store.url} holds no lake yet.", hint="Run `heap-loader consume` first.")
    topics = settings.topics
    log = commit_log(store)
    cut: dict[str, dict[int, int]] = {}
    for topic in (topics.events.name, topics.user_updates.name):
        tails = {partition: log.tail(topic, partition) for partition in log.partitions(topic)}
        cut[topic] = {partition: tail.next for partition, tail in tails.items() if tail}
    reader = ControlReader(topics.user_migrations.format, schema_source(settings))
    registry = read_registry(store, topics, reader.user_migration)
    return LakeView(store, metadata.buckets, cut, registry)
