"""All workers at one glance, whatever became of each."""

from __future__ import annotations

from loader import metrics
from loader.consumer.overview import LOOP_SECONDS, Overview
from loader.consumer.progress import Progress, Target
from loader.consumer.reports import Report
from loader.metrics import Samples


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def report(read: int, **fields: object) -> Report:
    return Report(progress=Progress(read=read, written=read, requests=1), **fields)  # type: ignore[arg-type]


def test_what_was_done_is_the_sum_over_workers_and_their_former_lives() -> None:
    overview = Overview(2)
    overview.started(0)
    overview.started(1)
    overview.reported(0, report(5, started=10.0, wrote=12.0))
    overview.reported(0, report(7, started=10.0, wrote=13.0))
    overview.reported(1, report(100, started=11.0, wrote=20.0))
    overview.ended(0)
    overview.started(0)
    overview.reported(0, report(30, started=15.0, wrote=18.0))
    total = overview.progress()
    assert (total.read, total.written, total.requests) == (137, 137, 3)
    assert total.seconds == 10.0
    overview.ended(0)
    overview.ended(1)
    assert overview.progress() == total


def test_nothing_was_done_in_no_time() -> None:
    overview = Overview(1)
    assert overview.progress() == Progress()
    overview.started(0)
    overview.reported(0, report(0, started=10.0))
    assert overview.progress().seconds == 0.0


def test_a_bounded_run_ends_when_every_partition_was_seen_at_the_target_by_somebody() -> None:
    overview = Overview(2, Target({("t", 0): 5, ("t", 1): 6, ("u", 0): 0}))
    assert overview.missing() == [("t", 0), ("t", 1), ("u", 0)]
    overview.reported(0, report(5, reached=(("t", 0),)))
    overview.ended(0)
    overview.reported(1, report(5, reached=(("u", 0),)))
    assert overview.missing() == [("t", 1)]
    assert not overview.caught_up
    overview.reported(1, report(5, reached=(("t", 1), ("u", 0))))
    assert overview.caught_up


def test_a_run_without_an_end_never_catches_up() -> None:
    overview = Overview(1)
    overview.reported(0, report(5))
    assert not overview.caught_up
    assert overview.missing() == []


def test_a_worker_is_healthy_while_its_loop_goes_round() -> None:
    clock = Clock()
    overview = Overview(2, clock=clock)
    overview.started(0)
    overview.started(1)
    clock.now += 2 * LOOP_SECONDS - 1
    assert overview.health()[0], "they have had time to start"
    overview.reported(0, report(1, polled=clock.now))
    clock.now += 2
    ok, workers = overview.health()
    assert not ok
    assert [worker["alive"] for worker in workers] == [True, False]
    # A report alone is no life: the loop behind it hangs.
    overview.reported(1, report(1, polled=1001.0))
    assert not overview.health()[0]
    overview.reported(1, report(1, polled=clock.now))
    assert overview.health()[0]


def test_a_worker_that_waits_to_be_started_again_is_no_hung_one() -> None:
    clock = Clock()
    overview = Overview(1, clock=clock)
    overview.started(0)
    clock.now += 500
    overview.ended(0)
    clock.now += 30
    assert overview.health()[0]
    assert not overview.readiness()[0]


def test_ready_is_when_all_have_joined_and_run() -> None:
    overview = Overview(2)
    overview.reported(0, report(0, joined=True))
    assert not overview.readiness()[0]
    overview.reported(1, report(0, joined=True))
    assert overview.readiness()[0]
    overview.ended(1)
    assert not overview.readiness()[0]


def test_metrics_outlive_a_worker_but_its_gauges_do_not() -> None:
    clock = Clock()
    overview = Overview(2, clock=clock)
    one, two = Samples(), Samples()
    one.set(metrics.DURABLE_OFFSET, 5, "t", "0")
    one.add(metrics.S3_REQUESTS, "PutObject", amount=3)
    two.set(metrics.DURABLE_OFFSET, 8, "t", "1")
    two.add(metrics.S3_REQUESTS, "PutObject", amount=4)
    overview.started(0)
    overview.started(1)
    overview.reported(0, report(0, samples=one.snapshot()))
    overview.reported(1, report(0, samples=two.snapshot()))
    overview.ended(0)
    overview.restarting(0, "signal")
    found = {(name, *labels): value for name, labels, value in overview.samples()}
    assert ("durable_offset", "t", "0") not in found
    assert found["durable_offset", "t", "1"] == 8
    assert found["s3_requests_total", "PutObject"] == 7
    assert found["worker_restarts_total", "0", "signal"] == 1
    assert (found["workers",], found["workers_running",]) == (2, 1)


def test_of_two_workers_that_tell_of_one_partition_the_later_word_stands() -> None:
    clock = Clock()
    overview = Overview(2, clock=clock)
    for worker, offset in ((1, 5), (0, 9)):
        samples = Samples()
        samples.set(metrics.DURABLE_OFFSET, offset, "t", "0")
        clock.now += 1
        overview.reported(worker, report(0, samples=samples.snapshot()))
    found = {(name, *labels): value for name, labels, value in overview.samples()}
    assert found["durable_offset", "t", "0"] == 9
