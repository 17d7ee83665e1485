"""Kafka Connect, one standalone worker with two tasks of the Iceberg sink.

A worker never ends by itself: it is watched until a snapshot of the table has every event.
"""

from __future__ import annotations

import json
import re
import uuid
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs

from bench.content import file_system
from bench.measure import RunFailed, run
from bench.peers.installing import free_ports, jars, java_classes, java_home
from bench.peers.peer import Job, Say, Target, Timed
from loader.local.kafka_broker import TopicSpec, create_topics

_WORKER = {
    "key.converter": "org.apache.kafka.connect.storage.StringConverter",
    "offset.flush.interval.ms": "10000",
    "plugin.discovery": "only_scan",
    "consumer.max.poll.records": "10000",
    "consumer.max.partition.fetch.bytes": str(8 << 20),
    "consumer.fetch.max.bytes": str(64 << 20),
    "consumer.check.crcs": "false",
}
_SINK = {
    "connector.class": "org.apache.iceberg.connect.IcebergSinkConnector",
    "tasks.max": "2",
    "consumer.override.auto.offset.reset": "earliest",
    "iceberg.tables": "bench.events",
    "iceberg.catalog.type": "hadoop",
    # How often files are closed and committed: its default, 5 minutes, would be all of a run.
    "iceberg.control.commit.interval-ms": "5000",
    "iceberg.control.commit.timeout-ms": "10000",
}
_TASK_FAILED = "Task threw an uncaught and unrecoverable exception"
_JAVA = ("-Xmx4g", "-XX:+UseParallelGC")
_LOGGING = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config.AbstractConfig=warn",
)


class Connect:
    """See this module for the settings and ``files/connect`` for the table and the Avro converter."""

    name = "connect"
    title = "Kafka Connect 4.3.1, Iceberg sink 1.12.0"
    formats = ("json", "avro")
    targets: tuple[Target, ...] = ("disk", "s3")

    def prepare(self, say: Say) -> None:
        self._java = str(java_home() / "bin" / "java")
        self._jars = jars("connect", say)
        self._own = java_classes("connect", [self._jars])

    def load(self, job: Job) -> Timed:
        warehouse = (
            f"file://{job.folder}"
            if job.target == "disk"
            else f"s3a://{job.s3.bucket}/{job.folder}"
        )
        class_path = f"{self._own}:{self._jars}/*"
        self._create_table(job, warehouse, class_path)
        (port,) = free_ports(1)
        control = f"bench.control.{uuid.uuid4().hex[:8]}"
        create_topics(job.servers, [TopicSpec(control, 1)])
        converter = (
            {
                "value.converter": "org.apache.kafka.connect.json.JsonConverter",
                "value.converter.schemas.enable": "false",
            }
            if job.format == "json"
            else {
                "value.converter": "bench.EventAvroConverter",
                "value.converter.schema": job.document()["schema"],
            }
        )
        worker = {
            **_WORKER,
            **converter,
            "bootstrap.servers": job.servers,
            "listeners": f"http://127.0.0.1:{port}",
            "offset.storage.file.filename": str(job.scratch / "offsets"),
        }
        sink = {
            **_SINK,
            "name": f"bench-{control}",
            "topics": job.topic,
            "iceberg.catalog.warehouse": warehouse,
            "iceberg.control.topic": control,
            **{f"iceberg.hadoop.{key}": value for key, value in _hadoop(job).items()},
        }
        paths = [
            _properties(job.scratch / "worker.properties", worker),
            _properties(job.scratch / "sink.properties", sink),
        ]
        table = _Table(job)
        measured = run(
            [
                self._java,
                *_JAVA,
                *_LOGGING,
                "-cp",
                class_path,
                "org.apache.kafka.connect.cli.ConnectStandalone",
                *paths,
            ],
            env={},
            log=job.log,
            cwd=job.scratch,
            timeout=job.timeout,
            until=table.is_full,
        )
        return Timed(measured, _first_poll(job), table.full_at)

    def _create_table(self, job: Job, warehouse: str, class_path: str) -> None:
        told = job.document()
        run(
            [
                self._java,
                *(f"-D{key}={value}" for key, value in _hadoop(job).items()),
                "-cp",
                class_path,
                "bench.CreateTable",
                warehouse,
                ",".join(told["ids"]),
                told["time"],
                ",".join(told["texts"]),
                ",".join(told["maps"]),
            ],
            env={},
            log=job.log,
            cwd=job.scratch,
        )


def _hadoop(job: Job) -> dict[str, str]:
    return {
        "fs.s3a.endpoint": job.s3.endpoint_url,
        "fs.s3a.endpoint.region": job.s3.region,
        "fs.s3a.access.key": job.s3.access_key_id,
        "fs.s3a.secret.key": job.s3.secret_access_key,
        "fs.s3a.path.style.access": "true",
        "fs.s3a.connection.ssl.enabled": "false",
        "fs.s3a.fast.upload.buffer": "bytebuffer",
    }


def _properties(path: Path, values: dict[str, str]) -> str:
    escaped = (
        f"{key}={value}\n".replace("\\", "\\\\").replace("\n", "\\n").removesuffix("\\n") + "\n"
        for key, value in values.items()
    )
    path.write_text("".join(escaped))
    return str(path)


class _Table:
    """The table's metadata, as the sink writes it."""

    def __init__(self, job: Job) -> None:
        self.full_at = 0.0
        self._events = job.events
        self._log = job.log
        self._files: pafs.FileSystem = (
            pafs.LocalFileSystem() if job.target == "disk" else file_system(job.s3)
        )
        root = job.folder if job.target == "disk" else f"{job.s3.bucket}/{job.folder}"
        self._folder = f"{root}/bench/events/metadata"

    def is_full(self) -> bool:
        """Whether the current snapshot has every event; sets ``full_at`` to its time if so.

        Raises:
            RunFailed: a task has failed. The worker would go on without it.
        """
        if _TASK_FAILED in (log := self._log.read_text(errors="replace")):
            raise RunFailed("a task failed:\n" + log[log.index(_TASK_FAILED) :][:3000])
        # Metadata may be half written, or another version by the time that it is read.
        with suppress(OSError, ValueError):
            snapshot = self._current()
            if snapshot and int(snapshot["summary"].get("total-records", 0)) >= self._events:
                self.full_at = snapshot["timestamp-ms"] / 1000
                return True
        return False

    def _current(self) -> dict[str, Any] | None:
        hint = self._read("version-hint.text")
        document = json.loads(self._read(f"v{int(hint)}.metadata.json"))
        return next(
            (
                s
                for s in document.get("snapshots", [])
                if s["snapshot-id"] == document.get("current-snapshot-id")
            ),
            None,
        )

    def _read(self, name: str) -> bytes:
        with self._files.open_input_file(f"{self._folder}/{name}") as file:
            content: bytes = file.read()
            return content


def _first_poll(job: Job) -> float:
    """When a consumer of the topic was given its first position, from the worker's log."""
    pattern = re.compile(rf"(\S+) .*Resetting offset for partition {re.escape(job.topic)}-")
    for line in job.log.read_text(errors="replace").splitlines():
        if match := pattern.search(line):
            return datetime.strptime(match.group(1), "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
    raise RunFailed("the worker's log does not say when it began to consume.")
