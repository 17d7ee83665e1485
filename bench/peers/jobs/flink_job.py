"""Flink SQL job: a topic to Parquet by date, parallelism 2. Told its job in $BENCH_JOB."""

import json
import os
import time
from pathlib import Path

from pyflink.common import Configuration
from pyflink.java_gateway import get_gateway
from pyflink.table import EnvironmentSettings, TableEnvironment

job = json.loads(Path(os.environ["BENCH_JOB"]).read_text())
out = (
    f"file://{job['folder']}"
    if job["target"] == "disk"
    else f"s3://{job['bucket']}/{job['folder']}"
)
jars = ";".join(f"file://{jar}" for jar in job["jars"])

settings = {
    "pipeline.jars": jars,
    "pipeline.classpaths": jars,
    "parallelism.default": "2",
    "taskmanager.numberOfTaskSlots": "2",
    "pipeline.object-reuse": "true",
    "table.local-time-zone": "UTC",
    # It would start a failed job again for ever, where this one has to say so.
    "restart-strategy.type": "none",
    # Files are committed at checkpoints.
    "execution.checkpointing.interval": "10s",
    "s3.endpoint": job["endpoint"],
    "s3.endpoint.region": job["region"],
    "s3.access-key": job["access_key"],
    "s3.secret-key": job["secret_key"],
    "s3.path.style.access": "true",
}
configuration = Configuration()
for key, value in settings.items():
    configuration.set_string(key, value)
# A cluster does this at its start; the one inside this process does not, and has no S3 without it.
java = get_gateway().jvm.org.apache.flink
java.core.fs.FileSystem.initialize(
    configuration._j_configuration,
    java.core.plugin.PluginUtils.createPluginManagerFromRootFolder(configuration._j_configuration),
)
tables = TableEnvironment.create(
    EnvironmentSettings.new_instance().with_configuration(configuration).in_streaming_mode().build()
)

names = [*job["ids"], job["time"], *job["texts"], *job["maps"]]
types = {
    **dict.fromkeys(job["ids"], "BIGINT NOT NULL"),
    job["time"]: "TIMESTAMP_LTZ(6) NOT NULL",
    **dict.fromkeys(job["texts"], "STRING"),
    **dict.fromkeys(job["maps"], "MAP<STRING NOT NULL, STRING>"),
}


def options(values):
    """As SQL."""
    quoted = {key: value.replace("'", "''") for key, value in values.items()}
    return ", ".join(f"'{key}' = '{value}'" for key, value in quoted.items())


source = {
    "connector": "kafka",
    "topic": job["topic"],
    "properties.bootstrap.servers": job["servers"],
    "properties.group.id": "flink",
    "properties.max.poll.records": "10000",
    "properties.max.partition.fetch.bytes": str(8 << 20),
    "properties.fetch.max.bytes": str(64 << 20),
    "properties.check.crcs": "false",
    "scan.startup.mode": "earliest-offset",
    "scan.bounded.mode": "latest-offset",
}
if job["format"] == "json":
    source |= {"format": "json", "json.timestamp-format.standard": "ISO-8601"}
else:
    source |= {"format": "event-avro", "event-avro.schema": job["schema"]}
sink = {
    "connector": "filesystem",
    "path": out,
    "format": "parquet",
    "parquet.compression": "ZSTD",
    "parquet.compression.codec.zstd.level": "1",
    "parquet.utc-timezone": "true",
    "parquet.write.int64.timestamp": "true",
    "parquet.timestamp.time.unit": "micros",
    "sink.rolling-policy.file-size": "256MB",
    "auto-compaction": "false",
}
read = ", ".join(f"`{name}` {types[name]}" for name in names)
types[job["time"]] = "TIMESTAMP(6)"
written = ", ".join(f"`{name}` {types[name]}" for name in names)
moment = f"CAST(`{job['time']}` AS TIMESTAMP(6))"
chosen = ", ".join(moment if name == job["time"] else f"`{name}`" for name in names)

tables.execute_sql(f"CREATE TABLE topic ({read}) WITH ({options(source)})")
tables.execute_sql(
    f"CREATE TABLE files ({written}, `date` STRING) PARTITIONED BY (`date`) WITH ({options(sink)})"
)
started = time.time()
tables.execute_sql(
    f"INSERT INTO files SELECT {chosen}, DATE_FORMAT({moment}, 'yyyy-MM-dd') FROM topic"
).wait()
print(json.dumps({"started": started, "ended": time.time()}), flush=True)
