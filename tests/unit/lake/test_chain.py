"""The chain protocol, over a store in memory."""

from __future__ import annotations

import itertools
import random
import threading

import orjson
import pytest

from loader.errors import NeedsOperator
from loader.lake import layout
from loader.lake.chain import Lost, Won
from loader.lake.commit_log import commit_log, decode_record
from loader.lake.memory import MemoryStore
from tests.support.chains import record, write_chain


def test_a_record_survives_the_way_to_the_store_and_back() -> None:
    original = record(5, 9)
    assert decode_record(original.encode()) == original


def test_an_empty_chain_has_no_tail() -> None:
    log = commit_log(MemoryStore())
    assert log.tail("heap.events", 0) is None
    assert log.topics() == []


def test_records_follow_one_another_in_order_of_offset() -> None:
    log = commit_log(MemoryStore())
    bounds = [0, 9, 10, 100, 2_000_000_000_000]
    for first, next_ in itertools.pairwise(bounds):
        assert log.append(record(first, next_)) == Won()
    assert [r.first for r in log.records("heap.events", 0)] == bounds[:-1]
    assert [r.first for r in log.records("heap.events", 0, since=10)] == [10, 100]
    tail = log.tail("heap.events", 0)
    assert tail is not None
    assert tail.next == bounds[-1]
    assert log.partitions("heap.events") == [0]


def test_of_two_writers_one_wins_and_the_other_learns_where_the_chain_ends() -> None:
    log = commit_log(MemoryStore())
    assert log.append(record(0, 10, batch="one")) == Won()
    assert log.append(record(10, 15, batch="one")) == Won()
    assert log.append(record(0, 12, batch="two")) == Lost(next=15)


def test_the_same_record_again_is_our_own_lost_answer() -> None:
    log = commit_log(MemoryStore())
    mine = record(0, 10, batch="mine")
    assert log.append(mine) == Won()
    assert log.append(mine) == Won()


def test_one_record_is_read_by_its_first_offset() -> None:
    store = MemoryStore()
    write_chain(store, 3)
    log = commit_log(store)
    assert log.record("heap.events", 0, 10) == record(10, 20)
    with pytest.raises(NeedsOperator, match="is gone"):
        log.record("heap.events", 0, 11)


def test_an_empty_record_is_refused() -> None:
    with pytest.raises(ValueError, match="empty record"):
        commit_log(MemoryStore()).append(record(5, 5))


def test_a_gap_stops_the_reader_and_names_the_offsets() -> None:
    store = MemoryStore()
    log = commit_log(store)
    for first in (0, 10, 20):
        log.append(record(first, first + 10))
    store.delete([layout.log_record(layout.LOG, "heap.events", 0, 10)])
    with pytest.raises(NeedsOperator, match=r"ends at offset 10, the one after it begins at 20"):
        list(log.records("heap.events", 0))


@pytest.mark.parametrize(
    "body", [b"", b"not json", b"[]", b"{}", b'{"version":99}', b'{"version":1,"first":3}']
)
def test_what_is_no_record_is_named(body: bytes) -> None:
    store = MemoryStore()
    store.put(layout.log_record(layout.LOG, "heap.events", 0, 0), body)
    with pytest.raises(NeedsOperator, match="is not a record of this lake"):
        commit_log(store).tail("heap.events", 0)


def test_a_record_under_a_foreign_key_is_named() -> None:
    store = MemoryStore()
    store.put(layout.log_record(layout.LOG, "heap.events", 0, 7), record(0, 10).encode())
    with pytest.raises(NeedsOperator, match="holds a record that begins at 0"):
        commit_log(store).tail("heap.events", 0)


def test_the_record_is_one_json_object_with_its_version_first() -> None:
    assert next(iter(orjson.loads(record(0, 1).encode()))) == "version"


@pytest.mark.parametrize("seed", range(5))
def test_competing_writers_leave_a_chain_without_gap_or_overlap(seed: int) -> None:
    """Zombies read the tail, lose their minds for a while, and append at stale offsets."""
    log = commit_log(MemoryStore())
    end = 500

    def write(name: str) -> None:
        rng = random.Random(f"{seed}{name}")
        first = 0
        while first < end:
            next_ = min(end, first + rng.randint(1, 20))
            outcome = log.append(record(first, next_, batch=f"{name}-{first}-{next_}"))
            first = next_ if isinstance(outcome, Won) else outcome.next
            if rng.random() < 0.1:
                tail = log.tail("heap.events", 0)
                first = rng.choice([0, tail.first if tail else 0])

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = list(log.records("heap.events", 0))
    covered = [offset for r in records for offset in range(r.first, r.next)]
    assert covered == list(range(end))
