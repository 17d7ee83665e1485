"""When a batch closes: rows, bytes or age, whichever comes first; and what it covers."""

from __future__ import annotations

from confluent_kafka import TIMESTAMP_CREATE_TIME, Message

from loader import config
from loader.codec.spans import Messages
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


def run(*messages: Message) -> Run[Messages]:
    return Run.of(messages)


def buffer(*sizes: int) -> Buffer:
    made = Buffer("t", 0, first=100, epoch=1, limits=LIMITS)
    for size in sizes:
        made.add(run(message(size)), now=50.0)
    return made


def test_an_empty_buffer_never_closes() -> None:
    assert not buffer().closes(1e9)


def test_it_closes_on_rows() -> None:
    assert not buffer(1, 1).closes(50.0)
    assert buffer(1, 1, 1).closes(50.0)


def test_it_closes_on_bytes_and_a_message_above_the_limit_is_a_batch_of_its_own() -> None:
    assert not buffer(2047).closes(50.0)
    assert buffer(2048).closes(50.0)
    assert buffer(1_000_000).closes(50.0)


def test_it_closes_on_the_age_of_its_first_message() -> None:
    held = buffer(1)
    held.add(run(message(1)), now=59.0)
    assert not held.closes(59.9)
    assert held.closes(60.0)


def test_closing_begins_the_next_batch_where_this_one_ends() -> None:
    held = buffer(1, 2)
    batch = held.close(107)
    assert (batch.first, batch.next, rows(batch)) == (100, 107, 2)
    assert (held.first, held.rows, held.weight) == (107, 0, 0)
    held.add(run(message(5)), now=70.0)
    assert held.opened == 70.0


def test_what_was_polled_beyond_the_limit_stays_and_gaps_go_with_what_is_before_them() -> None:
    held = Buffer("t", 0, first=100, epoch=1, limits=LIMITS)
    held.add(run(*(message(2, offset) for offset in (100, 101, 102, 110, 111))), now=50.0)
    batch = held.close(120)
    assert (batch.first, batch.next, rows(batch)) == (100, 110, 3)
    assert (held.first, held.rows, held.opened) == (110, 2, 50.0)
    rest = held.close(120)
    assert (rest.first, rest.next, rows(rest)) == (110, 120, 2)


def test_a_batch_ends_with_the_message_that_meets_the_limit_of_bytes() -> None:
    held = Buffer("t", 0, first=0, epoch=1, limits=LIMITS)
    held.add(run(*(message(size, n) for n, size in enumerate((1000, 1000, 5000)))), now=50.0)
    assert offsets(held.close(3)) == [0, 1, 2]
    held = Buffer("t", 0, first=0, epoch=1, limits=LIMITS)
    held.add(run(*(message(size, n) for n, size in enumerate((5000, 1, 1)))), now=50.0)
    assert offsets(held.close(3)) == [0]
    assert (held.first, held.rows) == (1, 2)


def test_batches_that_were_full_before_they_could_be_written_are_cut_as_they_come() -> None:
    held = Buffer("t", 0, first=100, epoch=1, limits=LIMITS)
    held.add(run(*(message(2, offset) for offset in range(100, 102))), now=50.0)
    held.add(run(*(message(2, offset) for offset in range(102, 110))), now=51.0)
    assert (held.rows, held.read, held.opened) == (10, 110, 50.0)
    assert not held.fits(run(message(2, 109)))
    batches = [held.close(112) for _ in range(4)]
    assert [offsets(batch) for batch in batches] == [
        [100, 101, 102], [103, 104, 105], [106, 107, 108], [109],
    ]  # fmt: skip
    assert [(batch.first, batch.next, batch.opened) for batch in batches] == [
        (100, 103, 50.0), (103, 106, 51.0), (106, 109, 51.0), (109, 112, 51.0),
    ]  # fmt: skip
    assert (held.rows, held.weight, held.read) == (0, 0, 112)


def test_a_batch_of_no_message_is_as_old_as_the_word_of_the_end() -> None:
    held = buffer()
    held.ended, held.ended_at = 105, 60.0
    batch = held.close(held.ended)
    assert (batch.first, batch.next, rows(batch), batch.opened) == (100, 105, 0, 60.0)
