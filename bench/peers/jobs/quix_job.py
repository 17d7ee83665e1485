"""Quix Streams application: a topic to Parquet. Told its job in $BENCH_JOB.

Its Parquet format derives the schema from the rows, which would make a map a struct of all keys seen:
properties are therefore JSON text. It has no partitioning by a column: folders are Kafka's partitions.
"""

import json
import os
import time

from columns import decode_json, job, with_json_maps
from quixstreams import Application
from quixstreams.models.serializers.avro import AvroDeserializer
from quixstreams.models.serializers.base import Deserializer
from quixstreams.sinks.community.file.formats import ParquetFormat
from quixstreams.sinks.community.file.local import LocalFileSink
from quixstreams.sinks.community.file.s3 import S3FileSink

ROWS_PER_BATCH = 100_000


class Json(Deserializer):
    """orjson, which is several times faster than the deserializer that Quix brings."""

    def __call__(self, value, ctx):  # noqa: ARG002 - the base
        return decode_json(value)


class FramedAvro(AvroDeserializer):
    """Quix's own Avro, behind five bytes of Confluent's frame."""

    def __call__(self, value, ctx):
        return super().__call__(value[5:], ctx)


class Columns(ParquetFormat):
    """Quix's own format with every column in every file, also those that no row of it fills."""

    def serialize(self, batch):
        first = next(iter(batch)).value
        for name in (*job["ids"], job["time"], *job["texts"], *job["maps"]):
            first.setdefault(name, None)
        return super().serialize(batch)


app = Application(
    job["servers"],
    consumer_group=f"quix-{time.time()}",
    auto_offset_reset="earliest",
    auto_create_topics=False,
    # A sink writes at a commit: so many rows a file (of each partition), and no commit by time.
    commit_every=ROWS_PER_BATCH,
    commit_interval=1e6,
    loglevel="WARNING",
    state_dir=job["scratch"],
    consumer_extra_config={
        "check.crcs": False,
        "queued.min.messages": 300_000,
        "fetch.message.max.bytes": 8 << 20,
    },
)
topic = app.topic(
    job["topic"],
    key_deserializer="bytes",
    value_deserializer=(
        Json() if job["format"] == "json" else FramedAvro(json.loads(job["schema"]))
    ),
)
parquet = Columns(compression="zstd")
if job["target"] == "disk":
    # Quix refuses folders with a "-" in the path, so ours is named from here.
    sink = LocalFileSink(directory=os.path.relpath(job["folder"]), format=parquet)
else:
    sink = S3FileSink(
        bucket=job["bucket"],
        directory=job["folder"],
        format=parquet,
        region_name=job["region"],
        aws_access_key_id=job["access_key"],
        aws_secret_access_key=job["secret_key"],
        endpoint_url=job["endpoint"],
    )
app.dataframe(topic).apply(with_json_maps).sink(sink)

started = time.time()
app.run(count=job["events"], collect=False)
print(json.dumps({"started": started, "ended": time.time()}), flush=True)
