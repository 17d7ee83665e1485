"""Raw data files: a batch's rows split by event date and user bucket, sorted by time, as Parquet.

The format is public and described in docs/formats/raw-files.md.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from loader.lake import layout
from loader.lake.commit_log import DataFile
from loader.model.buckets import buckets_of
from loader.model.events import RAW_TYPES

#: A date with this many rows of a batch, or with half of them, gets a file of its own; all others share
#: one. So n rows make at most n / 25,000 + 2 files. Device clocks lie, and events come late: a batch may
#: hold thousands of dates, and a request costs more than a filter over a few thousand rows.
MIN_DATE_ROWS: Final = 25_000

#: A date is split by bucket where that gives files of at least this many rows on average.
MIN_FILE_ROWS: Final = 25_000

_DAY: Final = 86_400_000_000
_EPOCH: Final = dt.date(1970, 1, 1).toordinal()
#: Days that have a date in Python and in SQL: years 1 to 9999.
_MIN_DAY: Final = 1 - _EPOCH
_MAX_DAY: Final = dt.date.max.toordinal() - _EPOCH

# Text repeats within a batch: a session's columns, names of properties, pages. Where a column's values
# do not, the writer gives its dictionary up after 1 MiB. Numbers and times do better without.
_DICTIONARIES: Final = [
    path
    for name, kind in RAW_TYPES.items()
    for path in (
        (f"{name}.key_value.key", f"{name}.key_value.value")
        if pa.types.is_map(kind)
        else (name,)
        if kind == pa.string() or name in {"_topic", "_partition", "_schema_id"}
        else ()
    )
]
_STATISTICS: Final = ("event_id", "user_id", "time", "_offset")


@dataclass(frozen=True, slots=True)
class Cut:
    """What one file holds: rows of one date and one bucket (or of all), by bucket, then by time.

    Attributes:
        date: ``YYYY-MM-DD``, or ``mixed``.
        buckets: the buckets whose rows it may hold, ascending: one of them, or all.
        rows: int64, numbers of the batch's rows, in the file's order; at least one.
        min_time: microseconds since the epoch.
        max_time: microseconds since the epoch.
    """

    date: str
    buckets: tuple[int, ...]
    rows: npt.NDArray[np.int64]
    min_time: int
    max_time: int


def cut(
    times: npt.NDArray[np.int64], user_ids: npt.NDArray[np.int64], buckets: int
) -> Iterator[Cut]:
    """Cut the rows of a batch into files; every row is in exactly one of them.

    Args:
        times: of each row, microseconds since the epoch.
        user_ids: of each row.
        buckets: the lake's number of buckets.
    """
    if len(times) == 0:
        return
    bucket = buckets_of(user_ids, buckets)
    day, mixed = _days(times)
    days, date_of_row, sizes = np.unique(day, return_inverse=True, return_counts=True)
    divided = (sizes >= MIN_FILE_ROWS * buckets) & (days != mixed)
    # -1 stands for all buckets together.
    file_bucket = np.where(divided[date_of_row], bucket, -1)
    order = np.lexsort((times, bucket, day))
    day, file_bucket = day[order], file_bucket[order]
    starts = np.flatnonzero((np.diff(day) != 0) | (np.diff(file_bucket) != 0)) + 1
    for start, end in itertools.pairwise([0, *starts.tolist(), len(order)]):
        rows = order[start:end]
        own = times[rows]
        yield Cut(
            date=layout.MIXED if day[start] == mixed else _date(int(day[start])),
            buckets=(int(file_bucket[start]),)
            if file_bucket[start] >= 0
            else tuple(range(buckets)),
            rows=rows,
            min_time=int(own.min()),
            max_time=int(own.max()),
        )


def _days(time: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
    """The day of each row since the epoch, and the number that stands for ``mixed``."""
    mixed = _MAX_DAY + 1
    day = time // _DAY
    values, counts = np.unique(day, return_counts=True)
    dated = (values >= _MIN_DAY) & (values <= _MAX_DAY)
    own = dated & (counts >= min(MIN_DATE_ROWS, len(time) / 2))
    return np.where(np.isin(day, values[own]), day, mixed), mixed


def _date(day: int) -> str:
    return dt.date.fromordinal(day + _EPOCH).isoformat()


def encode(
    rows: pa.RecordBatch, of: Cut, topic: str, partition: int, first: int, next_: int
) -> tuple[DataFile, pa.Buffer]:
    """Rows as a Parquet file (zstd, pages of version 1), with its entry for the commit record.

    Args:
        rows: the rows of ``of``, in its order. Columns that are null throughout are left out.
        of: what the file holds.
        topic: of the batch.
        partition: of the batch.
        first: first offset of the batch.
        next_: offset after its last one.
    """
    filled = [
        field.name
        for field, column in zip(rows.schema, rows.columns, strict=True)
        if column.null_count < len(column)
    ]
    rows = rows.select(filled)
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        rows.schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=_DICTIONARIES,
        write_statistics=[name for name in _STATISTICS if name in filled],
    ) as writer:
        writer.write_batch(rows, row_group_size=1 << 20)
    body = sink.getvalue()
    digest = hashlib.sha256(body).hexdigest()
    bucket = of.buckets[0] if len(of.buckets) == 1 else None
    key = layout.raw_file(topic, of.date, bucket, partition, first, next_, digest[:16])
    return (
        DataFile(
            key=key,
            bytes=body.size,
            rows=rows.num_rows,
            sha256=digest,
            min_time=of.min_time,
            max_time=of.max_time,
            date=of.date,
            buckets=of.buckets,
        ),
        body,
    )
