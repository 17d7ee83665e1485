"""Bytewax dataflow: a topic to Parquet by a sink of our own. Told its job in $BENCH_JOB.

Bytewax brings no Parquet sink; this one is what its users write: rows gathered, then one file.
"""

import json
import time
from pathlib import Path

import bytewax.operators as op
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from columns import decode, job, schema, with_text_maps

ROWS_PER_FILE = 100_000

if job["target"] == "disk":
    files, root = pafs.LocalFileSystem(), job["folder"]
else:
    files = pafs.S3FileSystem(
        access_key=job["access_key"],
        secret_key=job["secret_key"],
        endpoint_override=job["endpoint"],
        region=job["region"],
    )
    root = f"{job['bucket']}/{job['folder']}"


class Files(StatelessSinkPartition):
    """One worker's files, by date."""

    def __init__(self, worker):
        self._worker = worker
        self._rows = []
        self._files = 0
        self._started = time.time()

    def write_batch(self, items):
        self._rows.extend(items)
        if len(self._rows) >= ROWS_PER_FILE:
            self._flush()

    def close(self):
        self._flush()
        print(json.dumps({"started": self._started, "ended": time.time()}), flush=True)

    def _flush(self):
        by_date = {}
        for row in self._rows:
            by_date.setdefault(row["time"].date(), []).append(row)
        self._rows = []
        for date, rows in by_date.items():
            folder = f"{root}/date={date}"
            if job["target"] == "disk":
                Path(folder).mkdir(parents=True, exist_ok=True)
            pq.write_table(
                pa.Table.from_pylist(rows, schema=schema),
                f"{folder}/{self._worker}-{self._files}.parquet",
                filesystem=files,
                compression="zstd",
                compression_level=1,
            )
            self._files += 1


class Parquet(DynamicSink):
    def build(self, _step_id, worker_index, _worker_count):
        return Files(worker_index)


source = KafkaSource(
    [job["servers"]],
    [job["topic"]],
    tail=False,
    starting_offset=0,
    batch_size=10_000,
    add_config={
        "check.crcs": "false",
        "queued.min.messages": "300000",
        "fetch.message.max.bytes": "8388608",
    },
)
flow = Dataflow("bench")
stream = op.input("in", flow, source)
stream = op.map("decode", stream, lambda message: with_text_maps(decode(message.value)))
op.output("out", stream, Parquet())
