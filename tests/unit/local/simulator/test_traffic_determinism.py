"""Same options, same bytes; a continuation goes on where the run before ended."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from loader.errors import UsageError
from loader.local.simulator import EVENTS, TOPICS, USER_MIGRATIONS, TrafficOptions, generate
from loader.local.simulator.options import Format

SMALL = TrafficOptions(1500, users=200, late=0.1, duplicates=0.1, malformed=0.02)
Sent = dict[str, list[tuple[bytes, bytes | None, int, str | None]]]


def sent(options: TrafficOptions) -> Sent:
    found: Sent = {topic: [] for topic in TOPICS}
    for chunk in generate(options):
        for topic, messages in chunk.topics.items():
            found[topic] += zip(
                messages.keys,
                messages.values,
                messages.arrival_ms.tolist(),
                messages.faults,
                strict=True,
            )
    return found


@pytest.mark.parametrize("kind", ["json", "avro"])
def test_the_same_options_give_the_same_bytes(kind: Format) -> None:
    options = replace(SMALL, format=kind)
    assert sent(options) == sent(options)


def test_another_seed_gives_other_traffic() -> None:
    one, other = sent(SMALL), sent(replace(SMALL, seed=2))
    for topic in TOPICS:
        left, right = (
            {value for _, value, _, fault in run[topic] if fault is None} for run in (one, other)
        )
        assert left
        assert not left & right


@pytest.mark.parametrize("first", [700, 20_000])
def test_a_continuation_and_the_run_before_it_are_one_long_run(first: int) -> None:
    """The parts together are the whole, message for message, across a block's border too."""
    whole = replace(SMALL, events=30_000, days=20.0)
    gap = whole.days / whole.events
    parts = [
        replace(whole, events=count, days=gap * count, skip=skip)
        for skip, count in ((0, first), (first, whole.events - first))
    ]
    together: dict[str, Counter[object]] = {topic: Counter() for topic in TOPICS}
    ids: list[set[int]] = []
    for part in parts:
        for topic, messages in sent(part).items():
            together[topic].update((key, value, fault) for key, value, _, fault in messages)
        events = [
            e for chunk in generate(part) for e in chunk.events.rows()["event_id"].to_pylist()
        ]
        ids.append(set(events))
    assert not ids[0] & ids[1]
    assert [len(found) for found in ids] == [first, whole.events - first]
    for topic, messages in sent(whole).items():
        assert together[topic] == Counter((key, value, fault) for key, value, _, fault in messages)


def test_a_continuation_shows_partly_the_same_people() -> None:
    users = [
        {user for chunk in generate(o) for user in chunk.events.rows()["user_id"].to_pylist()}
        for o in (SMALL, replace(SMALL, skip=1500))
    ]
    assert users[0] & users[1]
    assert users[0] - users[1]


def test_without_merges_there_is_no_migration() -> None:
    assert sent(SMALL)[USER_MIGRATIONS]
    assert not sent(replace(SMALL, merges=0.0))[USER_MIGRATIONS]


def test_messages_come_in_order_of_arrival() -> None:
    arrivals = [arrival for _, _, arrival, _ in sent(replace(SMALL, events=40_000))[EVENTS]]
    assert arrivals == sorted(arrivals)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("events", 0),
        ("users", 0),
        ("skip", -1),
        ("days", 0.0),
        ("late", 1.5),
        ("merges", -0.1),
        ("format", "xml"),
    ],
)
def test_an_option_out_of_range_is_named(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=name):
        replace(SMALL, **{name: value})  # type: ignore[arg-type]
