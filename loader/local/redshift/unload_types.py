"""Columns of a query as UNLOAD writes them, from what the backend says of its result."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from loader.local.redshift.errors import SqlError
from loader.local.redshift.wire import Column

# PostgreSQL's type numbers: they never change.
_NUMERIC, _BYTEA, _VARCHAR, _BPCHAR = 1700, 17, 1043, 1042
_TYPES: dict[int, tuple[str, pa.DataType]] = {
    16: ("boolean", pa.bool_()),
    21: ("smallint", pa.int16()),
    23: ("integer", pa.int32()),
    20: ("bigint", pa.int64()),
    700: ("real", pa.float32()),
    701: ("double precision", pa.float64()),
    1082: ("date", pa.date32()),
    1083: ("time without time zone", pa.time64("us")),
    1114: ("timestamp without time zone", pa.timestamp("us")),
    1184: ("timestamp with time zone", pa.timestamp("us", "UTC")),
    25: ("character varying", pa.string()),
    19: ("character varying", pa.string()),
    _VARCHAR: ("character varying", pa.string()),
    _BPCHAR: ("character", pa.string()),
}
_WIDEST = 38


@dataclass(frozen=True, slots=True)
class Output:
    """One column of the result.

    Attributes:
        name: as the client knows it.
        base: Redshift's name of its type.
        arrow: its type in Parquet.
        limit: bytes of a VARCHAR or CHAR; 0 where there is none.
    """

    name: str
    base: str
    arrow: pa.DataType
    limit: int = 0


def unlimited_numbers(columns: Sequence[Column]) -> list[int]:
    """Places of the DECIMALs whose scale the backend does not know: sums and averages."""
    return [
        place for place, column in enumerate(columns) if _kind(column) == (_NUMERIC, -1)
    ]  # fmt: skip


def outputs(
    columns: Sequence[Column], names: Sequence[str], scales: dict[int, int]
) -> list[Output]:
    """The columns.

    Args:
        columns: as the backend describes them.
        names: as the client knows them.
        scales: scale of each column of :func:`unlimited_numbers`.

    Raises:
        SqlError: two columns of one name, or a type that cannot be written.
    """
    if len(set(names)) != len(names):
        raise SqlError("42701", "UNLOAD query has duplicate column names")
    return [
        _output(name, *_kind(column), scales.get(place, 0))
        for place, (column, name) in enumerate(zip(columns, names, strict=True))
    ]


def _kind(column: Column) -> tuple[int, int]:
    """Type number and modifier in a RowDescription."""
    _, _, kind, _, modifier, _ = struct.unpack("!ihihih", column.rest)
    return kind, modifier


def _output(name: str, kind: int, modifier: int, scale: int) -> Output:
    if kind == _NUMERIC:
        precision = _WIDEST
        if modifier >= 0:
            precision, scale = (modifier - 4) >> 16, (modifier - 4) & 0xFFFF
        return Output(name, "numeric", pa.decimal128(precision, scale))
    if kind == _BYTEA:
        raise SqlError("0A000", f'UNLOAD does not support the VARBYTE type of column "{name}"')
    if kind not in _TYPES:
        raise SqlError("0A000", f'stand-in: UNLOAD of column "{name}" is not supported here')
    base, arrow = _TYPES[kind]
    text = kind in (_VARCHAR, _BPCHAR) and modifier > 4
    return Output(name, base, arrow, modifier - 4 if text else 0)
