"""A worker's memory: what may wait in it, and when it lets go."""

from __future__ import annotations

import pytest

from loader.consumer.memory_limit import MemoryWatch, water_marks

MIB = 1 << 20


@pytest.mark.parametrize(("memory", "high"), [(700, 158), (1000, 308), (450, 33)])
def test_the_water_marks_grow_with_the_memory(memory: int, high: int) -> None:
    assert water_marks(memory * MIB) == (high * MIB, high * MIB * 2 // 3)


def test_the_least_memory_that_may_be_set_leaves_room_for_a_batch() -> None:
    high, low = water_marks(448 * MIB)
    assert high > 20 * MIB
    assert low > 0


class Machine:
    """Memory and time, set by the test."""

    def __init__(self) -> None:
        self.now = 100.0
        self.resident = 0
        self.kept = 0
        self.trims = 0

    def trim(self) -> None:
        self.resident -= self.kept
        self.kept = 0
        self.trims += 1

    def watch(self, limit: int) -> MemoryWatch:
        return MemoryWatch(
            limit, resident=lambda: self.resident, give_back=self.trim, clock=lambda: self.now
        )


def test_only_memory_that_stays_above_the_limit_counts() -> None:
    machine = Machine()
    watch = machine.watch(500)
    looks = [(501, 0.0), (501, 29.0), (500, 1.0), (501, 1.0), (501, 29.0)]
    for resident, passed in looks:
        machine.resident = resident
        machine.now += passed
        assert not watch.look()
    machine.now += 1.0
    assert watch.look()


def test_what_is_kept_for_later_is_given_back_before_anything_counts() -> None:
    machine = Machine()
    watch = machine.watch(500)
    machine.resident, machine.kept = 900, 500
    assert not watch.look()
    assert (watch.resident, machine.trims) == (400, 1)
    machine.resident, machine.kept = 900, 100
    for _ in range(3):
        assert not watch.look()
        machine.now += 10.0
    assert machine.trims == 2, "once above, it is not done again and again"
    machine.kept = 400
    assert not watch.look(), "used and freed meanwhile"
    assert machine.trims == 3


def test_what_is_said_names_the_limit_and_the_way_out() -> None:
    machine = Machine()
    watch = machine.watch(500 * MIB)
    machine.resident = 812 * MIB
    watch.look()
    error = watch.error()
    assert "812 MiB" in error.message
    assert "consumer.memory (500 MiB)" in error.message
    assert "batch.max_rows" in error.hint
    assert error.exit_code == 1
