"""A worker's reports: they go on to the end, and nobody works on without them."""

from __future__ import annotations

import threading
from typing import Any

from loader.consumer.member import Reporter
from loader.consumer.memory_limit import MemoryWatch
from loader.consumer.observer import Observer
from loader.consumer.progress import Progress
from loader.consumer.reports import Report


class Machine:
    """Memory and time, set by the test."""

    def __init__(self) -> None:
        self.now = 100.0
        self.resident = 0
        self.kept = 0
        self.trims = 0

    def trim(self) -> None:
        self.resident -= self.kept
        self.kept = 0
        self.trims += 1

    def watch(self, limit: int) -> MemoryWatch:
        return MemoryWatch(
            limit, resident=lambda: self.resident, give_back=self.trim, clock=lambda: self.now
        )


def test_a_worker_above_its_limit_is_told_to_stop_and_reports_to_the_end() -> None:
    machine = Machine()
    watch = machine.watch(500)
    stop = threading.Event()
    sent: list[Report] = []
    first = threading.Event()

    def send(report: Report) -> None:
        sent.append(report)
        machine.now += 31.0
        first.set()

    machine.resident = 501
    observer = Observer(0)
    with Reporter(observer, watch, stop, send) as reporter:
        assert first.wait(10)
        observer.news.set()
        assert stop.wait(10)
    assert reporter.memory_exceeded
    assert len(sent) >= 2


def test_a_worker_that_stops_anyway_did_not_stop_for_its_memory() -> None:
    machine = Machine()
    stop = threading.Event()
    stop.set()
    machine.resident = 501
    watch = machine.watch(500)

    def send(_: Report) -> None:
        machine.now += 31.0

    with Reporter(Observer(0), watch, stop, send) as reporter:
        pass
    assert not reporter.memory_exceeded


def test_a_report_is_not_what_is_still_being_counted() -> None:
    sent: list[Report] = []
    live = Progress(read=5)
    watch = Machine().watch(500)
    with Reporter(Observer(0), watch, threading.Event(), sent.append) as reporter:
        reporter.progressed(live)
        live.read = 9
    assert sent[-1].progress.read == 5


def test_a_worker_does_not_go_on_when_it_cannot_report() -> None:
    stop = threading.Event()

    def send(_: Any) -> None:
        raise RuntimeError("dictionary changed size during iteration")

    with Reporter(Observer(0), Machine().watch(500), stop, send) as reporter:
        assert stop.wait(10)
    assert isinstance(reporter.failure, RuntimeError)
