"""When a worker is started again: twice as late each time, never all at once, not for ever if bounded."""

from __future__ import annotations

import random

import pytest

from loader.consumer.restarts import Policy, Restarts


def test_each_failure_in_a_row_doubles_the_delay_up_to_the_cap() -> None:
    restarts = Restarts(Policy(first_delay=1.0, max_delay=30.0), random.Random(1))
    for full in [1, 2, 4, 8, 16, 30, 30, *[30] * 2000]:
        delay = restarts.failed(ran=0.5)
        assert delay is not None
        assert full / 2 <= delay <= full


def test_workers_that_failed_together_do_not_come_back_together() -> None:
    policy = Policy()
    delays = {Restarts(policy, random.Random(seed)).failed(0.0) for seed in range(20)}
    assert len(delays) == 20


def test_a_healthy_minute_forgets_what_was_before() -> None:
    restarts = Restarts(Policy(healthy=60.0), random.Random(1))
    for _ in range(8):
        restarts.failed(ran=59.9)
    delay = restarts.failed(ran=60.0)
    assert delay is not None
    assert delay <= 1.0


@pytest.mark.parametrize("ran", [0.0, 59.0])
def test_a_bounded_run_gives_up(ran: float) -> None:
    restarts = Restarts(Policy(attempts=3), random.Random(1))
    assert restarts.failed(ran) is not None
    assert restarts.failed(ran) is not None
    assert restarts.failed(ran) is None
