"""Which Parquet column may go into which table column, and how it is checked and written.

No official table of Parquet to Redshift types exists; these are the pairs known to load. Physical
and logical type have to fit exactly, as the columnar scanner wants them; only integers may widen.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from loader.local.redshift.copy_errors import LoadError
from loader.local.redshift.errormap import null_text

_INTEGERS = {"smallint": 16, "integer": 32, "bigint": 64}
MAX_SUPER_STRING = 65_535


@dataclass(frozen=True, slots=True)
class Target:
    """One column of the table.

    Attributes:
        name: as the client knows it.
        type_name: PostgreSQL's spelling, without length.
        limit: bytes of a VARCHAR or CHAR; 0 where there is none.
        precision: digits of a DECIMAL.
        scale: digits behind the point.
        not_null: NULL is refused.
        has_default: filled by itself when left out (DEFAULT or IDENTITY).
        identity: an IDENTITY column: ``""``, ``always``, ``by default``.
    """

    name: str
    type_name: str
    limit: int = 0
    precision: int = 0
    scale: int = 0
    not_null: bool = False
    has_default: bool = False
    identity: str = ""


def fits(arrow: pa.DataType, target: Target) -> bool:
    """Whether a Parquet column, seen as an Arrow type, may go into the table column."""
    kind = target.type_name
    if kind in _INTEGERS:
        return _integer_fits(arrow, _INTEGERS[kind])
    if kind in ("character varying", "character"):
        return _is_text(arrow)
    if kind == "numeric":
        same = (target.precision, target.scale)
        return bool(pa.types.is_decimal(arrow)) and (arrow.precision, arrow.scale) == same
    if kind == "super":
        return _is_text(arrow) or bool(pa.types.is_nested(arrow))
    simple = {
        "varbyte": pa.types.is_binary,
        "boolean": pa.types.is_boolean,
        "real": pa.types.is_float32,
        "double precision": pa.types.is_float64,
        "date": pa.types.is_date32,
        "time without time zone": pa.types.is_time,
        "timestamp without time zone": pa.types.is_timestamp,
        "timestamp with time zone": pa.types.is_timestamp,
    }
    test = simple.get(kind)
    if test is None or not test(arrow):
        return False
    return kind != "timestamp with time zone" or arrow.tz is not None


def arrow_type(target: Target) -> pa.DataType:
    """The Arrow type that holds the column's values."""
    if target.type_name == "numeric":
        return pa.decimal128(target.precision, target.scale)
    return _ARROW[target.type_name]


_ARROW = {
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "time without time zone": pa.time64("us"),
    "timestamp without time zone": pa.timestamp("us"),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
    "character varying": pa.string(),
    "character": pa.string(),
    "super": pa.string(),
    "varbyte": pa.binary(),
}


def _is_text(arrow: pa.DataType) -> bool:
    return bool(pa.types.is_string(arrow) or pa.types.is_large_string(arrow))


def _integer_fits(arrow: pa.DataType, bits: int) -> bool:
    if pa.types.is_signed_integer(arrow):
        return bool(arrow.bit_width <= bits)
    return pa.types.is_unsigned_integer(arrow) and bool(arrow.bit_width < bits)


def is_nanoseconds(arrow: pa.DataType) -> bool:
    """Whether the values would arrive as garbage on a real cluster."""
    timed = pa.types.is_timestamp(arrow) or pa.types.is_time64(arrow)
    return bool(timed and arrow.unit == "ns")


def incompatible(target: Target, physical: str, file: str) -> LoadError:
    """The scanner's refusal of a type."""
    shown = _COLUMN_TYPES.get(target.type_name, target.type_name.upper())
    text = (
        f"File '{file}' has an incompatible Parquet schema for column '{target.name}'. "
        f"Column type: {shown}, Parquet schema: {physical}"
    )
    return LoadError(15007, text, file=file, column=target.name, type_name=target.type_name)


_COLUMN_TYPES = {
    "character varying": "VARCHAR",
    "character": "CHAR",
    "timestamp without time zone": "TIMESTAMP",
    "timestamp with time zone": "TIMESTAMPTZ",
    "numeric": "DECIMAL",
    "integer": "INT",
}


def check_values(column: pa.Array, target: Target, file: str, first_row: int) -> None:
    """Check one column of one batch: NULLs, byte lengths, UTF-8.

    Args:
        column: the values.
        target: where they go.
        file: URL for the message.
        first_row: rows of the file before this batch.

    Raises:
        LoadError: the first value that Redshift would refuse.
    """
    if target.not_null and column.null_count:
        row = first_row + pc.index(column.is_null(), value=True).as_py() + 1
        raise LoadError(
            8007, null_text(target.name), null_text(target.name), file=file, column=target.name,
            type_name=target.type_name, line=row,
        )  # fmt: skip
    if not _is_text(column.type):
        return
    limit = target.limit or MAX_SUPER_STRING
    sizes = pc.binary_length(column)
    longest = pc.max(sizes).as_py()
    if longest is None or longest <= limit:
        if target.type_name == "character":
            _check_single_bytes(column, target, file, first_row)
        return
    row = pc.index(pc.greater(sizes, limit), value=True).as_py()
    size = sizes[row].as_py()
    if target.type_name == "super":
        text = f"1224 String value exceeds the max size of {limit} bytes"
    else:
        text = (
            f"The length of the data column {target.name} is longer than the length defined in "
            f"the table. Table: {limit}, Data: {size}, File name: {file}"
        )
    raise LoadError(
        15007, text, file=file, column=target.name, type_name=target.type_name,
        length=str(limit), line=first_row + row + 1, value=column[row].as_py()[:256],
    )  # fmt: skip


def _check_single_bytes(column: pa.Array, target: Target, file: str, first_row: int) -> None:
    """CHAR holds single-byte characters only (AWS docs: Character types)."""
    plain = pc.equal(pc.binary_length(column), pc.utf8_length(column))
    row = pc.index(plain, value=False).as_py()
    if row >= 0:
        raise LoadError(
            15007, f"Multibyte character not supported for CHAR column {target.name}", file=file,
            column=target.name, type_name="character", length=str(target.limit),
            line=first_row + row + 1, value=column[row].as_py()[:256],
        )  # fmt: skip
