"""What a worker tells: lag by honest rules, gauges that go with the partition, counts by record."""

from __future__ import annotations

import pytest

from loader.consumer.observer import Observer, PartitionState
from loader.lake.commit_log import CommitRecord, DataFile
from loader.metrics import Buckets

NOW = 1_000_000.0


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def observer(wall: float = NOW) -> Observer:
    return Observer(3, clock=Clock(50.0), wall=Clock(wall))


def values(seen: Observer) -> dict[tuple[str, ...], float | Buckets]:
    return {(name, *labels): value for name, labels, value in seen.snapshot(7)}


def record(partition: int = 0) -> CommitRecord:
    file = DataFile("raw/x", 4000, 8, "", 0, 0, "2026-01-01", (0,))
    return CommitRecord(
        topic="t",
        partition=partition,
        first=0,
        next=10,
        topic_id="",
        batch="",
        writer="",
        created="",
        files=(file,),
        read=10,
        written=8,
        dead_lettered=2,
        dead_letter_reasons={"bad_time": 2},
        schema_ids=(0,),
        unknown_fields={},
        min_arrival=-1,
        max_arrival=-1,
    )


@pytest.mark.parametrize(
    ("state", "lag", "seconds"),
    [
        (PartitionState(("t", 0), 5, 9, 20, 990_000_000), 15, 10_000.0),
        (PartitionState(("t", 0), 20, 20, 20, -1), 0, 0.0),
        # Behind, and what comes next has not been fetched: nobody knows its age.
        (PartitionState(("t", 0), 5, 5, 20, -1), 15, None),
        (PartitionState(("t", 0), 5, 5, -1, -1), None, None),
        # The high watermark is older than what was read.
        (PartitionState(("t", 0), 20, 20, 18, -1), 0, 0.0),
    ],
)
def test_lag_is_what_is_not_in_the_lake(
    state: PartitionState, lag: int | None, seconds: float | None
) -> None:
    seen = observer()
    seen.partitions([state], held=11, paused=1)
    found = values(seen)
    assert found.get(("lag_messages", "t", "0")) == lag
    assert found.get(("lag_seconds", "t", "0")) == seconds
    assert found["buffered_bytes", "3"] == 11
    assert found["paused_partitions", "3"] == 1
    assert found["assigned_partitions", "3"] == 1
    assert found["worker_resident_memory_bytes", "3"] == 7


def test_a_clock_that_went_back_makes_no_negative_lag() -> None:
    seen = observer(wall=5.0)
    seen.partitions([PartitionState(("t", 0), 5, 9, 20, 990_000_000)], held=0, paused=0)
    assert values(seen)["lag_seconds", "t", "0"] == 0.0


def test_an_age_that_is_not_known_any_more_is_not_shown() -> None:
    seen = observer()
    seen.partitions([PartitionState(("t", 0), 5, 9, 20, 990_000_000)], held=0, paused=0)
    seen.partitions([PartitionState(("t", 0), 9, 9, 20, -1)], held=0, paused=0)
    assert ("lag_seconds", "t", "0") not in values(seen)


@pytest.mark.parametrize("kind", ["revoked", "lost"])
def test_gauges_of_a_partition_go_with_it(kind: str) -> None:
    seen = observer()
    seen.assigned([("t", 0), ("t", 1)])
    states = [PartitionState(("t", n), 5, 9, 20, -1) for n in (0, 1)]
    seen.partitions(states, held=0, paused=0)
    getattr(seen, kind)([("t", 0)])
    left = {labels for labels in values(seen) if labels[1:2] == ("t",)}
    assert {labels[2] for labels in left} == {"1"}
    # Its batch may land after it went: the new owner tells of its last record.
    seen.batch_written(record(0), 1.0)
    assert ("last_commit_timestamp_seconds", "t", "0") not in values(seen)
    seen.batch_written(record(1), 1.0)
    assert values(seen)["last_commit_timestamp_seconds", "t", "1"] == NOW
    assert values(seen)["rebalances_total", kind] == 1


def test_a_record_counts_what_it_holds() -> None:
    seen = observer()
    seen.batch_written(record(), 2.0)
    seen.batch_lost()
    found = values(seen)
    assert found["records_total", "t", "written"] == 8
    assert found["records_total", "t", "dead_lettered"] == 2
    assert found["dead_letters_total", "bad_time"] == 2
    assert found["commit_conflicts_total", "lost"] == 1
    buckets = found["batch_bytes", "t"]
    assert isinstance(buckets, list)
    assert buckets[0] == 4000


def test_an_empty_answer_of_the_group_is_joining_and_no_rebalance() -> None:
    seen = observer()
    before = seen.joined
    seen.assigned([])
    assert (before, seen.joined) == (False, True)
    assert not any(name == "rebalances_total" for name, *_ in values(seen))


def test_what_settled_is_news_once_and_stays() -> None:
    seen = observer()
    seen.settled([("t", 1)])
    assert seen.news.is_set()
    seen.news.clear()
    seen.settled([("t", 1)])
    assert not seen.news.is_set()
    seen.settled([("t", 0)])
    assert seen.reached == [("t", 0), ("t", 1)]


def test_it_looks_at_partitions_once_a_second() -> None:
    clock = Clock(50.0)
    seen = Observer(0, clock=clock)
    assert seen.due()
    clock.now += 0.9
    assert not seen.due()
    clock.now += 0.2
    assert seen.due()
