"""Splitting a batch into data files: nothing lost, sorted, bounded in number."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.compactor.reading import read_raw
from loader.lake import layout, raw_files
from loader.lake.commit_log import DataFile
from loader.lake.memory import MemoryStore
from loader.model.buckets import buckets_of

DAY = 86_400_000_000
INT64 = st.integers(min_value=-(2**63), max_value=2**63 - 1)


def batch(users: list[int], times: list[int]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(
        {
            "user_id": pa.array(users, pa.int64()),
            "time": pa.array(times, pa.int64()).cast(pa.timestamp("us")),
            "n": pa.array(range(len(users)), pa.int64()),
        }
    )


def cuts(users: list[int], times: list[int], buckets: int) -> list[raw_files.Cut]:
    return list(raw_files.cut(np.array(times, np.int64), np.array(users, np.int64), buckets))


@given(
    rows=st.lists(st.tuples(st.integers(0, 2**63 - 1), INT64), max_size=80),
    buckets=st.integers(1, 9),
)
def test_every_row_is_in_exactly_one_file_under_its_date_and_bucket(
    rows: list[tuple[int, int]], buckets: int
) -> None:
    users, times = [user for user, _ in rows], [time for _, time in rows]
    parts = cuts(users, times, buckets)
    assert sorted(row for part in parts for row in part.rows.tolist()) == list(range(len(rows)))
    for part in parts:
        own = [times[row] for row in part.rows]
        bucket = buckets_of(np.array(users, np.int64)[part.rows], buckets).tolist()
        keys = list(zip(bucket, own, strict=True))
        assert keys == sorted(keys)
        assert (part.min_time, part.max_time) == (min(own), max(own))
        assert set(bucket) <= set(part.buckets)
        if part.date != layout.MIXED:
            day = dt.date.fromisoformat(part.date).toordinal() - dt.date(1970, 1, 1).toordinal()
            assert {time // DAY for time in own} == {day}
    assert len({(part.date, part.buckets) for part in parts}) == len(parts)


def test_thousands_of_dates_are_one_file() -> None:
    days = np.arange(5000) * DAY
    assert [part.date for part in cuts([7] * 5000, days.tolist(), 8)] == [layout.MIXED]


def test_files_are_bounded_by_rows_whatever_the_dates() -> None:
    """A date has a file of its own where it is large, or half of a small batch."""
    times = np.concatenate([np.arange(60) % 2, np.arange(9) + 2]) * DAY
    small = cuts([7] * len(times), times.tolist(), 8)
    assert [part.date for part in small] == [layout.MIXED]
    times[:40] = 0
    small = cuts([7] * len(times), times.tolist(), 8)
    assert [part.date for part in small] == ["1970-01-01", layout.MIXED]
    large = np.concatenate([np.arange(4 * raw_files.MIN_DATE_ROWS) % 4, np.arange(900) + 9]) * DAY
    assert len(cuts([7] * len(large), large.tolist(), 8)) == 5


def test_a_full_date_is_split_by_bucket_and_a_thin_one_is_not() -> None:
    full = 2 * raw_files.MIN_FILE_ROWS
    thin = raw_files.MIN_DATE_ROWS
    users = np.arange(full + thin)
    times = np.where(users < full, users, DAY + users)
    parts = cuts(users.tolist(), times.tolist(), 2)
    assert [(part.date, part.buckets) for part in parts] == [
        ("1970-01-01", (0,)),
        ("1970-01-01", (1,)),
        ("1970-01-02", (0, 1)),
    ]


def test_a_batch_without_rows_has_no_files() -> None:
    assert cuts([], [], 8) == []


def encoded(users: list[int], times: list[int]) -> tuple[DataFile, bytes]:
    (part,) = cuts(users, times, 1)
    rows = batch(users, times).take(pa.array(part.rows))
    file, body = raw_files.encode(rows, part, "heap.events", 2, 100, 103)
    return file, body.to_pybytes()


def test_a_file_says_of_itself_what_the_record_says() -> None:
    file, body = encoded([5, 5, 5], [30, 10, 20])
    assert file.key.startswith("raw/heap.events/date=1970-01-01/bucket=00/2-100-103-")
    assert file.key.endswith(".parquet")
    assert (file.bytes, file.rows, file.buckets) == (len(body), 3, (0,))
    assert (file.min_time, file.max_time) == (10, 30)
    back = pq.read_table(pa.BufferReader(body))
    assert back.column("n").to_pylist() == [1, 2, 0]
    assert back.schema.field("time").type == pa.timestamp("us")


def test_equal_rows_make_an_equal_file_so_a_retry_overwrites_itself() -> None:
    assert encoded([1, 2], [3, 4]) == encoded([1, 2], [3, 4])


def test_a_column_that_is_null_throughout_is_left_out_and_read_as_null() -> None:
    (part,) = cuts([1], [2], 1)
    rows = batch([1], [2]).append_column("path", pa.nulls(1, pa.string()))
    file, body = raw_files.encode(rows, part, "t", 0, 0, 1)
    assert "path" not in pq.read_schema(pa.BufferReader(body)).names
    store = MemoryStore()
    store.put(file.key, body.to_pybytes())
    read = read_raw(store, file, ["path", "user_id"])
    assert read.to_pylist() == [{"path": None, "user_id": 1}]
    assert read.schema.field("path").type == pa.string()


@pytest.mark.parametrize("topic", ["", "a/b", "..", "a b", "x" * 250])
def test_a_topic_that_is_no_topic_never_becomes_a_path(topic: str) -> None:
    with pytest.raises(ValueError, match="not a Kafka topic name"):
        layout.raw_file(topic, "2026-01-01", 0, 0, 0, 1, "d")


def test_buckets_are_stable_for_ever() -> None:
    """These numbers are part of the lake's format."""
    ids = np.array([0, 1, 2, 12345, 2**63 - 1], np.int64)
    assert buckets_of(ids, 8).tolist() == [7, 1, 6, 0, 7]
