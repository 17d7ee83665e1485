"""What a peer is: something that loads a whole topic into Parquet files and then says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from bench.measure import Measured, RunFailed, run
from loader.codec.fields import EVENTS
from loader.codec.schemas import schema_directory
from loader.local.environment import S3Environment

Target = Literal["disk", "s3"]
Say = Callable[[str], None]

FILES = Path(__file__).parent / "files"
JOBS = Path(__file__).parent / "jobs"


class NotMeasurable(Exception):
    """A peer cannot run on this machine; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Job:
    """One load of a topic.

    Attributes:
        servers: Kafka's bootstrap servers.
        topic: the topic, of four partitions.
        format: ``json`` or ``avro`` (Confluent frame, schema id 1).
        events: messages in the topic.
        target: where files go to.
        folder: a new folder for the files: a path, or the key prefix in the bucket.
        s3: the stack's S3.
        registry: URL of a schema registry that knows schema 1.
        scratch: a new folder for whatever else the peer writes.
        log: takes the peer's stderr.
    """

    servers: str
    topic: str
    format: str
    events: int
    target: Target
    folder: str
    s3: S3Environment
    registry: str
    scratch: Path
    log: Path

    @property
    def timeout(self) -> float:
        """Seconds after which a system counts as stuck: ten times what the slowest one takes."""
        return 600 + self.events / 1000

    def document(self) -> dict[str, Any]:
        """What a job script is told, secrets of the local stack included."""
        return {
            "servers": self.servers,
            "topic": self.topic,
            "partitions": 4,
            "format": self.format,
            "events": self.events,
            "target": self.target,
            "folder": self.folder,
            "bucket": self.s3.bucket,
            "endpoint": self.s3.endpoint_url,
            "access_key": self.s3.access_key_id,
            "secret_key": self.s3.secret_access_key,
            "region": self.s3.region,
            "registry": self.registry,
            "schema": (schema_directory() / "event.avsc").read_text(encoding="utf-8"),
            "scratch": str(self.scratch),
            "ids": EVENTS.ids,
            "time": EVENTS.time,
            "texts": EVENTS.texts,
            "maps": EVENTS.maps,
        }


@dataclass(frozen=True, slots=True)
class Timed:
    """A finished job.

    Attributes:
        measured: its processes.
        started: when it began to consume, seconds since the epoch.
        ended: when its last file stood.
    """

    measured: Measured
    started: float
    ended: float

    @property
    def steady(self) -> float:
        """Seconds from the first poll to the last file."""
        return self.ended - self.started

    @property
    def with_start_up(self) -> float:
        """Seconds from the start of the process to the last file."""
        return self.ended - self.measured.began


class Peer(Protocol):
    """A system to compare with."""

    @property
    def name(self) -> str:
        """What ``--peers`` calls it."""

    @property
    def title(self) -> str:
        """Name and version, for the table."""

    @property
    def formats(self) -> tuple[str, ...]:
        """Which of ``json`` and ``avro`` it can read."""

    @property
    def targets(self) -> tuple[Target, ...]:
        """Where it can write to."""

    def prepare(self, say: Say) -> None:
        """Install it, once per machine.

        Raises:
            NotMeasurable: it cannot be had here.
        """

    def load(self, job: Job) -> Timed:
        """Run one job.

        Raises:
            RunFailed: it failed.
        """


@dataclass(frozen=True, slots=True)
class Script:
    """A job script: told its job by the file that ``$BENCH_JOB`` names, it prints one line of JSON:
    ``{"started": .., "ended": ..}``, seconds since the epoch.

    It may print that line more than once (one a process): the first start and the last end count.

    Attributes:
        argv: interpreter and script.
        env: its environment.
        more: added to the job's document.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    def run(self, job: Job) -> Timed:
        """Run it to its end.

        Raises:
            RunFailed: it failed, or said nothing.
        """
        path = job.scratch / "job.json"
        path.write_text(json.dumps({**job.document(), **self.more}))
        measured = run(
            self.argv,
            env={**self.env, "BENCH_JOB": str(path)},
            log=job.log,
            cwd=job.scratch,
            timeout=job.timeout,
        )
        spans = [json.loads(line) for line in measured.output.splitlines() if _is_span(line)]
        if not spans:
            raise RunFailed(f"it did not say when it started and ended:\n{measured.output[-2000:]}")
        return Timed(measured, min(s["started"] for s in spans), max(s["ended"] for s in spans))


def _is_span(line: str) -> bool:
    return line.startswith('{"started"')
