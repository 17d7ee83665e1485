"""``heap-loader lake verify``: does the lake hold what its logs say, and nothing that they do not?

Three passes at bounded memory: the records, one after the other, and beside them the checkpoints that
repeat them; with ``deep``, the files of each record, a few at a time, and the contents of checkpoints;
then a list of the data files against those that the records name.
"""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from loader.errors import UsageError
from loader.lake import layout
from loader.lake.commit_log import CommitRecord, DataFile
from loader.lake.metadata import read_metadata
from loader.lake.store import ObjectInfo, ObjectStore
from loader.monitor.chain_walk import Walked
from loader.monitor.checkpoint_checks import CheckpointCheck, checkpointed
from loader.monitor.expected_files import Compared, Expected, ExpectedFiles, expected_files
from loader.monitor.file_checks import Examined, examine, repeated
from loader.monitor.findings import RESTORE, Finding, Findings
from loader.monitor.inventory import Progress, Summary, chains, no_progress, records
from loader.monitor.record_checks import check_commit_record, check_registry_record

#: Data files in memory at once, in a deep check.
_READERS: Final = 4
#: Records whose files are being read, and rows in them, beyond which the next one waits.
_RECORDS_AHEAD: Final = 8
_ROWS_AHEAD: Final = 2_000_000
#: Orphans that are named; beyond, they are counted.
_EXAMPLES: Final = 100
#: A file behind the chain's end may wait so many seconds for its record until it is an orphan.
_SETTLES: Final = 3600.0

_WRITER: Final = (
    "Not damage but a fault of the program that wrote it: keep the object, and report it."
)


@dataclass(slots=True)
class Orphans:
    """Data files that no record names: invisible, harmless, and they cost their bytes.

    Attributes:
        files: how many.
        bytes: their size together.
        examples: the keys of the first ones.
        in_writing: files behind a chain's end, younger than an hour: their record may still come.
    """

    files: int = 0
    bytes: int = 0
    examples: list[str] = field(default_factory=list)
    in_writing: int = 0

    def add(self, info: ObjectInfo) -> None:
        """Take one."""
        self.files += 1
        self.bytes += info.size
        if len(self.examples) < _EXAMPLES:
            self.examples.append(info.key)


@dataclass(frozen=True, slots=True)
class Verification:
    """What ``lake verify`` found."""

    lake: str
    deep: bool
    partitions: tuple[Summary, ...]
    orphans: Orphans
    findings: Findings

    @property
    def ok(self) -> bool:
        """True if everything holds. Orphans are no fault."""
        return self.findings.total == 0

    def document(self) -> dict[str, Any]:
        """``lake verify --json``."""
        return {
            "ok": self.ok,
            "lake": self.lake,
            "deep": self.deep,
            "partitions": [summary.document(self.findings) for summary in self.partitions],
            "orphans": {
                "files": self.orphans.files,
                "bytes": self.orphans.bytes,
                "examples": self.orphans.examples,
                "in_writing": self.orphans.in_writing,
            },
            "findings_total": self.findings.total,
            "findings": [finding.document() for finding in self.findings.listed],
        }


def verify(
    store: ObjectStore,
    *,
    topic: str | None = None,
    deep: bool = False,
    progress: Progress = no_progress,
    now: float | None = None,
) -> Verification:
    """Check the lake. Safe while it is written: what comes after the start is not looked at.

    Args:
        store: the lake.
        topic: only this topic.
        deep: read every data file and every checkpoint.
        progress: told after each record, deep file and listed file.
        now: instead of the clock, seconds since the epoch.

    Raises:
        UsageError: there is no lake, or it has no such topic.
        NeedsOperator: the lake is of another format version.
        Unreachable: the lake stayed away.
    """
    metadata = read_metadata(store)
    if metadata is None:
        raise UsageError(f"{store.url} holds no lake yet.", hint="Run `heap-loader consume` first.")
    moment = time.time() if now is None else now
    with expected_files() as expected:
        check = _Check(store, metadata.buckets, expected, progress, moment)
        with ThreadPoolExecutor(_READERS, thread_name_prefix="verify") as pool:
            # Listed first: a chain that was folded by then is among those that are walked.
            folded = checkpointed(store, check.findings, topic=topic)
            walked = chains(store, check.findings, topic=topic)
            for place in walked:
                check.chain(Summary(place), pool if deep else None)
            for place in folded:
                if place not in walked:
                    CheckpointCheck(store, place, check.findings, deep=deep).finish()
        folders = {topic} if topic is not None else {*store.list_folders(layout.RAW), *check.ends}
        for folder in sorted(folders):
            check.files(folder)
    return Verification(store.url, deep, tuple(check.summaries), check.orphans, check.findings)


#: A record and its files on their way: what comes back is small, the bytes stay in the pool.
_Reading = tuple[Walked[CommitRecord], list[tuple[DataFile, Future[Examined | None]]]]


def _too_many(reading: deque[_Reading]) -> bool:
    rows = sum(walked.record.written for walked, _ in reading)
    return len(reading) > _RECORDS_AHEAD or (len(reading) > 1 and rows > _ROWS_AHEAD)


