"""Rows like those of an event table: 20 columns, wide texts and narrow ones, many NULLs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

_EPOCH = 1_767_225_600_000_000  # 2026-01-01 in microseconds
_ABOUT_A_SECOND = 900_000


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the measured table.

    Attributes:
        name: its name.
        sql: its type in the table.
        arrow: its type in the files.
    """

    name: str
    sql: str
    arrow: pa.DataType


COLUMNS: tuple[Column, ...] = (
    Column("event_id", "BIGINT NOT NULL", pa.int64()),
    Column("user_id", "BIGINT NOT NULL", pa.int64()),
    Column("session_id", "BIGINT", pa.int64()),
    Column("time", "TIMESTAMP NOT NULL", pa.timestamp("us")),
    Column("session_time", "TIMESTAMP", pa.timestamp("us")),
    Column("library", "VARCHAR(255)", pa.string()),
    Column("platform", "VARCHAR(255)", pa.string()),
    Column("device_type", "VARCHAR(255)", pa.string()),
    Column("country", "VARCHAR(255)", pa.string()),
    Column("city", "VARCHAR(255)", pa.string()),
    Column("ip", "VARCHAR(64)", pa.string()),
    Column("browser", "VARCHAR(255)", pa.string()),
    Column("path", "VARCHAR(1024)", pa.string()),
    Column("referrer", "VARCHAR(1024)", pa.string()),
    Column("title", "VARCHAR(1024)", pa.string()),
    Column("utm_source", "VARCHAR(255)", pa.string()),
    Column("amount", "DECIMAL(18,2)", pa.decimal128(18, 2)),
    Column("score", "DOUBLE PRECISION", pa.float64()),
    Column("items", "INTEGER", pa.int32()),
    Column("logged_in", "BOOLEAN", pa.bool_()),
)
SCHEMA = pa.schema([(column.name, column.arrow) for column in COLUMNS])
_WORDS = (
    "alpha",
    "basket",
    "checkout, step",
    'the "new" one',
    "delta",
    "über uns",
    "search",
    "zone",
)


def rows(first: int, count: int) -> pa.Table:
    """``count`` rows from row ``first`` on; the same rows for the same numbers.

    Values look like traffic: ids of 16 digits, paths of some 40 bytes, a third of the cells NULL.
    """
    random = np.random.default_rng(first)
    number = np.arange(first, first + count)
    session = number // 12
    time = _EPOCH + number * _ABOUT_A_SECOND + random.integers(0, _ABOUT_A_SECOND, count)
    words = [f"{a} {b}" for a in _WORDS for b in _WORDS]
    paths = [f"/{a.replace(' ', '-')}/{b.replace(' ', '-')}/{n}" for a in _WORDS for b in _WORDS
             for n in range(1000, 1100)]  # fmt: skip
    ips = [f"10.{n >> 8}.{n & 255}.{n % 251}" for n in range(5000)]
    columns: list[pa.Array] = [
        pa.array(1_000_000_000_000_000 + number * 7919),
        pa.array(2_000_000_000_000_000 + random.integers(0, 500_000, count)),
        pa.array(3_000_000_000_000_000 + session),
        pa.array(time, pa.timestamp("us")),
        pa.array(_EPOCH + session * 12 * _ABOUT_A_SECOND, pa.timestamp("us")),
        _some(random, count, ("web", "ios", "android")),
        _some(random, count, ("Mac OS X 15", "Windows 11", "iOS 26.1", "Android 16")),
        _some(random, count, ("Desktop", "Mobile", "Tablet"), null=0.05),
        _some(random, count, ("United States", "Germany", "Brazil", "Japan"), null=0.02),
        _some(random, count, words, null=0.2),
        _some(random, count, ips),
        _some(random, count, ("Chrome 142", "Safari 26", "Firefox 145"), null=0.3),
        _some(random, count, paths),
        _some(random, count, [f"https://www.example.com{path}" for path in paths], null=0.6),
        _some(random, count, [f"{a} - {b}, shop" for a in words for b in words], null=0.1),
        _some(random, count, ("google", "newsletter"), null=0.9),
        _with_nulls(random, pa.array(random.integers(0, 10_000_000, count)), 0.7)
        .cast(pa.decimal128(20, 0)).view(pa.decimal128(20, 2)).cast(pa.decimal128(18, 2)),
        _with_nulls(random, pa.array(random.random(count) * 100), 0.5),
        _with_nulls(random, pa.array(random.integers(0, 50, count), pa.int32()), 0.5),
        _with_nulls(random, pa.array(random.random(count) < 0.3), 0.1),
    ]  # fmt: skip
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _some(
    random: np.random.Generator, count: int, values: Sequence[str], null: float = 0.0
) -> pa.Array:
    places = pa.array(random.integers(0, len(values), count), pa.int32())
    return pa.array(values).take(_with_nulls(random, places, null))


def _with_nulls(random: np.random.Generator, values: pa.Array, share: float) -> pa.Array:
    if not share:
        return values
    kept: Any = pa.array(random.random(len(values)) >= share)
    return pa.compute.if_else(kept, values, pa.scalar(None, values.type))
