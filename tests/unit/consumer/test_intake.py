"""What a poll gave, sorted into open batches: nothing twice, nothing skipped, whatever came with it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from confluent_kafka import Message

from loader import config
from loader.consumer.intake import Intake
from loader.consumer.polling import by_partition

A, B = ("t", 0), ("t", 1)
LIMITS = config.Batch(max_rows=3, max_bytes=2048, max_age=10.0)


def run(place: tuple[str, int], offsets: Iterable[int], size: int = 1) -> list[Message]:
    topic, partition = place
    return [
        Message(
            topic=topic,
            partition=partition,
            offset=n,
            key=b"k",
            value=b"x" * size,
            timestamp=(1, n),
        )
        for n in offsets
    ]


def offsets(intake: Intake, place: tuple[str, int]) -> list[int]:
    """What is held of a partition. It is taken out for that, and put back."""
    buffer = intake.buffers[place]
    first, found = buffer.first, []
    while buffer.rows:
        batch = buffer.close(buffer.read)
        assert batch.run is not None
        found.append(batch.run)
    buffer.first = first
    for run in found:
        buffer.add(run, now=50.0)
    return [offset for run in found for offset in run.offsets.tolist()]


@pytest.fixture
def intake() -> Intake:
    made = Intake(LIMITS)
    made.assign([(A, 100), (B, 0)])
    return made


def take(
    intake: Intake,
    messages: list[Message],
    ends: list[tuple[tuple[str, int], int]] | None = None,
    epoch: int | None = None,
) -> set[tuple[str, int]]:
    return intake.take(
        by_partition(messages), ends or [], epoch=intake.epoch if epoch is None else epoch, now=50.0
    )


def test_messages_of_several_partitions_are_sorted_apart_and_gaps_are_kafkas(
    intake: Intake,
) -> None:
    assert not take(intake, [*run(A, [100, 101]), *run(B, [0, 2]), *run(A, [105])])
    assert not take(intake, run(A, [110]))
    assert (offsets(intake, A), offsets(intake, B)) == ([100, 101, 105, 110], [0, 2])


@pytest.mark.parametrize(
    "came",
    [
        [*run(A, [500, 501])],
        [*run(A, [500, 501]), *run(A, [100, 101])],
        [*run(B, [0]), *run(A, [100])],
    ],
)
def test_what_came_within_a_rebalance_is_read_again(came: list[Message]) -> None:
    """It may be of before: then it lies ahead of where the new owner has to begin."""
    intake = Intake(LIMITS)
    before = intake.epoch
    intake.assign([(A, 100)])
    assert take(intake, came, epoch=before) == {A}
    assert offsets(intake, A) == []
    assert not take(intake, run(A, [100, 101]))
    assert offsets(intake, A) == [100, 101]


def test_an_end_that_came_within_a_rebalance_says_nothing() -> None:
    intake = Intake(LIMITS)
    before = intake.epoch
    intake.assign([(A, 100)])
    assert take(intake, [], [(A, 600)], epoch=before) == {A}
    assert intake.buffers[A].ended == 0
    assert not take(intake, [], [(A, 100)])
    assert intake.buffers[A].ended == 100


@pytest.mark.parametrize(
    "came",
    [run(A, [101]), run(A, [100, 101]), run(A, [99]), [*run(A, [102, 103]), *run(A, [100])]],
)
def test_a_repeat_of_what_is_here_is_read_again_and_nothing_of_it_kept(
    intake: Intake, came: list[Message]
) -> None:
    take(intake, run(A, [100, 101]))
    assert take(intake, [*came, *run(A, [104])]) == {A}
    intake.buffers[A].restart(100)
    assert not take(intake, run(A, [100, 101, 102]))
    assert offsets(intake, A) == [100, 101, 102]


def test_a_partition_that_was_taken_away_is_its_new_owners(intake: Intake) -> None:
    take(intake, run(A, [100]))
    intake.unassign([A])
    assert not take(intake, [*run(A, [101]), *run(B, [0])], [(A, 102)])
    assert A not in intake.buffers
    assert offsets(intake, B) == [0]


def due(intake: Intake, *, short: bool = False, passed: bool = False) -> list[tuple[str, int]]:
    return intake.due(
        52.0,
        short=short,
        takes=lambda _: True,
        complete=lambda _: False,
        passed=lambda _: passed,
    )


def test_full_batches_come_first_and_one_large_one_where_memory_is_short(intake: Intake) -> None:
    take(intake, [*run(A, [100], size=1500), *run(B, [0, 1], size=10)])
    assert due(intake) == []
    assert due(intake, short=True) == [A]
    take(intake, run(B, [2]))
    assert due(intake, short=True) == [B]


def test_an_empty_batch_is_due_only_where_offsets_were_passed(intake: Intake) -> None:
    assert due(intake) == []
    assert set(due(intake, passed=True)) == {A, B}
