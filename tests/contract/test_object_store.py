"""One suite over every object store: what the commit protocol stands on."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from loader import config
from loader.lake.memory import MemoryStore
from loader.lake.metered import MeteredStore
from loader.lake.s3 import S3Store
from loader.lake.store import ObjectStore
from loader.metrics import Samples


@pytest.fixture(params=["memory", "metered", "s3"])
def store(request: pytest.FixtureRequest) -> Iterator[ObjectStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    if request.param == "metered":
        yield MeteredStore(MemoryStore(), Samples())
        return
    settings: config.Settings = request.getfixturevalue("settings")
    yield S3Store.open(settings.lake)


def test_what_was_put_is_read(store: ObjectStore) -> None:
    store.put("a/b", b"one")
    assert store.get("a/b") == b"one"
    store.put("a/b", b"two")
    assert store.get("a/b") == b"two"


def test_an_absent_object_is_a_key_error(store: ObjectStore) -> None:
    with pytest.raises(KeyError):
        store.get("nothing")


def test_the_first_conditional_put_wins(store: ObjectStore) -> None:
    assert store.put_if_absent("k", b"first")
    assert not store.put_if_absent("k", b"second")
    assert store.get("k") == b"first"


def test_a_repeated_conditional_put_knows_its_own_body(store: ObjectStore) -> None:
    assert store.put_if_absent("k", b"mine")
    assert store.put_if_absent("k", b"mine")


def test_of_many_threads_one_wins(store: ObjectStore) -> None:
    for round_ in range(5):
        key = f"race/{round_}"
        barrier = threading.Barrier(8)
        won: list[bytes] = []

        def race(
            body: bytes,
            key: str = key,
            barrier: threading.Barrier = barrier,
            won: list[bytes] = won,
        ) -> None:
            barrier.wait()
            if store.put_if_absent(key, body):
                won.append(body)

        threads = [threading.Thread(target=race, args=(b"%d" % n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert won == [store.get(key)]


def test_a_scan_is_in_order_of_key_and_starts_after(store: ObjectStore) -> None:
    for n in (3, 1, 20, 2):
        store.put(f"log/{n:05d}.json", b"x" * n)
    store.put("other", b"")
    assert [i.key for i in store.scan("log/")] == [f"log/{n:05d}.json" for n in (1, 2, 3, 20)]
    assert [i.size for i in store.scan("log/", start_after="log/00002.json")] == [3, 20]


def test_a_scan_goes_past_one_page(store: ObjectStore) -> None:
    def put_all(numbers: range) -> None:
        for n in numbers:
            store.put(f"p/{n:05d}", b"")

    threads = [
        threading.Thread(target=put_all, args=(span,)) for span in (range(520), range(520, 1040))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [info.key for info in store.scan("p/")] == [f"p/{n:05d}" for n in range(1040)]


def test_folders_are_the_next_segments(store: ObjectStore) -> None:
    for key in ("log/a/0/x", "log/a/1/x", "log/b/0/x", "log/file"):
        store.put(key, b"")
    assert store.list_folders("log/") == ["a", "b"]
    assert store.list_folders("log/a/") == ["0", "1"]
    assert store.list_folders("none/") == []


def test_deleting_is_silent_about_what_is_not_there(store: ObjectStore) -> None:
    store.put("x", b"")
    store.delete(["x", "y"])
    store.delete([])
    assert list(store.scan("")) == []


def test_a_real_store_tells_of_each_request_and_of_its_own_writes(
    settings: config.Settings,
) -> None:
    samples = Samples()
    store = MeteredStore(S3Store.open(settings.lake), samples)
    store.put("a", b"1")
    assert store.put_if_absent("b", b"mine")
    assert store.put_if_absent("b", b"mine")
    assert not store.put_if_absent("b", b"other")
    assert [info.key for info in store.scan("")] == ["a", "b"]
    found = {(name, *labels): value for name, labels, value in samples.snapshot()}
    assert found["s3_requests_total", "PutObject"] == 4
    assert found["s3_requests_total", "GetObject"] == 2
    assert found["s3_requests_total", "ListObjectsV2"] == 1
    assert found["commit_conflicts_total", "own_retry"] == 1
