"""Rates hold, and the traffic looks like people using an app."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from loader.local.simulator import (
    EVENTS,
    USER_MIGRATIONS,
    USER_UPDATES,
    Messages,
    TrafficOptions,
    generate,
)
from loader.model.events import EVENT_COLUMNS

OPTIONS = TrafficOptions(
    32_768, users=500, days=5, late=0.04, duplicates=0.06, malformed=0.03, merges=0.2, updates=0.3
)
HOUR_MS = 3_600_000


@cache
def messages(topic: str) -> tuple[Messages, ...]:
    return tuple(chunk.topics[topic] for chunk in generate(OPTIONS))


@cache
def rows() -> pa.Table:
    return pa.concat_tables([each.rows() for each in messages(EVENTS)])


def test_as_many_distinct_events_as_asked_and_the_noise_on_top() -> None:
    ids = rows()["event_id"]
    distinct = len(set(ids.to_pylist()))
    assert distinct == OPTIONS.events
    assert (len(ids) - distinct) / distinct == pytest.approx(OPTIONS.duplicates, rel=0.15)
    refused = sum(each.refused for each in messages(EVENTS))
    assert refused / distinct == pytest.approx(OPTIONS.malformed, rel=0.15)


def test_copies_are_equal_and_some_come_much_later() -> None:
    first: dict[bytes, int] = {}
    apart: list[int] = []
    for each in messages(EVENTS):
        for value, arrival, fault in zip(
            each.values, each.arrival_ms.tolist(), each.faults, strict=True
        ):
            if fault is None and value is not None:
                if value in first:
                    apart.append(arrival - first[value])
                first.setdefault(value, arrival)
    assert len(first) == OPTIONS.events
    assert sum(gap > HOUR_MS for gap in apart) / len(apart) == pytest.approx(0.45, abs=0.1)


def test_late_events_arrive_hours_after_their_time() -> None:
    delays: list[int] = []
    for each in messages(EVENTS):
        good = each.rows()
        times = good["time"].cast(pa.int64()).to_pylist()
        arrivals = [
            a for a, f in zip(each.arrival_ms.tolist(), each.faults, strict=True) if f is None
        ]
        delays += [a - t // 1000 for a, t in zip(arrivals, times, strict=True)]
    late = sum(delay > HOUR_MS for delay in delays) / len(delays)
    # Half of the copies come late too, and so does what a clock that runs behind says.
    expected = OPTIONS.late + OPTIONS.duplicates / 2
    assert late == pytest.approx(expected, abs=0.025)
    assert min(delays) < -HOUR_MS, "some clocks run ahead"


def test_sessions_begin_with_a_session_event_and_views_know_the_page_before() -> None:
    table = rows().group_by("session_id").aggregate([("time", "min"), ("event_id", "count")])
    started = set(rows().filter(pc.equal(rows()["type"], "session"))["session_id"].to_pylist())
    sessions = set(table["session_id"].to_pylist())
    # A run may begin or end amid a session.
    assert len(started & sessions) / len(sessions) > 0.95
    views = rows().filter(pc.equal(rows()["type"], "pageview"))
    assert 0.2 < views["heap_previous_page"].null_count / len(views) < 0.6
    assert views["path"].null_count == 0


def test_messages_are_as_full_and_as_big_as_real_ones() -> None:
    filled = sum(len(rows()) - rows()[name].null_count for name in EVENT_COLUMNS.names) / len(
        rows()
    )
    assert 24 < filled < 32
    sizes = [len(value) for each in messages(EVENTS) for value in each.values if value]
    assert 650 < sum(sizes) / len(sizes) < 900


def test_merges_make_chains_cycles_and_shared_devices() -> None:
    sent = pa.concat_tables([each.rows() for each in messages(USER_MIGRATIONS)])
    pairs = set(zip(sent["from_user_id"].to_pylist(), sent["to_user_id"].to_pylist(), strict=True))
    targets: defaultdict[int, set[int]] = defaultdict(set)
    for source, target in pairs:
        targets[source].add(target)
    assert any(target in targets for targets_ in targets.values() for target in targets_), "chain"
    assert any((b, a) in pairs for a, b in pairs if a != b), "cycle"
    assert any(len(found) > 1 for found in targets.values()), "shared device"
    known = set(rows()["user_id"].to_pylist())
    assert len({source for source, _ in pairs} & known) / len(pairs) > 0.7


def test_some_user_updates_arrive_after_newer_ones_and_no_two_tie() -> None:
    latest: dict[int, int] = {}
    overtaken = 0
    seen: Counter[tuple[int, int]] = Counter()
    for each in messages(USER_UPDATES):
        good = each.rows()
        for user, time in zip(
            good["user_id"].to_pylist(), good["time"].cast(pa.int64()).to_pylist(), strict=True
        ):
            overtaken += time < latest.get(user, time)
            latest[user] = max(time, latest.get(user, time))
            seen[user, time] += 1
    assert overtaken > 20
    assert max(seen.values()) <= 2  # a copy, never another write


def test_the_funnel_of_the_samples_narrows() -> None:
    table = rows()

    def people(mask: pa.ChunkedArray) -> set[int]:
        return set(table.filter(pc.fill_null(mask, fill_value=False))["session_id"].to_pylist())

    everybody = people(pc.is_valid(table["type"]))
    pricing = people(
        pc.and_(pc.equal(table["type"], "pageview"), pc.equal(table["path"], "/pricing"))
    )
    cta = people(pc.equal(table["target_text"], "Start free trial"))
    bought = people(pc.equal(table["name"], "Purchase"))
    assert len(everybody) > len(pricing) > len(cta) > len(bought) > 20
    assert cta & bought
    assert len(bought - pricing) < len(bought) * 0.4
