"""The commit log: which data files exist, and how far each partition has been read.

The format is public and described in docs/formats/commit-log.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from loader.lake import layout
from loader.lake.chain import FOLD_RECORDS, Chains
from loader.lake.store import ObjectStore

RECORD_VERSION = 1


@dataclass(frozen=True, slots=True)
class DataFile:
    """One Parquet file of a batch.

    Attributes:
        key: its object key in the lake.
        bytes: its exact size.
        rows: its rows, at least 1.
        sha256: hexadecimal digest of its bytes.
        min_time: smallest event time, microseconds since the epoch.
        max_time: largest event time, microseconds since the epoch.
        date: event date ``YYYY-MM-DD``, or ``mixed``.
        buckets: the user buckets whose rows it may hold, ascending.
    """

    key: str
    bytes: int
    rows: int
    sha256: str
    min_time: int
    max_time: int
    date: str
    buckets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """One batch of one topic-partition: offsets ``[first, next)``, exactly once.

    Attributes:
        topic: Kafka topic.
        partition: Kafka partition.
        first: first offset covered.
        next: offset after the last one covered.
        topic_id: Kafka's id of the topic; a topic made anew under the old name has another one.
        batch: id of the write attempt; makes the body unique to its writer.
        writer: id of the process that wrote it.
        created: ISO 8601 time of writing, UTC.
        files: data files; empty where every message was refused.
        read: messages read; offsets that Kafka itself skips (control records, aborted
            transactions, compaction) are ``next - first - read``.
        written: rows in ``files``.
        dead_lettered: messages refused, each already in the dead-letter topic.
        dead_letter_reasons: how many of them for which reason.
        schema_ids: writers' schema ids met; 0 is JSON.
        unknown_fields: top-level fields the contract does not know, and how often they came.
        min_arrival: smallest Kafka message time, microseconds; -1 where unknown.
        max_arrival: largest Kafka message time, microseconds; -1 where unknown.
    """

    topic: str
    partition: int
    first: int
    next: int
    topic_id: str
    batch: str
    writer: str
    created: str
    files: tuple[DataFile, ...]
    read: int
    written: int
    dead_lettered: int
    dead_letter_reasons: Mapping[str, int]
    schema_ids: tuple[int, ...]
    unknown_fields: Mapping[str, int]
    min_arrival: int
    max_arrival: int

    def encode(self) -> bytes:
        """The record as it stands in the lake: one JSON object, keys in declared order."""
        return orjson.dumps(
            {"version": RECORD_VERSION, **asdict(self)}, option=orjson.OPT_APPEND_NEWLINE
        )


def decode_record(body: bytes) -> CommitRecord:
    """Read a record back.

    Raises:
        ValueError: not a record, or one of a version that this loader does not know.
    """
    fields: dict[str, Any] = orjson.loads(body)
    if not isinstance(fields, dict) or "version" not in fields:
        raise ValueError("not a commit record")
    version = fields.pop("version")
    if version != RECORD_VERSION:
        raise ValueError(f"commit record version {version}; this loader knows {RECORD_VERSION}")
    try:
        fields["files"] = tuple(
            DataFile(**{**file, "buckets": tuple(file["buckets"])}) for file in fields["files"]
        )
        fields["schema_ids"] = tuple(fields["schema_ids"])
        return CommitRecord(**fields)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a commit record: {error}") from error


def commit_log(store: ObjectStore, *, fold_records: int = FOLD_RECORDS) -> Chains[CommitRecord]:
    """The commit log of a lake; ``fold_records`` of a chain make a checkpoint."""
    return Chains(store, layout.LOG, decode_record, fold_records=fold_records)
