"""What the lake and Kafka hold, read with plain clients: nothing here is the loader's code."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from botocore.config import Config
from confluent_kafka import Consumer, Message, TopicPartition

from soak.ledger import HEADER, Ints, Place

_READERS: Final = 4
_EMPTY: Final = np.empty(0, np.int64)


@dataclass(slots=True)
class InLake:
    """What the commit log of one partition names.

    Attributes:
        offsets: of every row of every file.
        ids: event ids of the same rows; 0 for a topic without them.
        next: where the chain ends.
        batches: number of records.
        files: number of data files.
        dead_lettered: refused messages by the records' own count.
        read: messages read by the records' own count.
        faults: what is wrong with the chain or a file.
    """

    offsets: Ints = field(default_factory=lambda: _EMPTY)
    ids: Ints = field(default_factory=lambda: _EMPTY)
    next: int = 0
    batches: int = 0
    files: int = 0
    dead_lettered: int = 0
    read: int = 0
    faults: list[str] = field(default_factory=list)


def read_lake(
    s3: Mapping[str, str], bucket: str, prefix: str, places: list[Place]
) -> dict[Place, InLake]:
    """Read every file that the commit log names, of each place."""
    client: Any = boto3.client(
        "s3",
        endpoint_url=s3["endpoint_url"],
        aws_access_key_id=s3["aws_access_key_id"],
        aws_secret_access_key=s3["aws_secret_access_key"],
        region_name=s3["region_name"],
        config=Config(s3={"addressing_style": "path"}, max_pool_connections=_READERS),
    )
    with ThreadPoolExecutor(_READERS) as pool:
        return {place: _read_chain(client, bucket, prefix, place, pool) for place in places}


def _read_chain(
    client: Any, bucket: str, prefix: str, place: Place, pool: ThreadPoolExecutor
) -> InLake:
    topic, partition = place
    found = InLake()
    keys = list(_keys(client, bucket, f"{prefix}/log/{topic}/{partition}/"))
    records = [json.loads(body) for body in pool.map(lambda k: _get(client, bucket, k), keys)]
    named: list[dict[str, Any]] = []
    for key, record in zip(keys, records, strict=True):
        if record["first"] != found.next:
            found.faults.append(f"{key} begins at {record['first']}, expected {found.next}")
        found.next = record["next"]
        found.batches += 1
        found.read += record["read"]
        found.dead_lettered += record["dead_lettered"]
        named += record["files"]
    found.files = len(named)
    tables = list(pool.map(lambda f: _rows(client, bucket, f"{prefix}/{f['key']}"), named))
    for file, (places, _, _) in zip(named, tables, strict=True):
        if places - {place}:
            found.faults.append(f"{file['key']} holds rows of {sorted(places - {place})}")
    if tables:
        found.offsets = np.concatenate([offsets for _, offsets, _ in tables])
        found.ids = np.concatenate([ids for _, _, ids in tables])
    return found


def _rows(client: Any, bucket: str, key: str) -> tuple[set[Place], Ints, Ints]:
    schema_names = ["_topic", "_partition", "_offset", "event_id"]
    file = pq.ParquetFile(io.BytesIO(_get(client, bucket, key)))
    table = file.read(columns=[n for n in schema_names if n in file.schema_arrow.names])
    pairs = table.select(["_topic", "_partition"]).group_by(["_topic", "_partition"]).aggregate([])
    places = {(str(row["_topic"]), int(row["_partition"])) for row in pairs.to_pylist()}
    offsets = table.column("_offset").to_numpy().astype(np.int64)
    if "event_id" in table.column_names:
        return places, offsets, table.column("event_id").cast(pa.int64()).to_numpy()
    return places, offsets, np.zeros(len(offsets), np.int64)


def _keys(client: Any, bucket: str, prefix: str) -> Iterator[str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for entry in page.get("Contents", ()):
            yield entry["Key"]


def _get(client: Any, bucket: str, key: str) -> bytes:
    body: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def read_kafka(servers: str, topics: Mapping[str, int]) -> dict[Place, tuple[Ints, Ints]]:
    """Every committed message that stands in the topics: its offset and its number, by place."""
    found: dict[Place, tuple[list[int], list[int]]] = {
        (topic, partition): ([], [])
        for topic, count in topics.items()
        for partition in range(count)
    }
    for place, messages in _messages(servers, topics):
        offsets, numbers = found[place]
        for message in messages:
            offsets.append(message.offset() or 0)
            numbers.append(int(_headers(message)[HEADER]))
    return {
        place: (np.asarray(offsets, np.int64), np.asarray(numbers, np.int64))
        for place, (offsets, numbers) in found.items()
    }


def read_letters(servers: str, topic: str) -> dict[Place, Ints]:
    """Offsets that the dead letters speak of, by the place they came from; repeats are kept."""
    found: dict[Place, list[int]] = {}
    for _, messages in _messages(servers, {topic: 1}):
        for message in messages:
            headers = _headers(message)
            place = (headers["dl-topic"].decode(), int(headers["dl-partition"]))
            found.setdefault(place, []).append(int(headers["dl-offset"]))
    return {place: np.asarray(offsets, np.int64) for place, offsets in found.items()}


def _messages(servers: str, topics: Mapping[str, int]) -> Iterator[tuple[Place, list[Message]]]:
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "soak-count",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
            "log_level": 0,
        }
    )
    open_ = {(topic, partition) for topic, count in topics.items() for partition in range(count)}
    try:
        consumer.assign([TopicPartition(topic, partition, 0) for topic, partition in open_])
        while open_:
            runs: dict[Place, list[Message]] = {}
            for message in consumer.consume(10_000, 0.5):
                place = (message.topic() or "", message.partition() or 0)
                if message.error() is None:
                    runs.setdefault(place, []).append(message)
                else:
                    open_.discard(place)
            yield from runs.items()
    finally:
        consumer.close()


def _headers(message: Message) -> dict[str, bytes]:
    headers: Any = message.headers() or []
    return dict(headers)
