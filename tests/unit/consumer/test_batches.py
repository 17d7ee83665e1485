"""When a batch closes: rows, bytes or age, whichever comes first; and what it covers."""

from __future__ import annotations

from confluent_kafka import Message

from loader import config
from loader.consumer.batches import Buffer

LIMITS = config.Batch(max_rows=3, max_bytes=2048, max_age=10.0)


def message(size: int) -> Message:
    return Message(topic="t", partition=0, offset=0, key=b"k", value=b"x" * size)


def buffer(*sizes: int) -> Buffer:
    made = Buffer("t", 0, first=100, epoch=1)
    for size in sizes:
        made.add(message(size), now=50.0)
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
    held.add(message(1), now=59.0)
    assert not held.closes(LIMITS, now=59.9)
    assert held.closes(LIMITS, now=60.0)


def test_closing_begins_the_next_batch_where_this_one_ends() -> None:
    held = buffer(1, 2)
    batch = held.close(107)
    assert (batch.first, batch.next, len(batch.messages), batch.bytes) == (100, 107, 2, 3)
    assert (held.first, held.messages, held.bytes) == (107, [], 0)
    held.add(message(5), now=70.0)
    assert held.opened == 70.0
