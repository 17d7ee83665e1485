"""When a batch closes: rows, bytes or age, whichever comes first; and what it covers."""

from __future__ import annotations

from confluent_kafka import TIMESTAMP_CREATE_TIME, Message

from loader import config
from loader.consumer.batches import Batch, Buffer
from loader.consumer.runs import Run

LIMITS = config.Batch(max_rows=3, max_bytes=2048, max_age=10.0)


def message(size: int, offset: int = 0) -> Message:
    return Message(
        topic="t",
        partition=0,
        offset=offset,
        key=b"k",
        value=b"x" * size,
        timestamp=(TIMESTAMP_CREATE_TIME, 1_700_000_000_000 + offset),
    )


def offsets(batch: Batch) -> list[int]:
    assert batch.run is not None
    return list(batch.run.offsets.tolist())


def rows(batch: Batch) -> int:
    return len(offsets(batch))


def run(*messages: Message) -> Run:
    return Run.of(messages)


def buffer(*sizes: int) -> Buffer:
    made = Buffer("t", 0, first=100, epoch=1)
    for size in sizes:
        made.add(run(message(size)), now=50.0)
    return made


def test_an_empty_buffer_never_closes() -> None:
    assert not buffer().closes(LIMITS, now=1e9)


def test_it_closes_on_rows() -> None:
    assert not buffer(1, 1).closes(LIMITS, now=50.0)
    assert buffer(1, 1, 1).closes(LIMITS, now=50.0)


def test_it_closes_on_bytes_and_a_message_above_the_limit_is_a_batch_of_its_own() -> None:
    assert not buffer(2047).closes(LIMITS, now=50.0)
    assert buffer(2048).closes(LIMITS, now=50.0)
    assert buffer(1_000_000).closes(LIMITS, now=50.0)


def test_it_closes_on_the_age_of_its_first_message() -> None:
    held = buffer(1)
    held.add(run(message(1)), now=59.0)
    assert not held.closes(LIMITS, now=59.9)
    assert held.closes(LIMITS, now=60.0)


def test_closing_begins_the_next_batch_where_this_one_ends() -> None:
    held = buffer(1, 2)
    batch = held.close(107, LIMITS)
    assert (batch.first, batch.next, rows(batch)) == (100, 107, 2)
    assert (held.first, held.rows, held.held.bytes, held.weight) == (107, 0, 0, 0)
    held.add(run(message(5)), now=70.0)
    assert held.opened == 70.0


def test_what_was_polled_beyond_the_limit_stays_and_gaps_go_with_what_is_before_them() -> None:
    held = Buffer("t", 0, first=100, epoch=1)
    held.add(run(*(message(2, offset) for offset in (100, 101, 102, 110, 111))), now=50.0)
    batch = held.close(120, LIMITS)
    assert (batch.first, batch.next, rows(batch)) == (100, 110, 3)
    assert (held.first, held.rows, held.held.bytes, held.opened) == (110, 2, 4, 50.0)
    rest = held.close(120, LIMITS)
    assert (rest.first, rest.next, rows(rest)) == (110, 120, 2)


def test_a_batch_ends_with_the_message_that_meets_the_limit_of_bytes() -> None:
    held = Buffer("t", 0, first=0, epoch=1)
    held.add(run(*(message(size, n) for n, size in enumerate((1000, 1000, 5000)))), now=50.0)
    assert offsets(held.close(3, LIMITS)) == [0, 1, 2]
    held = Buffer("t", 0, first=0, epoch=1)
    held.add(run(*(message(size, n) for n, size in enumerate((5000, 1, 1)))), now=50.0)
    assert offsets(held.close(3, LIMITS)) == [0]
    assert (held.first, held.held.bytes) == (1, 2)