class _Check:
    """One verification under way."""

    def __init__(
        self,
        store: ObjectStore,
        buckets: int,
        expected: ExpectedFiles,
        progress: Progress,
        now: float,
    ) -> None:
        self._store = store
        self._buckets = buckets
        self._expected = expected
        self._progress = progress
        self._now = now
        self._done = {"records": 0, "files read": 0, "files listed": 0}
        self.findings = Findings()
        self.orphans = Orphans()
        self.summaries: list[Summary] = []
        #: Where the chains of the commit log ended when they were read.
        self.ends: dict[str, dict[int, int]] = {}

    def chain(self, summary: Summary, pool: ThreadPoolExecutor | None) -> None:
        """Check the records of one chain; with a pool their files' contents too."""
        self.summaries.append(summary)
        topic_id: str | None = None
        reading: deque[_Reading] = deque()
        deep = pool is not None
        checkpoints = CheckpointCheck(self._store, summary.place, self.findings, deep=deep)
        for walked in records(self._store, summary.place, self.findings, checkpoints.record):
            record = walked.record
            summary.add(record)
            self._count("records")
            if topic_id is not None and record.topic_id != topic_id:
                what = f"The topic's id is {record.topic_id}, it was {topic_id} before."
                self._fault("broken_chain", walked, walked.key, what)
            topic_id = record.topic_id
            if isinstance(record, CommitRecord):
                self.ends.setdefault(record.topic, {})[record.partition] = record.next
                commit = Walked(walked.key, record)
                self._commit_record(commit)
                if pool is not None:
                    reading.append((commit, self._read_files(commit.record, pool)))
                    while _too_many(reading):
                        self._contents(*reading.popleft())
            else:
                for what in check_registry_record(record):
                    self._fault("wrong_count", walked, walked.key, what, _WRITER)
        checkpoints.finish()
        while reading:
            self._contents(*reading.popleft())

    def files(self, topic: str) -> None:
        """Compare the data files that stand under ``topic`` with those that its records name."""
        prefix = f"{layout.RAW}{topic}/"
        for pair in self._expected.compare(prefix, self._store.scan(prefix)):
            self._count("files listed")
            self._compare(topic, pair)

    def _commit_record(self, walked: Walked[CommitRecord]) -> None:
        record = walked.record
        for what in check_commit_record(record):
            self._fault("wrong_count", walked, walked.key, what, _WRITER)
        for file in record.files:
            before = self._expected.add(
                Expected(file.key, file.bytes, record.partition, walked.key)
            )
            if before is not None:
                what = f"Two records name this file: {before} and {walked.key}."
                self._fault("named_twice", walked, file.key, what, _WRITER)

    def _read_files(
        self, record: CommitRecord, pool: ThreadPoolExecutor
    ) -> list[tuple[DataFile, Future[Examined | None]]]:
        """Those that stand there with the size recorded; of the others the list tells."""

        def read(file: DataFile) -> Examined | None:
            try:
                body = self._store.get(file.key)
            except KeyError:
                return None
            return examine(body, file, record, self._buckets) if len(body) == file.bytes else None

        return [(file, pool.submit(read, file)) for file in record.files]

    def _contents(
        self,
        walked: Walked[CommitRecord],
        files: list[tuple[DataFile, Future[Examined | None]]],
    ) -> None:
        offsets = []
        for file, future in files:
            examined = future.result()
            self._count("files read")
            if examined is None:
                continue
            kind = "altered_file" if examined.altered else "wrong_content"
            for what in examined.faults:
                self._fault(kind, walked, file.key, what, RESTORE if examined.altered else _WRITER)
            offsets.append(examined.offsets)
        twice = repeated(offsets)
        if twice:
            what = f"{len(twice)} offsets have several rows in its files, the first is {twice[0]}."
            self._fault("wrong_content", walked, walked.key, what, _WRITER)

    def _compare(self, topic: str, pair: Compared) -> None:
        expected, info = pair.expected, pair.object
        if expected is None:
            assert info is not None  # noqa: S101 - a pair has one side at least
            if self._in_writing(topic, info):
                self.orphans.in_writing += 1
            else:
                self.orphans.add(info)
        elif info is None:
            what = f"It is missing: {expected.record} names it with {expected.bytes} bytes."
            self._file_fault("missing_file", topic, expected, what)
        elif info.size != expected.bytes:
            what = f"{info.size} bytes stand there; {expected.record} says {expected.bytes}."
            self._file_fault("wrong_size", topic, expected, what)

    def _in_writing(self, topic: str, info: ObjectInfo) -> bool:
        place = _place_of(info.key)
        if place is None or self._now - info.modified > _SETTLES:
            return False
        partition, first = place
        return first >= self.ends.get(topic, {}).get(partition, 0)

    def _file_fault(self, kind: str, topic: str, expected: Expected, what: str) -> None:
        self.findings.add(Finding(kind, topic, expected.partition, expected.key, what))

    def _fault(
        self, kind: str, walked: Walked[Any], key: str, what: str, hint: str = RESTORE
    ) -> None:
        record = walked.record
        self.findings.add(Finding(kind, record.topic, record.partition, key, what, hint))

    def _count(self, what: str) -> None:
        self._done[what] += 1
        self._progress(what, self._done[what])


def _place_of(key: str) -> tuple[int, int] | None:
    """Partition and first offset that a data file's name says; None if it is no such name."""
    parts = key.rsplit("/", 1)[-1].split("-")
    if len(parts) != 4 or not (parts[0].isdecimal() and parts[1].isdecimal()):
        return None
    return int(parts[0]), int(parts[1])
