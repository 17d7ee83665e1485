"""Merges resolved by hand."""

from __future__ import annotations

import itertools

import pytest

from loader.local.oracle import Identities, Merge


def resolved(*merges: tuple[int, int]) -> dict[int, int]:
    return Identities([Merge(old, new, 5) for old, new in merges]).root


@pytest.mark.parametrize(
    ("merges", "root"),
    [
        ([(10, 20)], 20),
        ([(10, 20), (20, 30)], 30),
        ([(10, 20), (20, 30), (30, 5)], 5),
        ([(10, 20), (11, 20)], 20),
        ([(10, 20), (20, 10)], 10),
        ([(10, 20), (20, 30), (30, 20)], 10),
        ([(10, 20), (10, 15)], 15),
        ([(10, 10), (10, 20)], 20),
        ([(9, 40), (9, 30), (30, 40)], 40),
    ],
    ids=[
        "one",
        "chain",
        "chain down",
        "two into one",
        "cycle",
        "all left",
        "two stay",
        "self",
        "mix",
    ],
)
def test_the_root_is_who_never_left_else_the_smallest(
    merges: list[tuple[int, int]], root: int
) -> None:
    for order in itertools.permutations(merges):
        found = resolved(*order)
        assert set(found.values()) == {root}
        assert set(found) == {user for pair in merges for user in pair if pair[0] != pair[1]}


def test_a_merge_into_oneself_says_nothing() -> None:
    found = Identities([Merge(10, 10, 5)])
    assert (found.rows(), found.merged, found.resolve(10)) == ([], {}, 10)


def test_rows_are_terminal_and_carry_the_latest_known_time() -> None:
    merges = [Merge(1, 2, 50), Merge(1, 2, 40), Merge(2, 3, 0), Merge(4, 3, 60), Merge(4, 3, 0)]
    found = Identities(merges)
    assert found.rows() == [(1, 3, 50), (2, 3, None), (4, 3, 60)]
    assert found.merged == {3: 60}


def test_of_two_that_stayed_the_larger_takes_the_time_it_was_merged_into() -> None:
    assert Identities([Merge(10, 20, 7), Merge(10, 15, 9)]).rows() == [(10, 15, 9), (20, 15, 7)]
