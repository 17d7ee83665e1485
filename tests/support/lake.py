"""What the lake holds, read by the commit log alone."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from loader.lake.commit_log import CommitRecord, commit_log
from loader.lake.store import ObjectStore


def records(store: ObjectStore, topic: str) -> list[CommitRecord]:
    """All records of a topic; reading them checks the chain."""
    log = commit_log(store)
    return [
        record for partition in log.partitions(topic) for record in log.records(topic, partition)
    ]


def rows(store: ObjectStore, topic: str) -> pa.Table:
    """All rows of a topic; every file is checked against its record."""
    tables = []
    for record in records(store, topic):
        for file in record.files:
            body = store.get(file.key)
            assert len(body) == file.bytes
            assert hashlib.sha256(body).hexdigest() == file.sha256
            table = pq.read_table(pa.BufferReader(body))
            assert table.num_rows == file.rows
            tables.append(table)
        assert record.written == sum(file.rows for file in record.files)
    return pa.concat_tables(tables) if tables else pa.table({"_partition": [], "_offset": []})


def assert_each_offset_once(store: ObjectStore, topic: str, expected: dict[int, int]) -> None:
    """Offsets 0 .. ``expected[partition]`` are read, each row's offset at most once."""
    log = commit_log(store)
    for partition, end in expected.items():
        chain = list(log.records(topic, partition))
        assert (chain[0].first, chain[-1].next) == (0, end) if chain else end == 0
        assert sum(record.read for record in chain) == end
    table = rows(store, topic)
    places = Counter(
        zip(
            table.column("_partition").to_pylist(),
            table.column("_offset").to_pylist(),
            strict=True,
        )
    )
    assert [place for place, count in places.items() if count > 1] == []


def await_chains(store: ObjectStore, topic: str, ends: Mapping[int, int]) -> None:
    """Wait until every chain of a topic ends where it should."""
    log = commit_log(store)
    pause = threading.Event()
    for _ in range(600):
        tails = {partition: log.tail(topic, partition) for partition, end in ends.items() if end}
        if all(tail is not None and tail.next == ends[p] for p, tail in tails.items()):
            return
        pause.wait(0.1)
    raise AssertionError(f"not caught up: { {p: tail and tail.next for p, tail in tails.items()} }")
