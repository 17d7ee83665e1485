"""Spark Structured Streaming job: a topic to Parquet by date. Told its job in $BENCH_JOB."""

import json
import os
import time
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as f
from pyspark.sql import types as t
from pyspark.sql.avro.functions import from_avro

job = json.loads(Path(os.environ["BENCH_JOB"]).read_text())
out = job["folder"] if job["target"] == "disk" else f"s3a://{job['bucket']}/{job['folder']}"

settings = {
    "spark.jars": ",".join(job["jars"]),
    # One JVM is driver and executor: the memory of both.
    "spark.driver.memory": "4g",
    "spark.driver.extraJavaOptions": "-XX:+UseParallelGC",
    "spark.ui.enabled": "false",
    "spark.local.dir": job["scratch"],
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.streaming.metricsEnabled": "false",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.hadoop.parquet.compression.codec.zstd.level": "1",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # Writes the files of several dates side by side instead of sorting every task's rows by date.
    "spark.sql.maxConcurrentOutputFileWriters": "32",
    "spark.hadoop.fs.s3a.endpoint": job["endpoint"],
    "spark.hadoop.fs.s3a.endpoint.region": job["region"],
    "spark.hadoop.fs.s3a.access.key": job["access_key"],
    "spark.hadoop.fs.s3a.secret.key": job["secret_key"],
    "spark.hadoop.fs.s3a.path.style.access": "true",
    "spark.hadoop.fs.s3a.connection.ssl.enabled": "false",
    # In memory, 64 MB for each open file of each task: with a file a date that ends the JVM.
    "spark.hadoop.fs.s3a.fast.upload.buffer": "disk",
}
builder = SparkSession.builder.master("local[2]").appName("bench")
for key, value in settings.items():
    builder = builder.config(key, value)
spark = builder.getOrCreate()
spark.sparkContext.setLogLevel("WARN")

messages = (
    spark.readStream.format("kafka")
    .option("kafka.bootstrap.servers", job["servers"])
    .option("subscribe", job["topic"])
    .option("startingOffsets", "earliest")
    .option("kafka.max.poll.records", "10000")
    .option("kafka.max.partition.fetch.bytes", str(8 << 20))
    .option("kafka.fetch.max.bytes", str(64 << 20))
    .option("kafka.check.crcs", "false")
    .load()
)
if job["format"] == "json":
    texts = t.MapType(t.StringType(), t.StringType())
    schema = t.StructType(
        [t.StructField(name, t.LongType()) for name in job["ids"]]
        + [t.StructField(job["time"], t.TimestampType())]
        + [t.StructField(name, t.StringType()) for name in job["texts"]]
        + [t.StructField(name, texts) for name in job["maps"]]
    )
    event = f.from_json(f.col("value").cast("string"), schema)
    events = messages.select(event.alias("event")).select("event.*")
else:
    # The frame is five bytes before the body; Spark's own Avro does not know it.
    event = from_avro(f.expr("substring(value, 6)"), job["schema"])
    events = messages.select(event.alias("event")).select("event.*")
    # A union of several types is a struct with a member each: the one that is set, as text.
    for name in job["maps"]:
        text = f.transform_values(
            name, lambda _, v: f.coalesce(*[v[f"member{i}"].cast("string") for i in range(4)])
        )
        events = events.withColumn(name, text)

query = (
    events.withColumn("date", f.to_date("time"))
    .writeStream.format("parquet")
    .option("path", out)
    .option("checkpointLocation", f"{out}/_checkpoint")
    .partitionBy("date")
    .trigger(availableNow=True)
)
started = time.time()
query.start().awaitTermination()
print(json.dumps({"started": started, "ended": time.time()}), flush=True)
spark.stop()
