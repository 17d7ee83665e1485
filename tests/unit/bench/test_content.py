"""A benchmark's figure counts only if the files hold what the topic holds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from bench.content import Content, ContentDiffers, check
from loader.codec.fields import EVENTS

_TIME = datetime(2026, 11, 20, 12, 0, 0, 250, UTC)
_MICROS = 1_795_176_000_000_250
#: Two events; ids that a sum in 64 bits would not survive.
_TRUTH = Content(rows=2, event_ids=2 * (2**63 - 1), times=2 * _MICROS, paths=1, properties=2)


def _table(**changed: pa.Array) -> pa.Table:
    texts = pa.array([None, None], pa.string())
    pairs = pa.array(
        [[("plan", "pro"), ("price", "5"), ("ref", None)], None],
        EVENTS.columns.field("properties").type,
    )
    columns: dict[str, Any] = {
        **dict.fromkeys(EVENTS.ids, pa.array([2**63 - 1] * 2)),
        "time": pa.array([_TIME] * 2, pa.timestamp("us", "UTC")),
        **dict.fromkeys(EVENTS.texts, texts),
        **dict.fromkeys(EVENTS.maps, pairs),
        "path": pa.array(["/pricing", None]),
    }
    return pa.table(columns | changed)


def _check(folder: Path, *tables: pa.Table) -> None:
    (folder / "date=2026-11-20").mkdir()
    for i, table in enumerate(tables):
        pq.write_table(table, folder / "date=2026-11-20" / f"{i}.parquet")
    check(pafs.LocalFileSystem(), str(folder), _TRUTH)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"time": pa.array([_MICROS] * 2)},
        {"time": pa.array([_TIME.replace(tzinfo=None)] * 2, pa.timestamp("us"))},
        {"time": pa.array([_MICROS * 1000] * 2).cast(pa.timestamp("ns"))},
        {"properties": pa.array(['{"plan":"pro","price":5,"ref":null}', None])},
    ],
    ids=["as ours", "integer time", "no zone", "nanoseconds", "JSON text"],
)
def test_every_way_to_write_the_same_events_agrees(
    tmp_path: Path, changed: dict[str, pa.Array]
) -> None:
    _check(tmp_path, _table(**changed))


def test_events_may_be_spread_over_files(tmp_path: Path) -> None:
    _check(tmp_path, _table().slice(0, 1), _table().slice(1))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"event_id": pa.array([2**63 - 1, 7])}, "event_ids"),
        ({"time": pa.array([_MICROS, _MICROS + 1])}, "times"),
        ({"path": pa.array([None, None], pa.string())}, "paths"),
        ({"properties": pa.array(['{"plan":"pro"}', None])}, "properties"),
    ],
)
def test_other_content_is_refused(tmp_path: Path, changed: dict[str, pa.Array], named: str) -> None:
    with pytest.raises(ContentDiffers, match=named):
        _check(tmp_path, _table(**changed))


def test_a_row_too_few_or_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContentDiffers, match="rows 3 instead of 2"):
        _check(tmp_path, _table(), _table().slice(0, 1))


def test_a_missing_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContentDiffers, match="utm_term"):
        _check(tmp_path, _table().drop_columns("utm_term"))


def test_only_files_that_a_log_names_count_and_they_may_leave_out_what_is_null(
    tmp_path: Path,
) -> None:
    pq.write_table(_table().drop_columns("utm_term"), tmp_path / "part-0.parquet")
    pq.write_table(_table(), tmp_path / "part-1.parquet")
    system, named = pafs.LocalFileSystem(), {str(tmp_path / "part-0.parquet")}
    assert check(system, str(tmp_path), _TRUTH, named=named).files == 1
    with pytest.raises(ContentDiffers, match="rows 4 instead of 2"):
        check(system, str(tmp_path), _TRUTH, named={*named, str(tmp_path / "part-1.parquet")})


def test_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "_metadata").mkdir()
    pq.write_table(_table(), tmp_path / "_metadata" / "0.parquet")
    with pytest.raises(ContentDiffers, match="no Parquet file"):
        check(pafs.LocalFileSystem(), str(tmp_path), _TRUTH)
