"""dlt pipeline: a topic to Parquet on a filesystem. Told its job in $BENCH_JOB.

dlt has no map type: properties are JSON text. It does not partition files by a column.
"""

import json
import os
import time

from columns import decode, job
from confluent_kafka import Consumer, TopicPartition

out = (
    f"file://{job['folder']}"
    if job["target"] == "disk"
    else f"s3://{job['bucket']}/{job['folder']}"
)
os.environ.update(
    {
        "DLT_DATA_DIR": f"{job['scratch']}/dlt",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "WARNING",
        "DESTINATION__FILESYSTEM__BUCKET_URL": out,
        "DESTINATION__FILESYSTEM__CREDENTIALS__AWS_ACCESS_KEY_ID": job["access_key"],
        "DESTINATION__FILESYSTEM__CREDENTIALS__AWS_SECRET_ACCESS_KEY": job["secret_key"],
        "DESTINATION__FILESYSTEM__CREDENTIALS__ENDPOINT_URL": job["endpoint"],
        "DESTINATION__FILESYSTEM__CREDENTIALS__REGION_NAME": job["region"],
        "NORMALIZE__WORKERS": "2",
        "DATA_WRITER__BUFFER_MAX_ITEMS": "50000",
        "DATA_WRITER__FILE_MAX_ITEMS": "100000",
        "NORMALIZE__DATA_WRITER__COMPRESSION": "zstd",
        "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID": "false",
    }
)

import dlt  # noqa: E402 - reads the settings above

columns = {
    **{name: {"data_type": "bigint"} for name in job["ids"]},
    job["time"]: {"data_type": "timestamp"},
    **{name: {"data_type": "text"} for name in job["texts"]},
    **{name: {"data_type": "json"} for name in job["maps"]},
}


@dlt.resource(
    name="events",
    max_table_nesting=0,
    file_format="parquet",
    write_disposition="append",
    columns=columns,
)
def events():
    consumer = Consumer(
        {
            "bootstrap.servers": job["servers"],
            "group.id": "dlt",
            "check.crcs": False,
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(job["topic"], p, 0) for p in range(job["partitions"])])
    read = 0
    while read < job["events"]:
        messages = consumer.consume(min(10_000, job["events"] - read), 1.0)
        read += len(messages)
        yield [decode(message.value()) for message in messages]
    consumer.close()


if __name__ == "__main__":
    pipeline = dlt.pipeline(
        "bench",
        destination="filesystem",
        dataset_name="bench",
        pipelines_dir=f"{job['scratch']}/pipelines",
    )
    started = time.time()
    pipeline.run(events())
    print(json.dumps({"started": started, "ended": time.time()}), flush=True)
