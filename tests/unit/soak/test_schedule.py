"""The faults of a run follow from its seed."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from soak.options import SESSION_SECONDS, Options, parse
from soak.schedule import outages, worker_faults

OPTIONS = Options(kills=100, stops=10, freezes=7, broker_kills=3, s3_stops=4, seconds=500, seed=5)


def test_a_seed_gives_one_schedule() -> None:
    other = Options(kills=100, stops=10, freezes=7, broker_kills=3, s3_stops=4, seconds=500, seed=6)
    assert worker_faults(OPTIONS) == worker_faults(OPTIONS)
    assert worker_faults(OPTIONS) != worker_faults(other)
    assert outages(OPTIONS) == outages(OPTIONS)


def test_it_holds_what_was_asked_for_in_order() -> None:
    faults = worker_faults(OPTIONS)
    assert Counter(fault.kind for fault in faults) == {"kill": 100, "stop": 10, "freeze": 7}
    assert {fault.worker for fault in faults} == {0, 1}
    assert all(0 < before.at < after.at < 500 for before, after in pairwise(faults))
    parts = outages(OPTIONS)
    assert Counter(fault.kind for fault in parts) == {"broker": 3, "s3": 4}
    assert all(before.at < after.at for before, after in pairwise(parts))
    assert {fault.where for fault in parts if fault.kind == "s3"} == {"term", "kill"}


def test_a_hundred_kills_meet_every_moment_of_every_request() -> None:
    wanted = Counter(fault.where for fault in worker_faults(OPTIONS) if fault.kind == "kill")
    assert len(wanted.keys() - {"any", "start"}) == 18
    assert 20 <= wanted["any"] <= 40
    assert 3 <= wanted["start"] <= 20


def test_a_freeze_outlasts_the_session() -> None:
    for fault in worker_faults(OPTIONS):
        assert fault.kind != "freeze" or fault.seconds > SESSION_SECONDS


def test_options_that_were_not_given_follow_from_the_kills() -> None:
    options, _ = parse(["--kills", "31", "--events", "10"])
    assert (options.stops, options.freezes, options.seconds) == (4, 4, 186.0)
