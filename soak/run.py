"""One run: the stack, the traffic, the faults, the end, and the checks."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import tomli_w

from loader.local.object_server import BUCKET
from soak.count import compare, document
from soak.lake import InLake, read_kafka, read_lake, read_letters
from soak.ledger import Ledger
from soak.options import Options
from soak.proxy import Trap
from soak.requests import RECORD
from soak.schedule import Fault, outages, worker_faults
from soak.stack import READERS, SoakStack, quiet
from soak.traffic import produce
from soak.workers import Worker

Tell = Callable[[str], None]

#: Seconds that a kill waits for its moment, until any will do.
_TRAP_WITHIN: Final = 15.0
#: Seconds that a fault waits for a commit record since the one before it.
_FLOWS_WITHIN: Final = 30.0
#: Share of the planned time between two faults that a late one leaves.
_SPACING: Final = 0.5
#: Seconds without a commit record, though there is something to read, that are a finding.
_STALLED: Final = 90.0
_LINE_SECONDS: Final = 10.0
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
        self._of_workers, self._of_parts = worker_faults(options), outages(options)
        self._done: list[Fault] = []
        self._struck: Counter[str] = Counter()
        self._findings: list[str] = []
        self._seconds: dict[str, float] = {}

    def all(self) -> dict[str, Any]:
        try:
            with self._phase("start"):
                self._stack.up()
                self._workers = [self._worker(n) for n in range(self._options.workers)]
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
                self._await_flow(0, 4 * _FLOWS_WITHIN)
                begun = time.monotonic()
                threads = [
                    threading.Thread(target=self._execute, args=(faults, begun), daemon=True)
                    for faults in (self._of_workers, self._of_parts)
                ]
                for thread in threads:
                    thread.start()
                while producer.is_alive() or any(thread.is_alive() for thread in threads):
                    allowed.value = self._allowance(time.monotonic() - begun)
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
        faults = len(self._of_workers) + len(self._of_parts)
        share = min(seconds / self._options.seconds, (len(self._done) + 1) / (faults + 1))
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
        for worker in self._workers:
            self._findings += worker.findings
        exits = sum((worker.exits for worker in self._workers), Counter[str]())
        if exits["killed"] < self._options.kills:
            self._findings.append(f"only {exits['killed']} of {self._options.kills} kills struck")
        return {
            "ok": counted.ok and bool(verified["ok"]) and not self._findings,
            "lost": counted.lost,
            "twice": counted.twice,
            "count": document(counted),
            "verify": verified,
            "findings": self._findings,
            **self._figures(lake, exits, counted.produced),
            "options": {name: getattr(self._options, name) for name in Options.__slots__},
            "schedule": [fault.document() for fault in (*self._of_workers, *self._of_parts)],
        }

    # Faults

    def _execute(self, faults: list[Fault], begun: float) -> None:
        committed, before, ended = 0, 0.0, begun
        for fault in faults:
            # Behind schedule, faults do not come all at once: between two there is time to work.
            due = max(begun + fault.at, ended + (fault.at - before) * _SPACING)
            time.sleep(max(0.0, due - time.monotonic()))
            # Faults are to meet work; those at any moment may well meet a start.
            if fault.worker >= 0 and fault.where != "any":
                self._await_flow(committed, _FLOWS_WITHIN)
            committed = self._committed()
            try:
                self._strike(fault)
            except Exception as error:  # noqa: BLE001 - the run goes on, and is not ok
                self._findings.append(f"{fault} failed: {type(error).__name__}: {error}")
            self._done.append(fault)
            before, ended = fault.at, time.monotonic()

    def _committed(self) -> int:
        """Commit records that were written while the run looked on."""
        return sum(route.done[RECORD] for route in self._stack.s3_routes)

    def _await_flow(self, committed: int, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._committed() <= committed and time.monotonic() < until:
            time.sleep(0.05)

    def _strike(self, fault: Fault) -> None:
        if fault.kind in {"broker", "s3"}:
            self._tell(f"{fault}")
            self._stack.away(fault.kind, fault.where, fault.seconds)
            self._struck[fault.kind] += 1
            self._tell(f"{fault.kind} is back")
            return
        worker = self._workers[fault.worker]
        worker.wait_alive(60)
        if fault.kind == "freeze":
            struck, where = worker.freeze(fault.seconds), "freeze"
        elif fault.kind == "stop":
            struck, where = worker.stop(), "stop"
        else:
            struck, where = self._kill(worker, fault.where)
        if struck:
            self._struck[where] += 1
        self._tell(
            f"{fault}" + ("" if where in {fault.kind, f"kill {fault.where}"} else f" -> {where}")
        )

    def _kill(self, worker: Worker, where: str) -> tuple[bool, str]:
        """Kill at the moment; returns whether it struck, and when it did in truth."""
        if where != "any":
            moment, request = where.split()
            trap = Trap(request, moment, worker.kill)  # type: ignore[arg-type]
            routes = (self._stack.s3_routes[worker.number], self._stack.kafka_routes[worker.number])
            for route in routes:
                route.trap = trap
            sprung = trap.sprung.wait(_TRAP_WITHIN)
            for route in routes:
                route.trap = None
            if sprung:
                return True, f"kill {where}"
        while not worker.kill():
            worker.wait_alive(60)
        return True, "kill any"

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
            self._findings.append(f"no batch was committed for {quiet_for:.0f} s")
            self._progressed = now
        if now - self._shown >= _LINE_SECONDS:
            self._shown = now
            starts = sum(worker.starts for worker in self._workers)
            faults = len(self._of_workers) + len(self._of_parts)
            self._tell(
                f"{sent:,} messages sent, {self._committed():,} batches, "
                f"{len(self._done)} of {faults} faults, {starts} starts"
            )

    def _figures(
        self, lake: dict[tuple[str, int], InLake], exits: Counter[str], produced: int
    ) -> dict[str, Any]:
        routes = {"s3": self._stack.s3_routes, "kafka": self._stack.kafka_routes}
        busy = self._seconds["faults"] + self._seconds["catch up"]
        kills = {
            k.removeprefix("kill "): n for k, n in self._struck.items() if k.startswith("kill ")
        }
        return {
            "kills": {"total": exits["killed"], "by_moment": dict(sorted(kills.items()))},
            "broker_kills": self._struck["broker"],
            "s3_stops": self._struck["s3"],
            "freezes": self._struck["freeze"],
            "stops": self._struck["stop"],
            "starts": sum(worker.starts for worker in self._workers),
            "exits": dict(sorted(exits.items())),
            "batches": sum(found.batches for found in lake.values()),
            "files": sum(found.files for found in lake.values()),
            "lost_batches": sum(worker.lost_batches for worker in self._workers),
            "retries": sum(worker.said["retry"] for worker in self._workers),
            "requests": {
                name: dict(sorted(sum((route.turns for route in given), Counter[str]()).items()))
                for name, given in routes.items()
            },
            "harmed": {
                name: {
                    f"{fault} {request}": number
                    for (fault, request), number in sorted(
                        sum((r.harmed for r in given), Counter[tuple[str, str]]()).items()
                    )
                }
                for name, given in routes.items()
            },
            "peak_mb": round(max(worker.peak_mb for worker in self._workers), 1),
            "messages_per_second": round(produced / busy),
            "seconds": self._seconds,
        }


__all__ = ["soak"]
