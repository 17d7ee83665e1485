"""Splitting a batch into data files: nothing lost, sorted, bounded in number."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.lake import layout, raw_files
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


@given(
    rows=st.lists(st.tuples(st.integers(0, 2**63 - 1), INT64), max_size=80),
    buckets=st.integers(1, 9),
)
def test_every_row_is_in_exactly_one_part_under_its_date_and_bucket(
    rows: list[tuple[int, int]], buckets: int
) -> None:
    whole = batch([user for user, _ in rows], [time for _, time in rows])
    parts = list(raw_files.split(whole, buckets))
    seen = [n for part in parts for n in part.rows.column("n").to_pylist()]
    assert sorted(seen) == list(range(len(rows)))
    for part in parts:
        time = part.rows.column("time").cast(pa.int64()).to_numpy()
        assert (np.diff(time.astype(object)) >= 0).all()
        assert (part.min_time, part.max_time) == (time[0], time[-1])
        users = part.rows.column("user_id").to_numpy()
        assert set(buckets_of(users, buckets).tolist()) <= set(part.buckets)
        if part.date != layout.MIXED:
            day = dt.date.fromisoformat(part.date).toordinal() - dt.date(1970, 1, 1).toordinal()
            assert set(time // DAY) == {day}
    assert len({(part.date, part.buckets) for part in parts}) == len(parts)


def test_thousands_of_dates_do_not_make_thousands_of_files() -> None:
    days = np.arange(5000) * DAY
    rows = batch([7] * 5000, days.tolist())
    parts = list(raw_files.split(rows, 8))
    assert len(parts) == raw_files.MAX_DATES + 1
    assert [part.date for part in parts].count(layout.MIXED) == 1


def test_a_full_date_is_split_by_bucket_and_a_thin_one_is_not() -> None:
    full = 2 * raw_files.MIN_FILE_ROWS
    users = np.arange(full + 10)
    times = np.where(users < full, users, DAY + users)
    parts = list(raw_files.split(batch(users.tolist(), times.tolist()), 2))
    assert [(part.date, part.buckets) for part in parts] == [
        ("1970-01-01", (0,)),
        ("1970-01-01", (1,)),
        ("1970-01-02", (0, 1)),
    ]


def test_a_batch_without_rows_has_no_files() -> None:
    assert list(raw_files.split(batch([], []), 8)) == []


def test_a_file_says_of_itself_what_the_record_says() -> None:
    (part,) = raw_files.split(batch([5, 5, 5], [30, 10, 20]), 1)
    file, body = raw_files.encode(part, "heap.events", 2, 100, 103)
    assert file.key.startswith("raw/heap.events/date=1970-01-01/bucket=00/2-100-103-")
    assert file.key.endswith(".parquet")
    assert (file.bytes, file.rows, file.buckets) == (len(body), 3, (0,))
    assert (file.min_time, file.max_time) == (10, 30)
    back = pq.read_table(pa.BufferReader(body))
    assert back.column("n").to_pylist() == [1, 2, 0]
    assert back.schema.field("time").type == pa.timestamp("us")


def test_equal_rows_make_an_equal_file_so_a_retry_overwrites_itself() -> None:
    once, twice = (
        raw_files.encode(next(raw_files.split(batch([1, 2], [3, 4]), 1)), "t", 0, 0, 2)
        for _ in range(2)
    )
    assert once == twice


@pytest.mark.parametrize("topic", ["", "a/b", "..", "a b", "x" * 250])
def test_a_topic_that_is_no_topic_never_becomes_a_path(topic: str) -> None:
    with pytest.raises(ValueError, match="not a Kafka topic name"):
        layout.raw_file(topic, "2026-01-01", 0, 0, 0, 1, "d")


def test_buckets_are_stable_for_ever() -> None:
    """These numbers are part of the lake's format."""
    ids = np.array([0, 1, 2, 12345, 2**63 - 1], np.int64)
    assert buckets_of(ids, 8).tolist() == [7, 1, 6, 0, 7]
