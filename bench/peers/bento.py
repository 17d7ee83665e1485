"""Bento: the program is built from its Go module, with the parts that the pipeline needs.

It never ends by itself: it is watched until its files have every event.
"""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import yaml

from bench.content import data_files, file_system
from bench.measure import run
from bench.peers.installing import go_program
from bench.peers.peer import FILES, Job, Say, Target, Timed

_SOURCE = FILES / "bento"
# parquet_encode knows a map's values as text only.
_MAP = """
root.{name} = this.{name}.(p -> if p == null {{ null }} else {{
  p.filter(pair -> pair.value != null).map_each(pair -> pair.value.string())
}})
"""


class Bento:
    """See ``files/bento/bento.yaml`` and this module for the pipeline."""

    name = "bento"
    title = "Bento 1.20.0"
    formats = ("json", "avro")
    targets: tuple[Target, ...] = ("disk", "s3")

    def prepare(self, say: Say) -> None:
        self._program = go_program("bento", say)

    def load(self, job: Job) -> Timed:
        config = job.scratch / "bento.yaml"
        config.write_text(yaml.safe_dump(_pipeline(job), sort_keys=False))
        watch = _Watch(job)
        measured = run(
            [str(self._program), "-c", str(config)],
            env={},
            log=job.log,
            cwd=job.scratch,
            timeout=job.timeout,
            until=watch.is_full,
        )
        # It polls some 0.1 s after its start, which is as good as at once.
        return Timed(measured, measured.began, watch.full_at)


def _pipeline(job: Job) -> dict[str, Any]:
    told = job.document()
    document: dict[str, Any] = yaml.safe_load((_SOURCE / "bento.yaml").read_text())
    document["input"]["kafka_franz"] |= {
        "seed_brokers": [job.servers],
        "topics": [job.topic],
        "consumer_group": f"bento-{uuid.uuid4().hex[:8]}",
    }
    mapping = "root = this\n" + "".join(_MAP.format(name=name) for name in told["maps"])
    processors: list[dict[str, Any]] = []
    if job.format == "avro":
        # avro_raw_json: values as they are, not wrapped in the names of their types.
        processors.append({"schema_registry_decode": {"url": job.registry, "avro_raw_json": True}})
    else:
        mapping += "root.time = this.time.ts_unix_micro()\n"
    columns: list[dict[str, Any]] = [
        *({"name": name, "type": "INT64"} for name in (*told["ids"], told["time"])),
        *({"name": name, "type": "UTF8", "optional": True} for name in told["texts"]),
        *(
            {
                "name": name,
                "type": "MAP",
                "optional": True,
                "fields": [{"name": "key", "type": "UTF8"}, {"name": "value", "type": "UTF8"}],
            }
            for name in told["maps"]
        ),
    ]
    encode = {
        "default_compression": "zstd",
        "default_encoding": "PLAIN",
        "schema": columns,
    }
    document["pipeline"]["processors"] = [
        *processors,
        {"mapping": mapping},
        {"parquet_encode": encode},
    ]
    name = "part-${! uuid_v4() }.parquet"
    document["output"] = (
        {"file": {"path": f"{job.folder}/{name}", "codec": "all-bytes"}}
        if job.target == "disk"
        else {
            "aws_s3": {
                "bucket": job.s3.bucket,
                "path": f"{job.folder}/{name}",
                "endpoint": job.s3.endpoint_url,
                "region": job.s3.region,
                "force_path_style_urls": True,
                "credentials": {
                    "id": job.s3.access_key_id,
                    "secret": job.s3.secret_access_key,
                },
            }
        }
    )
    return document


class _Watch:
    """Counts the rows of the files that are there."""

    def __init__(self, job: Job) -> None:
        self.full_at = 0.0
        self._events = job.events
        self._rows: dict[str, int] = {}
        self._files: pafs.FileSystem = (
            pafs.LocalFileSystem() if job.target == "disk" else file_system(job.s3)
        )
        self._folder = job.folder if job.target == "disk" else f"{job.s3.bucket}/{job.folder}"

    def is_full(self) -> bool:
        """Whether they have every event; sets ``full_at`` when they do."""
        now = time.time()
        for info in data_files(self._files, self._folder):
            # A file that is still being written has no footer yet.
            if info.path not in self._rows:
                with (
                    suppress(OSError, pa.ArrowException),
                    self._files.open_input_file(info.path) as file,
                ):
                    self._rows[info.path] = pq.ParquetFile(file).metadata.num_rows
        if sum(self._rows.values()) < self._events:
            return False
        self.full_at = now
        return True
