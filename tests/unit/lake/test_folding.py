"""Folding a chain: what is folded when, what readers do with it, and how many requests they need."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest

from loader.errors import NeedsOperator
from loader.lake import layout
from loader.lake.chain import Chains, Lost, Won
from loader.lake.checkpoints import Checkpoints, Span
from loader.lake.commit_log import CommitRecord, commit_log, decode_record
from loader.lake.memory import MemoryStore
from loader.lake.store import ObjectStore
from tests.support.chains import TOPIC, record, write_chain
from tests.support.counting import CountingStore


def chains(store: ObjectStore, fold_records: int = 4, **options: Any) -> Chains[CommitRecord]:
    return Chains(store, layout.LOG, decode_record, fold_records=fold_records, **options)


def spans(store: ObjectStore) -> list[Span]:
    return Checkpoints(store, layout.LOG).spans(TOPIC, 0)


def bounds(store: ObjectStore) -> list[tuple[int, int]]:
    return [(span.first, span.next) for span in spans(store)]


def fold_all(log: Chains[CommitRecord]) -> int:
    folded = 0
    while log.fold(TOPIC, 0):
        folded += 1
    return folded


def firsts(log: Chains[CommitRecord], since: int = 0) -> list[int]:
    return [r.first for r in log.records(TOPIC, 0, since=since)]


def damage(store: MemoryStore, span: Span) -> None:
    body = bytearray(store.get(span.key))
    body[len(body) // 2] ^= 0xFF
    store.put(span.key, bytes(body))


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, []),
        (4, []),
        (5, [(100, 140)]),
        (8, [(100, 140)]),
        (9, [(100, 140), (140, 180)]),
        (14, [(100, 140), (140, 180), (180, 220)]),
    ],
)
def test_full_checkpoints_follow_one_another_and_the_last_record_stays_out(
    count: int, expected: list[tuple[int, int]]
) -> None:
    store = MemoryStore()
    write_chain(store, count, start=100)
    assert fold_all(chains(store)) == len(expected)
    assert bounds(store) == expected
    assert not chains(store).fold(TOPIC, 0)


@pytest.mark.parametrize("ahead", [1, 16])
@pytest.mark.parametrize("count", [1, 5, 8, 23])
def test_a_folded_chain_reads_as_an_unfolded_one(count: int, ahead: int) -> None:
    store = MemoryStore()
    write_chain(store, count, start=100)
    unfolded = {since: firsts(chains(store), since) for since in range(0, 110 + 10 * count, 5)}
    tail = chains(store).tail(TOPIC, 0)
    log = chains(store, ahead=ahead)
    fold_all(log)
    assert {since: firsts(log, since) for since in unfolded} == unfolded
    assert log.tail(TOPIC, 0) == tail
    assert list(log.records(TOPIC, 0)) == [
        record(first, first + 10) for first in range(100, 100 + 10 * count, 10)
    ]


def test_bytes_fill_a_checkpoint_too() -> None:
    store = MemoryStore()
    write_chain(store, 9)
    size = len(record(0, 10).encode())
    log = chains(store, fold_records=8, fold_bytes=2 * size)
    assert log.fold(TOPIC, 0)
    assert bounds(store) == [(0, 20)]
    assert not log.fold(TOPIC, 0)
    # A record larger than a whole checkpoint may be has one for itself.
    store = MemoryStore()
    write_chain(store, 9)
    assert chains(store, fold_records=8, fold_bytes=1).fold(TOPIC, 0)
    assert bounds(store) == [(0, 10)]


def test_two_writers_make_one_checkpoint() -> None:
    store = MemoryStore()
    write_chain(store, 6)
    one, two = chains(store), chains(store)
    mine, theirs = one.next_checkpoint(TOPIC, 0), two.next_checkpoint(TOPIC, 0)
    assert mine is not None
    assert mine == theirs
    one.put_checkpoint(mine)
    two.put_checkpoint(mine)
    assert bounds(store) == [(0, 40)]


def test_another_body_at_the_key_is_left_there() -> None:
    """Another version of the compressor may write other bytes for the same records."""
    store = MemoryStore()
    write_chain(store, 6)
    log = chains(store)
    late = log.next_checkpoint(TOPIC, 0)
    assert late is not None
    store.put(late.key, b"another")
    log.put_checkpoint(late)
    assert store.get(late.key) == b"another"
    assert firsts(log) == list(range(0, 60, 10))


def test_writers_that_fold_at_different_lengths_leave_readers_right() -> None:
    store = MemoryStore()
    write_chain(store, 30)
    short, long = chains(store, 3), chains(store, 7)
    late = long.next_checkpoint(TOPIC, 0)
    fold_all(short)
    assert late is not None
    long.put_checkpoint(late)
    assert bounds(store)[:3] == [(0, 70), (0, 30), (30, 60)]
    for since in range(0, 310, 5):
        assert firsts(short, since) == [f for f in range(0, 300, 10) if f >= since]


@pytest.mark.parametrize("harm", ["damage", "delete"])
@pytest.mark.parametrize("which", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)])
def test_without_a_checkpoint_the_records_are_read(which: tuple[int, ...], harm: str) -> None:
    store = MemoryStore()
    write_chain(store, 14)
    log = chains(store)
    fold_all(log)
    known = spans(store)
    for n in which:
        if harm == "damage":
            damage(store, known[n])
        else:
            store.delete([known[n].key])
    for since in range(0, 145, 5):
        assert firsts(log, since) == [f for f in range(0, 140, 10) if f >= since]
    tail = log.tail(TOPIC, 0)
    assert tail is not None
    assert tail.next == 140
    assert log.append(record(140, 150)) == Won()
    assert log.append(record(0, 10, batch="late")) == Lost(150)


def test_folding_goes_on_after_a_damaged_checkpoint() -> None:
    store = MemoryStore()
    write_chain(store, 14)
    log = chains(store)
    assert log.fold(TOPIC, 0)
    damage(store, spans(store)[0])
    assert fold_all(log) == 2
    assert bounds(store) == [(0, 40), (40, 80), (80, 120)]


@pytest.mark.parametrize("lost", [40, 50])
def test_a_checkpoint_that_the_records_do_not_continue_stops_every_reader(lost: int) -> None:
    """The chain was cut behind the checkpoint, or goes on elsewhere."""
    store = MemoryStore()
    write_chain(store, 6)
    log = chains(store)
    assert log.fold(TOPIC, 0)
    store.delete(
        [layout.log_record(layout.LOG, TOPIC, 0, first) for first in range(40, lost + 1, 10)]
    )
    for read in (
        lambda: log.tail(TOPIC, 0),
        lambda: firsts(log),
        lambda: firsts(log, 20),
        lambda: log.fold(TOPIC, 0),
    ):
        with pytest.raises(NeedsOperator, match="does not go on at offset 40") as caught:
            read()
        assert spans(store)[0].key in caught.value.message
        assert "delete the checkpoint" in caught.value.hint


def test_a_gap_between_checkpoints_that_no_record_fills_stops_the_reader() -> None:
    store = MemoryStore()
    write_chain(store, 14)
    log = chains(store)
    fold_all(log)
    store.delete([spans(store)[1].key, layout.log_record(layout.LOG, TOPIC, 0, 50)])
    with pytest.raises(NeedsOperator, match="ends at offset 50, the one after it begins at 60"):
        firsts(log)


@pytest.mark.parametrize("first", [10, 40])
def test_a_broken_chain_is_never_folded(first: int) -> None:
    store = MemoryStore()
    write_chain(store, 6)
    store.delete([layout.log_record(layout.LOG, TOPIC, 0, first)])
    with pytest.raises(NeedsOperator, match="is broken"):
        chains(store).fold(TOPIC, 0)
    assert spans(store) == []


def test_a_damaged_record_is_never_folded() -> None:
    store = MemoryStore()
    write_chain(store, 6)
    store.put(layout.log_record(layout.LOG, TOPIC, 0, 20), b"{}")
    with pytest.raises(NeedsOperator, match="is not a record of this lake"):
        chains(store).fold(TOPIC, 0)
    assert spans(store) == []


def test_the_writer_knows_without_a_request_when_folding_is_due() -> None:
    store = CountingStore(MemoryStore())
    log = chains(store)
    assert not log.fold_due(TOPIC, 0)
    for n in range(5):
        assert log.fold_due(TOPIC, 0) == (n > 4)
        log.append(record(10 * n, 10 * n + 10))
    store.taken()
    assert log.fold_due(TOPIC, 0)
    assert store.taken() == {}
    assert log.fold(TOPIC, 0)
    assert not log.fold_due(TOPIC, 0)
    # Another process learns it from the tail, which it must look up anyway.
    other = chains(store)
    write_chain(store, 4, start=50)
    assert not other.fold_due(TOPIC, 0)
    other.tail(TOPIC, 0)
    assert other.fold_due(TOPIC, 0)
    assert other.fold(TOPIC, 0)
    # Who counted what another one has folded meanwhile, finds out by trying.
    log.append(record(90, 100))
    while log.fold_due(TOPIC, 0):
        log.fold(TOPIC, 0)
    assert bounds(store) == [(0, 40), (40, 80)]


def test_folding_in_the_background_of_competing_writers() -> None:
    """Writers race, one thread folds all the time: the chain and its checkpoints come out whole."""
    store = MemoryStore()
    log = chains(store, 3)
    end = 400
    done = threading.Event()

    def write(name: str) -> None:
        first = 0
        for length in itertools.cycle((3, 7, 1)):
            if first >= end:
                return
            next_ = min(end, first + length)
            outcome = log.append(record(first, next_, batch=f"{name}-{first}"))
            first = next_ if isinstance(outcome, Won) else outcome.next

    def fold() -> None:
        while not done.is_set():
            log.fold(TOPIC, 0)

    folder = threading.Thread(target=fold)
    writers = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in (folder, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    folder.join()
    fold_all(log)
    keys = [info.key for info in store.scan(layout.log_chain(layout.LOG, TOPIC, 0))]
    records = [decode_record(store.get(key)) for key in keys]
    assert list(log.records(TOPIC, 0)) == records
    known = bounds(store)
    assert known[0][0] == 0
    assert all(before[1] == after[0] for before, after in itertools.pairwise(known))
    assert len(records) - 3 * len(known) in {1, 2, 3}


@pytest.mark.parametrize("count", [600, 2_501, 10_000])
def test_the_requests_of_readers_do_not_grow_with_the_chain(count: int) -> None:
    store = CountingStore(MemoryStore())
    write_chain(store, count)
    log = commit_log(store)
    log.tail(TOPIC, 0)
    store.taken()
    folded = 0
    while log.fold_due(TOPIC, 0):
        assert log.fold(TOPIC, 0)
        folded += 1
        # The newest checkpoint, the records after it, 500 of them, one checkpoint.
        assert store.taken() == {"list": 2, "get": 500, "put": 1}
    assert folded == (count - 1) // 500
    log.tail(TOPIC, 0)
    assert store.taken() == {"list": 2, "get": 1}
    left = count - 500 * folded
    assert sum(1 for _ in log.records(TOPIC, 0)) == count
    assert store.taken() == {"list": 2, "get": folded + left}
    # The end of the chain, as the next sync reads it.
    assert len(list(log.records(TOPIC, 0, since=10 * (count - 3)))) == 3
    assert store.taken() == {"list": 2, "get": 3 if left >= 3 else 1 + left}
    assert log.append(record(0, 10, batch="late")) == Lost(10 * count)
    assert store.taken() == {"put": 1, "list": 2, "get": 1}
