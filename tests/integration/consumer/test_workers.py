"""Several workers, supervised: the real command on a real broker and a real S3 server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from loader.config import Settings
from loader.consumer import app
from loader.consumer.overview import Overview
from loader.consumer.reports import Start
from loader.consumer.restarts import Policy
from loader.consumer.supervisor import Supervisor
from loader.lake.commit_log import commit_log
from loader.lake.s3 import S3Store
from tests.support.kafka import event, produce
from tests.support.lake import assert_each_offset_once, rows
from tests.support.processes import await_end

MESSAGES = 4000
PER_PARTITION = MESSAGES // 4
ENDS = dict.fromkeys(range(4), PER_PARTITION)


class Command:
    """``consume`` as a process; its log is read as it comes."""

    def __init__(
        self, config_file: Path, *arguments: str, env: dict[str, str] | None = None
    ) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from loader.cli import main; main()",
                "--config",
                str(config_file),
                "consume",
                "--json",
                *arguments,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )
        self.lines: list[dict[str, object]] = []
        self.text = ""
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._changed:
                self.text += line
                if line.startswith("{"):
                    self.lines.append(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def await_lines(self, count: int = 1, **wanted: object) -> list[dict[str, object]]:
        """The first ``count`` log lines that hold these values."""

        def found() -> list[dict[str, object]]:
            return [line for line in self.lines if wanted.items() <= line.items()]

        with self._changed:
            self._changed.wait_for(
                lambda: len(found()) >= count or not self._reader.is_alive(), timeout=120
            )
            assert len(found()) >= count, self.text[-4000:]
            return found()[:count]

    def end(self) -> tuple[int, str]:
        """Await the end; status and standard output."""
        assert self.process.stdout is not None
        output = self.process.stdout.read()
        status = self.process.wait(timeout=120)
        self._reader.join(60)
        assert "Traceback" not in self.text, self.text[-4000:]
        assert "Fatal Python error" not in self.text, self.text[-4000:]
        return status, output


@contextmanager
def consuming(
    config_file: Path, *arguments: str, env: dict[str, str] | None = None
) -> Iterator[Command]:
    command = Command(config_file, *arguments, env=env)
    try:
        yield command
    finally:
        # Its workers follow by themselves: one of the tests below holds them to it.
        command.process.kill()
        command.process.wait()


@pytest.fixture
def filled(settings: Settings) -> str:
    """The events' topic, with 1,000 messages in each of its four partitions."""
    topic = settings.topics.events.name
    for partition in range(4):
        numbers = range(partition * PER_PARTITION, (partition + 1) * PER_PARTITION)
        servers = settings.kafka.bootstrap_servers
        produce(servers, topic, [event(n) for n in numbers], partition=partition)
    return topic


def await_lake(settings: Settings, topic: str, ends: dict[int, int]) -> None:
    log = commit_log(S3Store.open(settings.lake))
    pause = threading.Event()
    tails: dict[int, int] = {}
    for _ in range(1200):
        tails = {p: tail.next for p in ends if (tail := log.tail(topic, p)) is not None}
        if tails == ends:
            return
        pause.wait(0.1)
    raise AssertionError(f"the lake did not catch up: {tails}")


def pids(command: Command, count: int = 2) -> list[int]:
    return [int(str(line["pid"])) for line in command.await_lines(count, event="worker started")]


def test_two_workers_read_everything_once_and_report_as_one(
    settings: Settings, config_file: Path, filled: str
) -> None:
    with consuming(config_file, "--workers", "2", "--until-caught-up") as command:
        status, output = command.end()
    assert status == 0, command.text[-4000:]
    done = json.loads(output)
    assert (done["messages"], done["rows"], done["dead_letters"]) == (MESSAGES, MESSAGES, 0)
    store = S3Store.open(settings.lake)
    assert_each_offset_once(store, filled, ENDS)
    # At least a record and a file for each partition, and far less than a request a message.
    assert 8 <= done["requests"] < MESSAGES / 4
    assert done["batches"] >= 4
    assert done["seconds"] > 0
    with consuming(config_file, "--workers", "2", "--until-caught-up") as command:
        status, output = command.end()
    assert status == 0, command.text[-4000:]
    assert json.loads(output)["messages"] == 0
    assert rows(store, filled).num_rows == MESSAGES


def test_sigterm_to_the_supervisor_lets_all_workers_go(
    settings: Settings, config_file: Path, filled: str
) -> None:
    with consuming(config_file, "--workers", "2") as command:
        workers = pids(command)
        command.await_lines(event="assigned", topic=filled)
        command.process.send_signal(signal.SIGTERM)
        status, _ = command.end()
    assert status == 0, command.text[-4000:]
    assert all(await_end(pid, 0) for pid in workers)
    assert "killed" not in command.text
    app.run(settings, until_caught_up=True, stop=threading.Event())
    assert_each_offset_once(S3Store.open(settings.lake), filled, ENDS)


