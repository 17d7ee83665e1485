"""Metrics and health over HTTP."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request

import pytest

from loader import config, metrics
from loader.consumer.overview import LOOP_SECONDS, Overview
from loader.consumer.progress import Progress
from loader.consumer.reports import Report
from loader.consumer.serving import served
from loader.errors import UsageError
from loader.metrics import Samples

ANY_PORT = config.Consumer(metrics_port=0)


def get(port: int | None, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_metrics_and_checks_are_served() -> None:
    clock = Clock()
    overview = Overview(1, clock=clock)
    samples = Samples()
    samples.add(metrics.RECORDS, "t", "written", amount=12)
    with served(ANY_PORT, overview) as port:
        assert get(port, "/readyz")[0] == 503
        overview.reported(
            0, Report(Progress(), samples=samples.snapshot(), joined=True, polled=1000.0)
        )
        assert get(port, "/readyz")[0] == 200
        assert get(port, "/healthz")[0] == 200
        status, text = get(port, "/metrics")
        assert status == 200
        assert 'heap_loader_records_total{outcome="written",topic="t"} 12.0' in text
        clock.now += 2 * LOOP_SECONDS
        status, text = get(port, "/healthz")
        assert status == 503
        assert json.loads(text)["workers"][0]["alive"] is False
        assert get(port, "/other")[0] == 404


def test_nothing_is_served_unless_asked_for() -> None:
    with served(config.Consumer(), Overview(1)) as port:
        assert port is None


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = config.Consumer(metrics_port=port)
        with pytest.raises(UsageError, match=rf"127\.0\.0\.1:{port}: Address already in use"):
            served(settings, Overview(1)).__enter__()
