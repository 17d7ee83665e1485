"""Messages out of the client's objects: whatever is cut and joined again is what was polled."""

from __future__ import annotations

from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st

from loader.consumer.runs import Run

Header = tuple[str, bytes | None]
Row = tuple[bytes | None, bytes | None, list[Header]]

BYTES = st.none() | st.binary(max_size=40)
HEADERS = st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=2)
ROWS = st.lists(st.tuples(BYTES, BYTES, HEADERS), max_size=12)


def polled(rows: list[Row], first: int = 0) -> Run:
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


def rows_of(run: Run) -> list[Row]:
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


@given(st.lists(ROWS, max_size=4), st.data())
def test_pieces_joined_are_the_whole(parts: list[list[Row]], data: st.DataObject) -> None:
    rows = [row for part in parts for row in part]
    starts = [sum(map(len, parts[:n])) for n in range(len(parts))]
    runs = [polled(part, first) for part, first in zip(parts, starts, strict=True)]
    pieces = []
    for run in runs:
        middle = data.draw(st.integers(0, len(run)))
        pieces += [run.slice(0, middle), run.slice(middle, len(run))]
    whole = Run.concat(pieces)
    assert pieces == []
    assert rows_of(whole) == rows
    assert whole.offsets.tolist() == list(range(len(rows)))
    assert whole.values.bounds[0] == 0
    assert not whole.values.source[whole.values.size :].any()
