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
from loader.model.events import PAGEVIEW_FIELDS, RAW_ONLY_FIELDS, SESSION_FIELDS

#: Device clocks lie: a batch may hold thousands of dates. The fullest ones get files of their own,
#: the rest share files, so a batch makes at most 9 x buckets files.
MAX_DATES: Final = 8

#: A date is split by bucket only where that gives files of this many rows on average; below, one
#: file holds all buckets of the date. Requests cost more than a filter over a few thousand rows.
MIN_FILE_ROWS: Final = 4096

_DAY: Final = 86_400_000_000
_EPOCH: Final = dt.date(1970, 1, 1).toordinal()
#: Days that have a date in Python and in SQL: years 1 to 9999.
_MIN_DAY: Final = 1 - _EPOCH
_MAX_DAY: Final = dt.date.max.toordinal() - _EPOCH

# A dictionary pays only where values repeat; on the rest it costs a pass and is thrown away.
_REPEATING: Final = frozenset(
    {
        *SESSION_FIELDS,
        *PAGEVIEW_FIELDS,
        *RAW_ONLY_FIELDS,
        *("type", "target_text", "name", "_topic", "_partition", "_schema_id"),
    }
) - {"ip", "landing_page_query", "query", "hash"}
_STATISTICS: Final = ("event_id", "user_id", "time", "_offset")


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one date and one bucket (or of all), sorted by time.

    Attributes:
        date: ``YYYY-MM-DD``, or ``mixed``.
        buckets: the buckets whose rows it may hold, ascending: one of them, or all.
        rows: at least one row.
        min_time: microseconds since the epoch.
        max_time: microseconds since the epoch.
    """

    date: str
    buckets: tuple[int, ...]
    rows: pa.RecordBatch
    min_time: int
    max_time: int


def split(rows: pa.RecordBatch, buckets: int) -> Iterator[Part]:
    """Split the rows of a batch into files' contents; every row is in exactly one part.

    Args:
        rows: any columns, among them ``user_id`` (int64) and ``time`` (timestamp[us]).
        buckets: the lake's number of buckets.
    """
    if rows.num_rows == 0:
        return
    time = rows.column("time").cast(pa.int64()).to_numpy()
    bucket = buckets_of(rows.column("user_id").to_numpy(), buckets)
    day, mixed = _days(time)
    _, date_of_row, sizes = np.unique(day, return_inverse=True, return_counts=True)
    # -1 stands for all buckets together.
    bucket = np.where(sizes[date_of_row] < MIN_FILE_ROWS * buckets, -1, bucket)
    order = np.lexsort((time, bucket, day))
    rows = rows.take(pa.array(order))
    time, bucket, day = time[order], bucket[order], day[order]
    starts = np.flatnonzero((np.diff(day) != 0) | (np.diff(bucket) != 0)) + 1
    bounds = [0, *starts.tolist(), len(order)]
    for start, end in itertools.pairwise(bounds):
        yield Part(
            date=layout.MIXED if day[start] == mixed else _date(int(day[start])),
            buckets=(int(bucket[start]),) if bucket[start] >= 0 else tuple(range(buckets)),
            rows=rows.slice(start, end - start),
            min_time=int(time[start]),
            max_time=int(time[end - 1]),
        )


def _days(time: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
    """The day of each row since the epoch, and the number that stands for ``mixed``."""
    mixed = _MAX_DAY + 1
    day = time // _DAY
    values, counts = np.unique(day, return_counts=True)
    dated = (values >= _MIN_DAY) & (values <= _MAX_DAY)
    values, counts = values[dated], counts[dated]
    # Of equal counts the earlier date is kept, so that a batch splits in one way only.
    kept = values[np.argsort(-counts, kind="stable")[:MAX_DATES]]
    return np.where(np.isin(day, kept), day, mixed), mixed


def _date(day: int) -> str:
    return dt.date.fromordinal(day + _EPOCH).isoformat()


def encode(
    part: Part, topic: str, partition: int, first: int, next_: int
) -> tuple[DataFile, bytes]:
    """A part as a Parquet file (zstd, pages of version 1), with its entry for the commit record."""
    names = set(part.rows.schema.names)
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        part.rows.schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=sorted(_REPEATING & names),
        write_statistics=[name for name in _STATISTICS if name in names],
    ) as writer:
        writer.write_batch(part.rows, row_group_size=1 << 20)
    body = sink.getvalue().to_pybytes()
    digest = hashlib.sha256(body).hexdigest()
    bucket = part.buckets[0] if len(part.buckets) == 1 else None
    key = layout.raw_file(topic, part.date, bucket, partition, first, next_, digest[:16])
    return (
        DataFile(
            key=key,
            bytes=len(body),
            rows=part.rows.num_rows,
            sha256=digest,
            min_time=part.min_time,
            max_time=part.max_time,
            date=part.date,
            buckets=part.buckets,
        ),
        body,
    )
