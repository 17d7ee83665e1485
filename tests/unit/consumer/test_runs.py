"""Messages out of the client's objects: whatever is cut and joined again is what was polled."""

from __future__ import annotations

from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st

from loader.codec.spans import Messages
from loader.consumer.runs import Collected, Run

Header = tuple[str, str | bytes | None]
Row = tuple[bytes | None, bytes | None, list[Header]]

BYTES = st.none() | st.binary(max_size=40)
HEADERS = st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=2)
ROWS = st.lists(st.tuples(BYTES, BYTES, HEADERS), max_size=12)


def polled(rows: list[Row], first: int = 0) -> Run[Messages]:
    return Run.of(
        [
            Message(
                topic="t",
                partition=0,
                offset=first + place,
                key=key,
                value=value,
                headers=headers or None,
                timestamp=(1, 1000 + first + place),
            )
            for place, (key, value, headers) in enumerate(rows)
        ]
    )


def rows_of(run: Run[Messages]) -> list[Row]:
    return [
        (run.keys.value(place), run.values.value(place), list(run.headers.get(place, ())))
        for place in range(len(run))
    ]


@given(ROWS)
def test_null_and_empty_are_told_apart(rows: list[Row]) -> None:
    run = polled(rows, first=7)
    assert rows_of(run) == rows
    assert run.offsets.tolist() == list(range(7, 7 + len(rows)))
    assert run.arrival_ms.tolist() == list(range(1007, 1007 + len(rows)))


@given(st.lists(ROWS.filter(len), max_size=4), st.data())
def test_pieces_collected_are_the_whole(parts: list[list[Row]], data: st.DataObject) -> None:
    rows = [row for part in parts for row in part]
    starts = [sum(map(len, parts[:n])) for n in range(len(parts))]
    held = Collected()
    assert (held.rows, held.read, held.oldest_ms, held.weight) == (0, 0, -1, 0)
    for part, first in zip(parts, starts, strict=True):
        run = polled(part, first)
        middle = data.draw(st.integers(1, len(run)))
        held.add(run.slice(0, middle))
        if middle < len(run):
            held.add(run.slice(middle, len(run)))
        assert (held.rows, held.read, held.oldest_ms) == (
            first + len(part),
            first + len(part),
            1000,
        )
    assert held.bytes == sum(len(value or b"") for _, value, _ in rows)
    whole = held.take()
    assert rows_of(whole) == rows
    assert whole.offsets.tolist() == list(range(len(rows)))
    assert whole.values.bounds[0] == 0
    assert not whole.values.source[whole.values.size :].any()


def test_what_is_collected_outgrows_its_memory_many_times() -> None:
    held = Collected()
    values = [bytes([n]) * 300_000 for n in range(40)]
    for place, value in enumerate(values):
        held.add(polled([(b"k", value, [])], place))
    whole = held.take()
    assert [whole.values.value(place) for place in range(40)] == values
