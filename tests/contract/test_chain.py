"""One suite over every object store: chains and their checkpoints."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from loader import config
from loader.lake import layout
from loader.lake.chain import Chains, Lost, Won
from loader.lake.checkpoints import Checkpoints
from loader.lake.commit_log import CommitRecord, decode_record
from loader.lake.memory import MemoryStore
from loader.lake.s3 import S3Store
from loader.lake.store import ObjectStore
from tests.support.chains import TOPIC, record, write_chain


@pytest.fixture(params=["memory", "s3"])
def store(request: pytest.FixtureRequest) -> Iterator[ObjectStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    settings: config.Settings = request.getfixturevalue("settings")
    yield S3Store.open(settings.lake)


def chains(store: ObjectStore) -> Chains[CommitRecord]:
    return Chains(store, layout.LOG, decode_record, fold_records=20)


def bounds(store: ObjectStore) -> list[tuple[int, int]]:
    return [(s.first, s.next) for s in Checkpoints(store, layout.LOG).spans(TOPIC, 0)]


def test_a_chain_is_written_folded_and_read(store: ObjectStore) -> None:
    write_chain(store, 50)
    log = chains(store)
    assert log.topics() == [TOPIC]
    assert log.partitions(TOPIC) == [0]
    assert [log.fold(TOPIC, 0) for _ in range(3)] == [True, True, False]
    assert bounds(store) == [(0, 200), (200, 400)]
    expected = [record(first, first + 10) for first in range(0, 500, 10)]
    assert list(log.records(TOPIC, 0)) == expected
    assert list(log.records(TOPIC, 0, since=250)) == expected[25:]
    assert log.tail(TOPIC, 0) == expected[-1]
    assert log.record(TOPIC, 0, 30) == expected[3]
    # The checkpoints' folder is no chain, and the chain's folder has records only.
    assert log.topics() == [TOPIC]
    assert log.partitions(TOPIC) == [0]


def test_a_late_writer_finds_the_end_of_a_folded_chain(store: ObjectStore) -> None:
    write_chain(store, 21)
    log = chains(store)
    assert log.fold(TOPIC, 0)
    assert log.append(record(100, 150, batch="late")) == Lost(210)
    assert log.append(record(210, 220, batch="late")) == Won()


def test_many_folders_at_once_make_each_checkpoint_once(store: ObjectStore) -> None:
    write_chain(store, 45)
    barrier = threading.Barrier(4)

    def fold() -> None:
        log = chains(store)
        barrier.wait()
        while log.fold(TOPIC, 0):
            pass

    threads = [threading.Thread(target=fold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bounds(store) == [(0, 200), (200, 400)]
    assert len(list(chains(store).records(TOPIC, 0))) == 45


def test_a_damaged_and_a_missing_checkpoint_are_passed_over(store: ObjectStore) -> None:
    write_chain(store, 65)
    log = chains(store)
    while log.fold(TOPIC, 0):
        pass
    first, second, third = Checkpoints(store, layout.LOG).spans(TOPIC, 0)
    store.put(first.key, store.get(first.key)[:-1])
    store.delete([second.key])
    assert [r.first for r in log.records(TOPIC, 0)] == list(range(0, 650, 10))
    store.delete([third.key])
    tail = log.tail(TOPIC, 0)
    assert tail is not None
    assert tail.next == 650
