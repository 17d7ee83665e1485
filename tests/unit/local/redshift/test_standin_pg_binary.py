"""Arrow columns as PostgreSQL's binary COPY rows, read back by a decoder written from its documentation."""

from __future__ import annotations

import datetime as dt
import struct
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.local.redshift import pg_binary

_FORMATS = {
    "smallint": "!h", "integer": "!i", "bigint": "!q", "real": "!f", "double precision": "!d",
    "boolean": "!?",
}  # fmt: skip
_WIDE = Context(prec=80)
_EPOCH = dt.datetime(2000, 1, 1)  # noqa: DTZ001


def _value(raw: bytes, kind: str) -> Any:
    if kind in _FORMATS:
        return struct.unpack(_FORMATS[kind], raw)[0]
    if kind == "numeric":
        count, weight, sign, scale = struct.unpack_from("!hhhh", raw)
        digits = struct.unpack_from(f"!{count}h", raw, 8)
        assert len(raw) == 8 + 2 * count
        assert all(0 <= digit < 10_000 for digit in digits)
        total = sum(d * 10 ** (4 * (count - 1 - place)) for place, d in enumerate(digits))
        exact = Decimal(-total if sign else total).scaleb(4 * (weight - count + 1), _WIDE)
        return exact.quantize(Decimal((0, (1,), -scale)), context=_WIDE)
    if kind == "date":
        return (_EPOCH + dt.timedelta(days=struct.unpack("!i", raw)[0])).date()
    if kind.startswith("timestamp"):
        return _EPOCH + dt.timedelta(microseconds=struct.unpack("!q", raw)[0])
    return raw


def _decode(raw: bytes, kinds: list[str]) -> list[list[Any]]:
    rows, at = [], 0
    while at < len(raw):
        (count,) = struct.unpack_from("!h", raw, at)
        assert count == len(kinds)
        at += 2
        row = []
        for kind in kinds:
            (size,) = struct.unpack_from("!i", raw, at)
            at += 4
            row.append(None if size < 0 else _value(raw[at : at + size], kind))
            at += max(size, 0)
        rows.append(row)
    return rows


def _round(columns: list[tuple[pa.Array, str]]) -> list[list[Any]]:
    arrays, kinds = [c for c, _ in columns], [k for _, k in columns]
    return _decode(bytes(pg_binary.rows(arrays, kinds)), kinds)


def test_every_type_with_nulls_between() -> None:
    at = dt.datetime(1969, 12, 31, 23, 59, 59, 999999)  # noqa: DTZ001
    columns = [
        (pa.array([-5, None, 7], pa.int16()), "smallint"),
        (pa.array([2**31 - 1, None, -(2**31)], pa.int32()), "integer"),
        (pa.array([2**63 - 1, None, -(2**63)], pa.int64()), "bigint"),
        (pa.array([1.5, None, float("inf")], pa.float32()), "real"),
        (pa.array([-0.0, None, 1e308]), "double precision"),
        (pa.array([True, None, False]), "boolean"),
        (pa.array([at.date(), None, dt.date(9999, 12, 31)]), "date"),
        (pa.array([at, None, at], pa.timestamp("us")), "timestamp without time zone"),
        (pa.array([at, None, at], pa.timestamp("us", "UTC")), "timestamp with time zone"),
        (pa.array(["", None, "äö\n"]), "character varying"),
        (pa.array([b"", None, b"\xff\0"]), "varbyte"),
        (pa.array([None, None, None], pa.string()), "super"),
        (pa.nulls(3), "numeric"),
    ]
    first, second, third = _round(columns)
    assert first == [
        -5,
        2**31 - 1,
        2**63 - 1,
        1.5,
        0.0,
        True,
        at.date(),
        at,
        at,
        b"",
        b"",
        None,
        None,
    ]
    assert str(first[4]) == "-0.0"
    assert second == [None] * len(columns)
    assert third[7:11] == [at, at, "äö\n".encode(), b"\xff\0"]


def test_a_slice_of_a_batch_and_text_under_a_null() -> None:
    mask = pa.py_buffer(b"\x05")  # the second is NULL, though it has text
    offsets = pa.py_buffer(struct.pack("<4i", 0, 2, 4, 6))
    text = pa.Array.from_buffers(pa.string(), 3, [mask, offsets, pa.py_buffer(b"aabbcc")])
    numbers = pa.array([1, 2, 3, 4], pa.int32()).slice(1)
    money = pa.array([Decimal("0.00"), Decimal("-1.50"), None, Decimal("2.25")]).slice(1)
    kinds = [(numbers, "bigint"), (text, "character varying"), (money, "numeric")]
    assert _round(kinds) == [
        [2, b"aa", Decimal("-1.50")], [3, None, None], [4, b"cc", Decimal("2.25")]
    ]  # fmt: skip


def test_no_rows() -> None:
    assert _round([(pa.array([], pa.int64()), "bigint")]) == []


@st.composite
def _decimals(draw: st.DrawFn) -> tuple[int, int, list[Decimal | None]]:
    precision = draw(st.integers(1, 38))
    scale = draw(st.integers(0, min(37, precision)))
    top = 10**precision - 1
    whole = st.one_of(st.none(), st.integers(-top, top), st.sampled_from([top, -top, 0, 1, -1]))
    unscaled = draw(st.lists(whole, min_size=1, max_size=5))
    return (
        precision,
        scale,
        [None if n is None else Decimal(n).scaleb(-scale, _WIDE) for n in unscaled],
    )


@settings(max_examples=30)
@given(_decimals())
def test_decimals_of_every_width(made: tuple[int, int, list[Decimal | None]]) -> None:
    precision, scale, values = made
    column = pa.array(values, pa.decimal128(precision, scale))
    assert _round([(column, "numeric")]) == [[value] for value in values]


def test_a_time_that_does_not_fit_is_refused() -> None:
    column = pa.array([2**63 - 1], pa.int64()).cast(pa.timestamp("ms"))
    with pytest.raises(pa.ArrowInvalid):
        pg_binary.rows([column], ["timestamp without time zone"])
