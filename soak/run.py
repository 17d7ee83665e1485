"""One run: the stack, the traffic, the faults, the end, and the checks."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import tomli_w

from loader.local.object_server import BUCKET
from soak.count import compare
from soak.lake import read_kafka, read_lake, read_letters
from soak.ledger import Ledger
from soak.options import Options
from soak.requests import RECORD
from soak.stack import READERS, SoakStack, quiet
from soak.strikes import Strikes
from soak.summary import summarise
from soak.traffic import produce
from soak.workers import Worker

Tell = Callable[[str], None]

#: Seconds without a commit record, though there is something to read, that are a finding.
_STALLED: Final = 180.0
_LINE_SECONDS: Final = 10.0
#: Seconds in which the traffic of one fault comes though the fault is not over.
_TRICKLE: Final = 20.0
_CATCH_UP_WITHIN: Final = 900.0


def soak(options: Options, folder: Path, tell: Tell) -> dict[str, Any]:
    """Do it all; returns the summary, whose ``ok`` is the verdict."""
    return _Run(options, folder, tell).all()


class _Run:
    def __init__(self, options: Options, folder: Path, tell: Tell) -> None:
        self._options = options
        self._folder = folder
        self._began = time.monotonic()
        self._told = tell
        self._stack = SoakStack(folder / "stack", options)
        (folder / "workers").mkdir(parents=True, exist_ok=True)
        self._workers: list[Worker] = []
        self._strikes = Strikes(options, self._stack, self._workers, self._tell)
        self._findings: list[str] = []
        self._seconds: dict[str, float] = {}

    def all(self) -> dict[str, Any]:
        try:
            with self._phase("start"):
                self._stack.up()
                self._workers += [self._worker(n) for n in range(self._options.workers)]
            ledger = self._faulty_time()
            with self._phase("catch up"):
                self._catch_up()
            with self._phase("verify"):
                verified = self._verify()
            with self._phase("count"):
                return self._count(ledger, verified)
        finally:
            for worker in self._workers:
                worker.abandon()
            self._stack.down()

    def _tell(self, text: str) -> None:
        self._told(f"{time.monotonic() - self._began:6.1f} s  {text}")

    def _worker(self, number: int) -> Worker:
        return Worker(
            number,
            self._folder / "workers",
            self._stack.settings(number),
            self._options,
            self._stack.outages.touch,
            self._tell,
        )

    # Phases

    def _faulty_time(self) -> Path:
        """Traffic, workers and faults until both traffic and faults are over."""
        context = multiprocessing.get_context("spawn")
        allowed, sent = context.Value("q", 0), context.Value("q", 0)
        ledger = self._folder / "ledger.npz"
        producer = context.Process(
            target=produce,
            args=(self._options, self._stack.bootstrap_servers, allowed, sent, ledger),
            daemon=True,
        )
        with self._phase("faults"):
            producer.start()
            try:
                for worker in self._workers:
                    worker.start()
                allowed.value = self._options.events // 20
                self._strikes.start()
                begun = time.monotonic()
                while producer.is_alive() or not self._strikes.over:
                    allowed.value = self._allowance(time.monotonic() - begun)
                    self._strikes.dry = not producer.is_alive()
                    self._watch(sent.value)
                    time.sleep(0.25)
            finally:
                producer.kill()
                producer.join(20)
            if producer.exitcode != 0:
                raise RuntimeError("the producer failed: see above")
        return ledger

    def _allowance(self, seconds: float) -> int:
        """Messages that may have been sent by now: traffic must last as long as the faults do."""
        # A fault may be waiting for a worker that has work: some must come meanwhile.
        waited = (time.monotonic() - self._strikes.ended) / _TRICKLE
        struck = (len(self._strikes.done) + 1 + waited) / (self._strikes.planned + 1)
        share = min(seconds / self._options.seconds, struck)
        return int(self._options.events * share) if share < 1.0 else sys.maxsize

    def _catch_up(self) -> None:
        """The proxies harm nothing any more; every worker ends by itself."""
        for route in (*self._stack.s3_routes, *self._stack.kafka_routes):
            quiet(route)
        threads = [threading.Thread(target=worker.finish) for worker in self._workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until = time.monotonic() + _CATCH_UP_WITHIN
        for worker in self._workers:
            worker.join(until - time.monotonic())

    def _verify(self) -> dict[str, Any]:
        config = self._folder / "direct.toml"
        config.write_text(tomli_w.dumps(self._stack.settings(None)))
        config.chmod(0o600)
        command = [sys.executable, "-c", "from loader.cli import main; main()"]
        command += ["--config", str(config), "lake", "verify", "--deep", "--json"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode not in {0, 3}:
            self._findings.append(
                f"lake verify ended with {done.returncode}: {done.stderr[-2000:]}"
            )
            return {"ok": False}
        verified: dict[str, Any] = json.loads(done.stdout)
        verified.pop("partitions")
        return verified

    def _count(self, path: Path, verified: dict[str, Any]) -> dict[str, Any]:
        ledger = Ledger.load(path)
        topics = {f"soak.{key}": self._options.partitions for key in READERS}
        kafka = read_kafka(self._stack.bootstrap_servers, topics)
        lake = read_lake(self._stack.s3(), BUCKET, "soak", list(kafka))
        names = self._stack.settings(None)["topics"]
        letters = read_letters(self._stack.bootstrap_servers, names["dead_letters"]["name"])
        counted = compare(ledger, kafka, lake, letters)
        return summarise(
            self._options,
            self._stack,
            self._workers,
            self._strikes,
            counted,
            lake,
            verified,
            self._findings,
            self._seconds,
        )

    # Watching

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        self._tell(f"{name} ...")
        begun = time.monotonic()
        self._shown, self._progressed = begun, begun
        yield
        self._seconds[name] = round(time.monotonic() - begun, 1)

    def _watch(self, sent: int) -> None:
        now = time.monotonic()
        routes = self._stack.s3_routes
        last = max((route.last_done.get(RECORD, 0.0) for route in routes), default=0.0)
        quiet_for = now - max(last, self._progressed)
        if quiet_for > _STALLED and not self._stack.outages.touch(_STALLED):
            threads = "\n".join(worker.show_threads() for worker in self._workers)
            self._findings.append(f"no batch was committed for {quiet_for:.0f} s\n{threads}")
            self._tell(f"FINDING: no batch was committed for {quiet_for:.0f} s")
            self._progressed = now
        if now - self._shown >= _LINE_SECONDS:
            self._shown = now
            starts = sum(worker.starts for worker in self._workers)
            self._tell(
                f"{sent:,} messages sent, {self._strikes.committed:,} batches, "
                f"{len(self._strikes.done)} of {self._strikes.planned} faults, {starts} starts"
            )
