"""Letters as they are read back: what is one, which are copies, which are meant, what a marker says."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from loader.deadletters.letters import (
    Catalogue,
    Content,
    Filters,
    Letter,
    Marker,
    Origin,
    Place,
    headers_again,
    marked,
    moment,
    parse,
    summary,
    where,
)
from loader.errors import UsageError
from loader.kafka.dead_letters import DeadLetter

WRITTEN = DeadLetter(
    topic="heap.events",
    partition=2,
    offset=4711,
    key=b"17",
    value=b"{}",
    headers=[("trace", b"abc"), ("empty", None), ("trace", b"again")],
    reason="missing_field",
    error="event_id is missing",
    time_ms=1_700_000_000_123,
)


def headers(letter: DeadLetter) -> list[tuple[str, bytes | None]]:
    """As Kafka gives them back: bytes."""
    return [(n, v.encode() if isinstance(v, str) else v) for n, v in letter.all_headers()]


def read(letter: DeadLetter) -> tuple[Letter, Content] | None:
    return parse(Place(0, 5), 1_700_000_001_000, letter.key, letter.value, headers(letter))


def some(offset: int, place: Place, topic: str = "heap.events") -> Letter:
    return Letter(Origin(topic, 0, offset), place, "bad_time", "no time", 1000 * offset, 0, 10)


def test_what_is_written_is_read_back() -> None:
    found = read(WRITTEN)
    assert found is not None
    letter, content = found
    assert letter == Letter(
        origin=Origin("heap.events", 2, 4711),
        place=Place(0, 5),
        reason="missing_field",
        error="event_id is missing",
        time_ms=1_700_000_000_123,
        written_ms=1_700_000_001_000,
        size=4,
    )
    assert content == Content(b"17", b"{}", WRITTEN.headers)


def test_a_message_that_was_a_letter_itself_keeps_its_own_headers() -> None:
    own = [("dl-topic", b"elsewhere"), ("dl-offset", b"not a number")]
    found = read(replace(WRITTEN, headers=own))
    assert found is not None
    assert found[0].origin == Origin("heap.events", 2, 4711)
    assert found[1].headers == own


@pytest.mark.parametrize(
    "spoilt",
    [
        {"dl-topic": b"../../lake"},
        {"dl-topic": b".."},
        {"dl-topic": b"a\nb"},
        {"dl-partition": b"-1"},
        {"dl-offset": b"12x"},
        {"dl-offset": b"9" * 40},
        {"dl-offset": b"1\n"},
        {"dl-time": b""},
        {"dl-reason": None},
    ],
)
def test_what_is_no_letter_is_none(spoilt: dict[str, bytes | None]) -> None:
    changed = [(name, spoilt.get(name, value)) for name, value in headers(WRITTEN)]
    assert parse(Place(0, 0), 0, None, b"x", changed) is None
    assert parse(Place(0, 0), 0, None, b"x", []) is None


def test_a_message_without_a_time_meets_no_bound_of_time() -> None:
    found = read(replace(WRITTEN, time_ms=-1))
    assert found is not None
    assert Filters().match(found[0])
    assert not Filters(since_us=0).match(found[0])
    assert not Filters(until_us=1 << 60).match(found[0])


def test_filters_hold_together() -> None:
    found = read(WRITTEN)
    assert found is not None
    letter = found[0]
    us = letter.time_ms * 1000
    at = letter.origin.offset
    every = Filters("heap.events", 2, "missing_field", us, us + 1, at, at + 1)
    assert every.match(letter)
    for other in (
        {"topic": "heap.user_updates"},
        {"partition": 0},
        {"reason": "bad_time"},
        {"since_us": us + 1},
        {"until_us": us},
        {"from_offset": at + 1},
        {"to_offset": at},
    ):
        assert not replace(every, **other).match(letter)


def test_copies_are_one_message_and_the_last_stands_for_them() -> None:
    catalogue = Catalogue()
    for offset, place in [(7, Place(0, 0)), (8, Place(0, 1)), (7, Place(0, 2))]:
        catalogue.add(some(offset, place))
    catalogue.add(None)
    assert catalogue.strangers == 1
    assert [one.place for one in catalogue.select(Filters())] == [Place(0, 1), Place(0, 2)]
    assert catalogue.copies(Origin("heap.events", 0, 7)) == (Place(0, 0), Place(0, 2))
    (row,) = summary(catalogue.select(Filters()), catalogue)
    assert row == {"topic": "heap.events", "reason": "bad_time", "letters": 2, "copies": 3}


def test_letters_within_a_records_offsets_are_counted_once_each() -> None:
    catalogue = Catalogue()
    for number, offset in enumerate([10, 12, 12, 19, 20]):
        catalogue.add(some(offset, Place(0, number)))
    assert catalogue.between("heap.events", 0, 10, 20) == 3
    assert catalogue.between("heap.events", 1, 10, 20) == 0
    catalogue.add(some(11, Place(0, 9)))
    assert catalogue.between("heap.events", 0, 10, 20) == 4


def test_a_marker_is_found_by_its_key() -> None:
    marker = Marker("heap.events", 2, 4711, 0, 9, "run", "2026-01-31T00:00:00+00:00")
    assert marker.key == "redrive/heap.events/2/00000000000000004711.json"
    assert marked(marker.key) == Origin("heap.events", 2, 4711)
    assert orjson.loads(marker.encode())["sent_offset"] == 9
    assert marked("redrive/README") is None


def test_where_a_message_stood_replaces_what_an_earlier_redrive_said() -> None:
    first = headers_again(Origin("t", 1, 2), Content(None, None, [("trace", b"x")]))
    assert first == [
        ("trace", b"x"),
        ("redrive-topic", b"t"),
        ("redrive-partition", b"1"),
        ("redrive-offset", b"2"),
    ]
    sent = [(name, value if isinstance(value, bytes) else None) for name, value in first]
    again = headers_again(Origin("t", 1, 30), Content(None, None, sent))
    assert again == [*first[:3], ("redrive-offset", b"30")]


def test_places_and_times_of_the_command_line() -> None:
    assert where("0:12") == Place(0, 12)
    assert where("heap.events:3:12") == Origin("heap.events", 3, 12)
    for text in ("12", "a:b", "heap events:0:1", "t:1:2:3", "t:-1:2", ":1:2", "1:2\n"):
        with pytest.raises(UsageError, match="names no letter"):
            where(text)
    assert moment(None, "--since") is None
    assert moment("1970-01-01T00:00:01Z", "--since") == 1_000_000
    with pytest.raises(UsageError, match="--until: 'yesterday' is no time"):
        moment("yesterday", "--until")