def test_a_killed_worker_is_started_again_and_nothing_is_lost(
    settings: Settings, config_file: Path, filled: str
) -> None:
    small = {"HEAP_LOADER_BATCH__MAX_ROWS": "100", "HEAP_LOADER_BATCH__MAX_AGE": "1s"}
    arguments = ("--workers", "2", "--metrics-port", "0")
    with consuming(config_file, *arguments, env=small) as command:
        (served,) = command.await_lines(event="serving metrics")
        (first,) = command.await_lines(event="batch", topic=filled)
        (victim,) = [
            int(str(line["pid"]))
            for line in command.lines
            if line["event"] == "worker started" and line["worker"] == first["worker"]
        ]
        os.kill(victim, signal.SIGKILL)
        (again,) = command.await_lines(event="worker ended, it is started again")
        assert (again["worker"], again["status"]) == (first["worker"], -signal.SIGKILL)
        pids(command, 3)
        await_lake(settings, filled, ENDS)
        command.await_lines(event="assigned", worker=first["worker"])
        metrics = _metrics(str(served["url"]))
        command.process.send_signal(signal.SIGTERM)
        status, _ = command.end()
    assert status == 0, command.text[-4000:]
    assert_each_offset_once(S3Store.open(settings.lake), filled, ENDS)
    restarts = {"worker": str(first["worker"]), "reason": "signal"}
    assert metrics["worker_restarts_total", *sorted(restarts.items())] == 1


def test_workers_of_a_killed_supervisor_stop_by_themselves(
    settings: Settings, config_file: Path, filled: str
) -> None:
    with consuming(config_file, "--workers", "2") as command:
        workers = pids(command)
        command.await_lines(event="assigned", topic=filled)
        command.process.kill()
        command.process.wait()
        assert all(await_end(pid) for pid in workers)
    app.run(settings, until_caught_up=True, stop=threading.Event())
    assert_each_offset_once(S3Store.open(settings.lake), filled, ENDS)


def test_metrics_say_what_the_lake_says(settings: Settings, config_file: Path, filled: str) -> None:
    quick = {"HEAP_LOADER_BATCH__MAX_AGE": "500ms"}
    arguments = ("--workers", "2", "--metrics-port", "0")
    with consuming(config_file, *arguments, env=quick) as command:
        (served,) = command.await_lines(event="serving metrics")
        await_lake(settings, filled, ENDS)
        url = str(served["url"])
        pause = threading.Event()
        for _ in range(300):
            found = _metrics(url)
            places = [(("partition", str(p)), ("topic", filled)) for p in range(4)]
            durable = [found.get(("durable_offset", *place)) for place in places]
            if durable == [PER_PARTITION] * 4:
                break
            pause.wait(0.1)
        assert durable == [PER_PARTITION] * 4
        assert [found["lag_messages", *place] for place in places] == [0] * 4
        assert [found["lag_seconds", *place] for place in places] == [0] * 4
        written = ("records_total", ("outcome", "written"), ("topic", filled))
        assert found[written] == MESSAGES
        assert found["workers_running",] == 2
        assert json.loads(_get(re.sub("metrics$", "healthz", url)))["ok"] is True
        command.process.send_signal(signal.SIGTERM)
        assert command.end()[0] == 0


def test_two_hosts_with_one_static_id_are_told(config_file: Path, filled: str) -> None:
    """The older one loses its place for good; starting it again would take it back, and so on."""
    same = {"HEAP_LOADER_CONSUMER__STATIC_ID": "host-a"}
    with consuming(config_file, "--workers", "2", env=same) as older:
        older.await_lines(event="assigned", topic=filled)
        with consuming(config_file, "--workers", "2", env=same):
            status, _ = older.end()
    assert status == 2
    assert re.search(r"another consumer (has )?joined group", older.text)
    assert "of its own" in older.text


def test_a_configuration_that_does_not_fit_the_lake_stops_all_at_once(
    settings: Settings, config_file: Path, filled: str
) -> None:
    app.run(settings, until_caught_up=True, stop=threading.Event())
    other = {"HEAP_LOADER_LAKE__BUCKETS": str(settings.lake.buckets + 1)}
    with consuming(config_file, "--workers", "2", env=other) as command:
        status, _ = command.end()
    assert status == 2
    assert "buckets" in command.text.splitlines()[-2]
    assert "started again" not in command.text


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own command's
        return str(answer.read().decode())


def _metrics(url: str) -> dict[tuple[object, ...], float]:
    """Values by name without its prefix and sorted labels."""
    text = _get(url)
    return {
        (sample.name.removeprefix("heap_loader_"), *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_worker_above_its_memory_limit_ends_and_another_one_takes_over(
    settings: Settings, filled: str, tmp_path: Path
) -> None:
    """The first incarnation holds what nobody gives back; its limit and its patience are small."""
    heavy = tmp_path / "heavy"
    program = f"""
import pathlib, sys
from loader.consumer import memory_limit, worker_main
memory_limit._PATIENCE = 0.5
marker = pathlib.Path({str(heavy)!r})
ballast = b"" if marker.exists() else b"x" * (448 << 20)
marker.touch()
sys.exit(worker_main.main(int(sys.argv[2])))
"""
    consumer = settings.consumer.model_copy(update={"memory": 448 << 20, "workers": 1})
    limited = settings.model_copy(update={"consumer": consumer})
    overview = Overview(1)

    def restarts() -> dict[tuple[str, ...], object]:
        return {labels: value for name, labels, value in overview.samples() if "restarts" in name}

    def look() -> None:
        if restarts() and overview.readiness()[0]:
            os.kill(os.getpid(), signal.SIGTERM)

    async def bounded() -> None:
        supervisor = Supervisor(
            1,
            lambda worker, pipe: [sys.executable, "-P", "-c", program, str(worker), str(pipe)],
            lambda worker: Start(worker, limited, None, verbose=False, json_logs=True).encode(),
            overview,
            Policy(first_delay=0.01, stop_timeout=60.0),
            on_progress=look,
        )
        async with asyncio.timeout(100):
            await supervisor.run()

    asyncio.run(bounded())
    assert restarts() == {("0", "memory"): 1}
    app.run(settings, until_caught_up=True, stop=threading.Event())
    assert_each_offset_once(S3Store.open(settings.lake), filled, ENDS)
