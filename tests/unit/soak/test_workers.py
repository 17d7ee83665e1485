"""How the end of a worker is judged."""

from __future__ import annotations

from pathlib import Path

from soak.options import Options
from soak.workers import Worker


def worker(folder: Path, settings: dict[str, object], *, away: bool = False) -> Worker:
    return Worker(0, folder, settings, Options(workers=1), lambda _: away, lambda _: None)


def test_an_end_that_nobody_asked_for_is_a_finding(tmp_path: Path) -> None:
    made = worker(tmp_path, {"kafka": {"bootstrap_server": "x"}})
    made.start()
    assert made.wait_alive(10)
    while not made.exits:
        made.wait_alive(0.1)
    made.abandon()
    assert made.exits["exit 2"] >= 1
    assert "unknown key kafka.bootstrap_server" in made.findings[0]


def test_a_kill_is_none(tmp_path: Path) -> None:
    made = worker(tmp_path, {})
    made.start()
    assert made.wait_alive(10)
    assert made.kill()
    assert not made.kill() or made.starts == 2
    made.abandon()
    assert made.exits["killed"] >= 1
    assert made.findings == []
    assert made.peak_mb > 0
