"""User merges: the map is a function of the set of merges, and nothing else."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.model.migrations import ROWS_SCHEMA, Migration, UserMap

IDS = st.integers(0, 12)
MERGES = st.lists(st.builds(Migration, IDS, IDS, st.none() | st.integers(0, 5)), max_size=25)


def rows(*merges: tuple[int, int, int]) -> list[tuple[int, int, int | None]]:
    return listed(UserMap.fold([Migration(*merge) for merge in merges]))


def listed(users: UserMap) -> list[tuple[int, int, int | None]]:
    table = users.rows()
    times = table["time"].cast("int64").to_pylist()
    return list(
        zip(table["from_user_id"].to_pylist(), table["to_user_id"].to_pylist(), times, strict=True)
    )


@pytest.mark.parametrize(
    ("merges", "expected"),
    [
        ([], []),
        ([(1, 1, 5)], []),
        ([(1, 2, 5)], [(1, 2, 5)]),
        ([(1, 2, 0)], [(1, 2, None)]),
        ([(1, 2, 5), (2, 3, 6)], [(1, 3, 5), (2, 3, 6)]),
        ([(1, 9, 5), (3, 9, 6)], [(1, 9, 5), (3, 9, 6)]),
        # Neither 7 nor 8 ever migrated away: the smaller one stands, the other follows.
        ([(1, 8, 5), (1, 7, 6)], [(1, 7, 6), (8, 7, 5)]),
        # A cycle leaves nobody: the smallest stands.
        ([(2, 1, 5), (1, 2, 6)], [(2, 1, 5)]),
        ([(3, 4, 5), (4, 5, 6), (5, 3, 7)], [(4, 3, 6), (5, 3, 7)]),
        # A cycle with a way out ends there.
        ([(1, 2, 1), (2, 1, 2), (2, 9, 3)], [(1, 9, 1), (2, 9, 3)]),
    ],
)
def test_rows(
    merges: list[tuple[int, int, int]], expected: list[tuple[int, int, int | None]]
) -> None:
    assert rows(*merges) == expected


@given(MERGES, st.randoms(use_true_random=False))
def test_order_and_repeats_change_nothing(merges: list[Migration], chance: random.Random) -> None:
    again = merges + chance.sample(merges, len(merges) // 2)
    chance.shuffle(again)
    one, other = UserMap.fold(merges), UserMap.fold(again)
    assert one.rows().equals(other.rows())
    assert one.version == other.version
    assert one.rows_version == other.rows_version


@given(MERGES)
def test_the_map_agrees_with_a_naive_union(merges: list[Migration]) -> None:
    users = UserMap.fold(merges)
    sets: dict[int, set[int]] = {}
    for merge in merges:
        both = sets.get(merge.from_user_id, {merge.from_user_id}) | sets.get(
            merge.to_user_id, {merge.to_user_id}
        )
        for member in both:
            sets[member] = both
    left = {m.from_user_id for m in merges if m.from_user_id != m.to_user_id}
    for id_ in range(14):
        members = sets.get(id_, {id_})
        root = min(members - left or members)
        assert users.resolve(np.array([id_])).tolist() == [root]
        assert users.members(root).tolist() == sorted(members)
        times = [
            m.time_us
            for m in merges
            if m.from_user_id in members and m.from_user_id != m.to_user_id and m.time_us
        ]
        assert users.merge_time(root) == max(times, default=None)


@given(MERGES)
def test_the_table_holds_terminal_ids_only(merges: list[Migration]) -> None:
    users = UserMap.fold(merges)
    table = users.rows()
    from_ids, to_ids = table["from_user_id"].to_pylist(), table["to_user_id"].to_pylist()
    assert table.schema == ROWS_SCHEMA
    assert len(set(from_ids)) == len(from_ids) == len(users)
    assert not set(from_ids) & set(to_ids)


def test_versions_tell_the_mapping_from_its_times() -> None:
    one, later = UserMap.fold([Migration(1, 2, 5)]), UserMap.fold([Migration(1, 2, 6)])
    assert one.version == later.version != UserMap.empty().version
    assert one.rows_version != later.rows_version
    assert later.merge_times().to_pydict()["user_id"] == [2]


def test_an_empty_map_resolves_everybody_to_themselves() -> None:
    ids = np.array([3, 1, (1 << 63) - 1])
    assert UserMap.empty().resolve(ids).tolist() == ids.tolist()
    assert UserMap.fold([]).version == UserMap.empty().version
    assert UserMap.empty().resolve(np.empty(0, np.int64)).tolist() == []


def test_a_long_chain_in_any_order_collapses() -> None:
    order = np.random.default_rng(7).permutation(20_000)
    users = UserMap.of_arrays(order, order + 1, np.ones(len(order), np.int64))
    assert set(users.resolve(np.arange(20_001)).tolist()) == {20_000}
