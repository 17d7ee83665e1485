"""What a system wrote, read back: the proof that it did the work it was timed for.

The truth comes from the topic itself, decoded message by message with orjson and fastavro: neither
the loader's decoders nor any peer's have a say in it.
"""

from __future__ import annotations

import io
import json
import statistics
import struct
from collections.abc import Callable, Collection, Iterator
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from typing import Any

import fastavro
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from confluent_kafka import Consumer, TopicPartition

from loader.codec.fields import EVENTS
from loader.codec.schemas import ShippedSchemas
from loader.local.environment import S3Environment

_MICROSECOND = 1_000_000
_SUMMED = ("event_id", "time", "path", "properties")


class ContentDiffers(Exception):
    """Files do not hold what the topic holds; the message says in what they differ."""


@dataclass(frozen=True, slots=True)
class Content:
    """Sums over all events that no two different loads share by chance.

    Attributes:
        rows: events.
        event_ids: sum of ``event_id``.
        times: sum of ``time``, microseconds since the epoch.
        paths: events whose ``path`` is not null.
        properties: values in ``properties`` that are not null, over all events.
    """

    rows: int
    event_ids: int
    times: int
    paths: int
    properties: int

    def __add__(self, other: Content) -> Content:
        return Content(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


NOTHING = Content(0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Written:
    """The files of one run.

    Attributes:
        files: how many.
        bytes: of all of them.
        median_bytes: of a file.
    """

    files: int
    bytes: int
    median_bytes: float


@dataclass(frozen=True, slots=True)
class Topic:
    """What a topic holds: its content, and the mean size of a message's value in bytes."""

    content: Content
    bytes_per_message: float


def read_topic(servers: str, topic: str, format_: str, on_progress: Callable[[int], None]) -> Topic:
    """Decode a whole topic, slowly and plainly."""
    decode = _decode_json if format_ == "json" else _avro_decoder()
    content, size = NOTHING, 0
    for values in _values(servers, topic):
        content += _of_rows([decode(value) for value in values])
        size += sum(map(len, values))
        on_progress(content.rows)
    return Topic(content, size / max(content.rows, 1))


def _values(servers: str, topic: str) -> Iterator[list[bytes]]:
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "truth", "enable.auto.commit": False}
    )
    try:
        ends = {
            partition: consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
            for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions
        }
        left = sum(high - low for low, high in ends.values())
        consumer.assign([TopicPartition(topic, p, low) for p, (low, _) in ends.items()])
        while left:
            messages = consumer.consume(min(10_000, left), 5.0)
            values = [value for m in messages if (value := m.value()) is not None]
            left -= len(messages)
            yield values
    finally:
        consumer.close()


def _decode_json(value: bytes) -> dict[str, Any]:
    row: dict[str, Any] = orjson.loads(value)
    return row


def _avro_decoder() -> Callable[[bytes], dict[str, Any]]:
    document = json.loads(ShippedSchemas().writer_schema(1) or "")
    writer = fastavro.parse_schema(document)
    reader = fastavro.parse_schema(
        {**document, "fields": [f for f in document["fields"] if f["name"] in _SUMMED]}
    )

    def decode(value: bytes) -> dict[str, Any]:
        if struct.unpack(">Bi", value[:5]) != (0, 1):
            raise ContentDiffers("the topic has a message that is not framed with schema id 1.")
        row = fastavro.schemaless_reader(io.BytesIO(value[5:]), writer, reader)
        assert isinstance(row, dict)
        return row

    return decode


def _of_rows(rows: list[dict[str, Any]]) -> Content:
    return Content(
        len(rows),
        sum(row["event_id"] for row in rows),
        sum(_microseconds(row["time"]) for row in rows),
        sum(row.get("path") is not None for row in rows),
        sum(_filled(row.get("properties")) for row in rows),
    )


def _microseconds(moment: str | datetime) -> int:
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return round(moment.timestamp() * _MICROSECOND)


def _filled(properties: dict[str, Any] | None) -> int:
    return sum(value is not None for value in (properties or {}).values())


def file_system(s3: S3Environment) -> pafs.FileSystem:
    """The stack's S3 for Arrow."""
    return pafs.S3FileSystem(
        access_key=s3.access_key_id,
        secret_key=s3.secret_access_key,
        endpoint_override=s3.endpoint_url,
        region=s3.region,
    )


def data_files(system: pafs.FileSystem, folder: str) -> list[pafs.FileInfo]:
    """The Parquet files below a folder; names with ``_`` or ``.`` before them are a system's own."""
    selector = pafs.FileSelector(folder, recursive=True, allow_not_found=True)
    return [
        info
        for info in system.get_file_info(selector)
        if info.type == pafs.FileType.File
        and (info.base_name.endswith(".parquet") or info.base_name.startswith("part-"))
        and not any(
            part.startswith(("_", ".")) for part in info.path.removeprefix(folder).split("/")
        )
    ]


def check(
    system: pafs.FileSystem,
    folder: str,
    truth: Content,
    *,
    named: Collection[str] | None = None,
) -> Written:
    """Read the files below a folder and compare them with the truth.

    Args:
        system: where they are.
        folder: which.
        truth: what they should hold.
        named: the paths of those that count, where the system has a log that says so: others are what
            a rebalance left behind. Such files may leave out columns that are null throughout.

    Raises:
        ContentDiffers: there are no files, a column is missing or a sum differs.
    """
    files = data_files(system, folder)
    if named is not None:
        files = [info for info in files if info.path in named]
    if not files:
        raise ContentDiffers("it wrote no Parquet file.")
    found = NOTHING
    for info in files:
        with system.open_input_file(info.path) as source:
            file = pq.ParquetFile(source)
            wanted = set(EVENTS.known) if named is None else {"event_id", "time"}
            missing = wanted - set(file.schema_arrow.names)
            if missing:
                raise ContentDiffers(f"{info.path} has no column {', '.join(sorted(missing))}.")
            found += _of_file(file)
    differences = [
        f"{field.name} {getattr(found, field.name):,} instead of {getattr(truth, field.name):,}"
        for field in fields(Content)
        if getattr(found, field.name) != getattr(truth, field.name)
    ]
    if differences:
        raise ContentDiffers("its files differ from the topic: " + "; ".join(differences) + ".")
    sizes = [info.size for info in files]
    return Written(len(files), sum(sizes), statistics.median(sizes))


def _of_file(file: pq.ParquetFile) -> Content:
    present = set(file.schema_arrow.names)
    table = file.read(columns=[name for name in _SUMMED if name in present])
    return Content(
        table.num_rows,
        _sum(table["event_id"]),
        _sum(_as_microseconds(table["time"])),
        table.num_rows - table["path"].null_count if "path" in present else 0,
        _values_filled(table["properties"]) if "properties" in present else 0,
    )


def _sum(column: pa.ChunkedArray) -> int:
    # 64 bits overflow; decimals do not.
    return int(pc.sum(column.cast(pa.decimal128(38, 0))).as_py() or 0)


def _as_microseconds(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz))
    return column.cast(pa.int64())


def _values_filled(column: pa.ChunkedArray) -> int:
    if pa.types.is_map(column.type):
        return sum(len(chunk.items) - chunk.items.null_count for chunk in column.chunks)
    # A system that cannot write a map has it as JSON text.
    return sum(_filled(orjson.loads(text)) for text in column.to_pylist() if text is not None)
