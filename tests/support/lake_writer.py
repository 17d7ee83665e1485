"""A lake written by hand: raw files, commit records and registry records, without Kafka."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from loader import config
from loader.lake import layout
from loader.lake.commit_log import CommitRecord, commit_log
from loader.lake.metadata import open_lake
from loader.lake.raw_files import Cut, cut, encode
from loader.lake.registry import ControlMessage, RegistryRecord, registry_log
from loader.lake.store import ObjectStore
from loader.model.events import EVENT_COLUMNS, USER_UPDATE_COLUMNS, raw_schema

CREATED = "2026-01-01T00:00:00+00:00"


@dataclass
class LakeWriter:
    """Appends batches to one lake. Offsets follow from what was written before."""

    store: ObjectStore
    topics: config.Topics
    buckets: int = 2
    next_offsets: dict[tuple[str, int], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        open_lake(self.store, buckets=self.buckets, lake_id="test", created=CREATED)

    def events(self, rows: Sequence[Mapping[str, Any]], partition: int = 0) -> CommitRecord:
        """One batch of events; properties are given as plain values."""
        return self._batch(self.topics.events.name, EVENT_COLUMNS, rows, partition)

    def updates(self, rows: Sequence[Mapping[str, Any]], partition: int = 0) -> CommitRecord:
        """One batch of user updates."""
        return self._batch(self.topics.user_updates.name, USER_UPDATE_COLUMNS, rows, partition)

    def definitions(self, documents: Iterable[Mapping[str, Any] | tuple[str, None]]) -> None:
        """Publish definitions; ``(id, None)`` removes one."""
        messages: list[tuple[bytes, bytes | None]] = []
        for document in documents:
            if isinstance(document, tuple):
                messages.append((document[0].encode(), None))
            else:
                messages.append((document["id"].encode(), json.dumps(document).encode()))
        self._registry(self.topics.definitions.name, messages)

    def merges(self, pairs: Iterable[tuple[int, int, int]]) -> None:
        """Publish merges ``(from, to, microseconds)``."""
        messages = [
            (
                str(a).encode(),
                json.dumps({"from_user_id": a, "to_user_id": b, "time": t}).encode(),
            )
            for a, b, t in pairs
        ]
        self._registry(self.topics.user_migrations.name, messages)

    def _take(self, topic: str, partition: int, count: int) -> int:
        first = self.next_offsets.get((topic, partition), 0)
        self.next_offsets[topic, partition] = first + count
        return first

    def _registry(self, topic: str, messages: Sequence[tuple[bytes, bytes | None]]) -> None:
        first = self._take(topic, 0, len(messages))
        registry_log(self.store).append(
            RegistryRecord(
                topic,
                0,
                first,
                first + len(messages),
                "topic",
                uuid.uuid4().hex,
                "test",
                CREATED,
                tuple(
                    ControlMessage(first + n, 1_700_000_000_000, key, value, accepted=True)
                    for n, (key, value) in enumerate(messages)
                ),
            )
        )

    def _batch(
        self, topic: str, columns: pa.Schema, rows: Sequence[Mapping[str, Any]], partition: int
    ) -> CommitRecord:
        first = self._take(topic, partition, len(rows))
        files = []
        if rows:
            batch = raw_batch(columns, rows, topic, partition, first)
            for part in cuts(batch, self.buckets):
                own = batch.take(pa.array(part.rows))
                file, body = encode(own, part, topic, partition, first, first + len(rows))
                self.store.put(file.key, body.to_pybytes())
                files.append(file)
        record = CommitRecord(
            topic=topic,
            partition=partition,
            first=first,
            next=first + len(rows),
            topic_id="topic",
            batch=uuid.uuid4().hex,
            writer="test",
            created=CREATED,
            files=tuple(files),
            read=len(rows),
            written=len(rows),
            dead_lettered=0,
            dead_letter_reasons={},
            schema_ids=(0,),
            unknown_fields={},
            min_arrival=1_767_225_600_000_000 + first,
            max_arrival=1_767_225_600_000_000 + first + len(rows) - 1,
        )
        commit_log(self.store).append(record)
        return record


def cuts(rows: pa.RecordBatch, buckets: int) -> list[Cut]:
    """The files that raw rows are cut into."""
    times = rows.column("time").cast(pa.int64()).to_numpy()
    return list(cut(times, rows.column("user_id").to_numpy(), buckets))


def raw_batch(
    columns: pa.Schema,
    rows: Sequence[Mapping[str, Any]],
    topic: str = "heap.events",
    partition: int = 0,
    first: int = 0,
) -> pa.RecordBatch:
    """Raw rows from dicts: property values become JSON text, offsets count up from ``first``."""
    schema = raw_schema(columns)
    arrays = []
    for column in schema:
        match column.name:
            case "_topic":
                values: list[Any] = [topic] * len(rows)
            case "_partition":
                values = [partition] * len(rows)
            case "_offset":
                values = [first + n for n in range(len(rows))]
            case "_arrival_time":
                values = [1_767_225_600_000_000 + first + n for n in range(len(rows))]
            case "_schema_id":
                values = [0] * len(rows)
            case _ if pa.types.is_map(column.type):
                values = [_json_map(row.get(column.name)) for row in rows]
            case _:
                values = [row.get(column.name) for row in rows]
        arrays.append(pa.array(values, column.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _json_map(properties: Mapping[str, Any] | None) -> list[tuple[str, str | None]] | None:
    if properties is None:
        return None
    return [
        (key, None if value is None else json.dumps(value, ensure_ascii=False))
        for key, value in properties.items()
    ]


def folder_of_sync(sync_id: str) -> str:
    """Where a sync puts its files."""
    return f"{layout.SYNC}{sync_id}/"
