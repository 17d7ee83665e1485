"""The columns of the files, for the jobs that write with Arrow. Told their job in $BENCH_JOB."""

import datetime as dt
import io
import json
import os
from pathlib import Path

import fastavro
import orjson
import pyarrow as pa

job = json.loads(Path(os.environ["BENCH_JOB"]).read_text())

schema = pa.schema(
    [pa.field(name, pa.int64()) for name in job["ids"]]
    + [pa.field(job["time"], pa.timestamp("us", "UTC"))]
    + [pa.field(name, pa.string()) for name in job["texts"]]
    + [pa.field(name, pa.map_(pa.string(), pa.string())) for name in job["maps"]]
)

_avro = fastavro.parse_schema(json.loads(job["schema"]))
_moment = dt.datetime.fromisoformat
_read = fastavro.schemaless_reader


def decode_json(value):
    """A message as a row; its time as a datetime, its properties as they came."""
    row = orjson.loads(value)
    row["time"] = _moment(row["time"])
    return row


def decode_avro(value):
    """The same from Avro, behind five bytes of Confluent's frame."""
    return _read(io.BytesIO(value[5:]), _avro)


decode = decode_json if job["format"] == "json" else decode_avro


def text(value):
    """A property's value as text; null stays null."""
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def with_text_maps(row):
    """The row with its properties as pairs of texts, as Arrow wants a map."""
    for name in job["maps"]:
        pairs = row.get(name)
        if pairs is not None:
            row[name] = [(key, text(value)) for key, value in pairs.items()]
    return row


def with_json_maps(row):
    """The row with its properties as JSON text, for systems that cannot write a map."""
    for name in job["maps"]:
        pairs = row.get(name)
        if pairs is not None:
            row[name] = orjson.dumps(pairs).decode()
    return row
