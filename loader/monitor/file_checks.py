"""What a raw file must be to be the one that its record names. Pure: bytes in, faults out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from loader.lake import layout
from loader.lake.commit_log import CommitRecord, DataFile
from loader.model.buckets import buckets_of

_COLUMNS: Final = ("user_id", "time", "_topic", "_partition", "_offset")
_DAY: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Examined:
    """A file's faults and the offsets of its rows.

    Attributes:
        altered: its bytes are not those recorded; nothing else was looked at.
        faults: what does not hold, a sentence each.
        offsets: int64, one a row; empty if it could not be read.
    """

    altered: bool
    faults: tuple[str, ...]
    offsets: npt.NDArray[np.int64]


_NO_OFFSETS: Final = np.empty(0, np.int64)


def examine(body: bytes, file: DataFile, record: CommitRecord, buckets: int) -> Examined:
    """Compare a file's bytes and rows with what its record says.

    Args:
        body: the object's bytes.
        file: its entry in the record.
        record: the record.
        buckets: the lake's number of user buckets.
    """
    digest = hashlib.sha256(body).hexdigest()
    if digest != file.sha256:
        fault = f"Its SHA-256 is {digest}; the record says {file.sha256}."
        return Examined(True, (fault,), _NO_OFFSETS)
    try:
        table = pq.read_table(pa.BufferReader(body), columns=list(_COLUMNS), use_threads=False)
        table = table.select(list(_COLUMNS))
    except (pa.ArrowException, OSError, KeyError) as error:
        return Examined(False, (f"It is no raw file: {error}.",), _NO_OFFSETS)
    offsets = _numbers(table, "_offset")
    return Examined(False, tuple(_faults(table, offsets, file, record, buckets)), offsets)


def _faults(
    table: pa.Table,
    offsets: npt.NDArray[np.int64],
    file: DataFile,
    record: CommitRecord,
    buckets: int,
) -> Iterator[str]:
    if table.num_rows != file.rows:
        yield f"It holds {table.num_rows} rows; the record says {file.rows}."
    if table.num_rows == 0:
        return
    low, high = int(offsets.min()), int(offsets.max())
    if low < record.first or high >= record.next:
        yield f"It holds offsets {low} to {high}, outside [{record.first}, {record.next})."
    partitions = np.unique(_numbers(table, "_partition")).tolist()
    if partitions != [record.partition]:
        yield f"Its rows are of partition {', '.join(map(str, partitions))}."
    topics = table.column("_topic").cast(pa.string()).unique().to_pylist()
    if topics != [record.topic]:
        yield f"Its rows are of topic {', '.join(map(str, topics))}."
    time = _numbers(table, "time")
    if (int(time.min()), int(time.max())) != (file.min_time, file.max_time):
        yield (
            f"Its times are {time.min()} to {time.max()} us; the record says {file.min_time} to "
            f"{file.max_time}."
        )
    bucket = buckets_of(_numbers(table, "user_id"), buckets)
    step = np.diff(bucket)
    if (step < 0).any() or (time[1:] < time[:-1])[step == 0].any():
        yield "Its rows are not sorted by bucket and time."
    if file.date != layout.MIXED and not (time // _DAY == _day(file.date)).all():
        yield f"It holds rows of other dates than {file.date}."
    held = np.unique(bucket).tolist()
    if not set(held) <= set(file.buckets):
        yield f"It holds users of buckets {held}; the record says {list(file.buckets)}."


def repeated(offsets: list[npt.NDArray[np.int64]]) -> list[int]:
    """Offsets that several rows of one record claim, ascending."""
    if not offsets:
        return []
    values, counts = np.unique(np.concatenate(offsets), return_counts=True)
    found: list[int] = values[counts > 1].tolist()
    return found


def _numbers(table: pa.Table, column: str) -> npt.NDArray[np.int64]:
    numbers: npt.NDArray[np.int64] = table.column(column).cast(pa.int64()).to_numpy()
    return numbers


def _day(date: str) -> int:
    return int(np.datetime64(date, "D").astype(np.int64))
