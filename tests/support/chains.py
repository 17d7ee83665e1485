"""Chains of small commit records, for tests of the chain itself."""

from __future__ import annotations

from loader.lake.chain import Won
from loader.lake.commit_log import CommitRecord, DataFile, commit_log
from loader.lake.store import ObjectStore

TOPIC = "heap.events"


def record(first: int, next_: int, *, batch: str = "b", partition: int = 0) -> CommitRecord:
    file = DataFile("raw/x.parquet", 10, next_ - first, "00", 1, 2, "2026-01-01", (3,))
    return CommitRecord(
        topic=TOPIC,
        partition=partition,
        first=first,
        next=next_,
        topic_id="id",
        batch=batch,
        writer="w",
        created="2026-01-01T00:00:00+00:00",
        files=(file,),
        read=next_ - first,
        written=next_ - first,
        dead_lettered=0,
        dead_letter_reasons={},
        schema_ids=(0,),
        unknown_fields={"x": 1},
        min_arrival=1,
        max_arrival=2,
    )


def write_chain(store: ObjectStore, count: int, *, start: int = 0, step: int = 10) -> None:
    """``count`` records of ``step`` offsets each, from offset ``start``."""
    log = commit_log(store)
    for first in range(start, start + count * step, step):
        assert log.append(record(first, first + step)) == Won()
