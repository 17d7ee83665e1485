"""Fetching ahead keeps the order, is bounded, and fetches no more than is asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from loader.lake.ahead import fetched_ahead


@pytest.mark.parametrize("most", [1, 2, 16])
@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_answers_come_in_order_of_the_keys(most: int, count: int) -> None:
    found = list(fetched_ahead(lambda n: n * n, range(count), most=most))
    assert found == [(n, n * n) for n in range(count)]


def test_the_first_answer_costs_one_fetch() -> None:
    fetched: list[int] = []
    answers = fetched_ahead(fetched.append, range(100), most=16)
    assert next(answers) == (0, None)
    answers.close()  # type: ignore[attr-defined]
    assert fetched == [0]


def test_so_many_are_under_way_at_once_and_no_more() -> None:
    """Four fetches wait for each other: they are under way together. A fifth never is."""
    together = threading.Barrier(4)
    lock = threading.Lock()
    under_way = most = 0

    def fetch(n: int) -> int:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        if 4 <= n < 8:
            together.wait(30)
        with lock:
            under_way -= 1
        return n

    assert [n for n, _ in fetched_ahead(fetch, range(40), most=4)] == list(range(40))
    assert most == 4


def test_keys_are_taken_as_they_are_needed() -> None:
    taken: list[int] = []

    def keys() -> Iterator[int]:
        for n in range(100):
            taken.append(n)
            yield n

    answers = fetched_ahead(lambda n: n, keys(), most=4)
    beyond = [len(taken) - n for n, _ in answers]
    assert beyond[:5] == [1, 2, 4, 4, 4]
    assert max(beyond) == 4


def test_a_failure_comes_out_in_its_place() -> None:
    def fetch(n: int) -> int:
        if n == 5:
            raise KeyError(n)
        return n

    answers = fetched_ahead(fetch, range(10), most=4)
    assert [next(answers)[1] for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(KeyError):
        next(answers)
