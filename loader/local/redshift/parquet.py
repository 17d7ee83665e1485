"""Parquet files to PostgreSQL's binary COPY, a batch of columns at a time. Blocks; runs in a thread.

Values are never touched one by one: Arrow and numpy check and write whole columns. While one file is
read the next is downloaded.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from loader.local.redshift import copy_types, pg_binary
from loader.local.redshift.copy_errors import LoadError
from loader.local.redshift.copy_types import Target
from loader.local.redshift.downloads import Progress, Scanned, downloads
from loader.local.redshift.errors import SqlError
from loader.local.redshift.s3 import Bucket, Source

_BATCH_BYTES = 8 << 20
_MIN_ROWS, _MAX_ROWS = 256, 65_536


def chunks(
    bucket: Bucket,
    sources: Sequence[Source],
    targets: Sequence[Target],
    flags: frozenset[str],
    progress: Progress,
) -> Generator[memoryview, None, None]:
    """Read all files in order; the pieces together are the input of one binary COPY.

    Args:
        bucket: where the files are.
        sources: the files.
        targets: table columns in the order of the files' columns.
        flags: bare options of the COPY.
        progress: counted up as files are read.

    Raises:
        LoadError: what Redshift would refuse.
        SqlError: what only the stand-in refuses.
    """
    yield memoryview(pg_binary.HEADER)
    with closing(downloads(bucket, sources)) as files:
        for source, local in zip(sources, files, strict=True):
            with local:
                scanned = Scanned(source)
                progress.files.append(scanned)
                try:
                    file = pq.ParquetFile(local, coerce_int96_timestamp_unit="us")
                except pa.ArrowInvalid as error:
                    text = f"File '{source.url}' has an invalid version number: {error}"
                    raise LoadError(15001, text, file=source.url) from None
                for piece, count in _file_chunks(file, source.url, targets, flags):
                    scanned.lines += count
                    progress.rows += count
                    yield piece
    yield memoryview(pg_binary.TRAILER)


def _file_chunks(
    file: pq.ParquetFile,
    url: str,
    targets: Sequence[Target],
    flags: frozenset[str],
) -> Generator[tuple[memoryview, int], None, None]:
    """Pieces of rows, with how many rows each holds."""
    _check_schema(file, url, targets, flags)
    meta = file.metadata
    size = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
    per_row = max(1, size // max(1, meta.num_rows))
    rows = min(_MAX_ROWS, max(_MIN_ROWS, _BATCH_BYTES // per_row))
    types = [target.type_name for target in targets]
    done = 0
    for batch in file.iter_batches(batch_size=rows):
        columns = [_column(batch, index, target, url, done) for index, target in enumerate(targets)]
        done += batch.num_rows
        if batch.num_rows:
            yield pg_binary.rows(columns, types), batch.num_rows


def _storage(arrow: pa.DataType) -> pa.DataType:
    if isinstance(arrow, pa.BaseExtensionType):
        return arrow.storage_type
    return arrow.value_type if pa.types.is_dictionary(arrow) else arrow


def _check_schema(
    file: pq.ParquetFile, url: str, targets: Sequence[Target], flags: frozenset[str]
) -> None:
    schema = file.schema_arrow
    here, wanted = len(schema), len(targets)
    if here > wanted or (here < wanted and "fillrecord" not in flags):
        text = (
            "Unmatched number of columns between table and file. "
            f"Table columns: {wanted}, Data columns: {here}, File name: {url}"
        )
        raise LoadError(15007, text, file=url)
    flat = len(file.schema) == here
    for index, (field, target) in enumerate(zip(schema, targets, strict=False)):
        arrow = _storage(field.type)
        if not copy_types.fits(arrow, target):
            shown = _physical(file, index) if flat else str(arrow)
            raise copy_types.incompatible(target, shown, url)
        if copy_types.is_nanoseconds(arrow):
            text = (
                f'stand-in: column "{target.name}" holds nanoseconds, which Redshift reads as '
                "garbage without an error"
            )
            raise SqlError("XX000", text)
        if target.type_name == "super" and "serializetojson" not in flags:
            text = "SUPER column in COPY query requires SERIALIZETOJSON option"
            raise LoadError(1000, text, message=text, file=url)
        if target.type_name == "numeric" and flat:
            _check_width(file, index, target, url)


def _physical(file: pq.ParquetFile, index: int) -> str:
    leaf = file.schema.column(index)
    need = "optional" if leaf.max_definition_level else "required"
    logical = str(leaf.logical_type)
    note = "" if logical == "None" else f" ({logical})"
    return f"{need} {leaf.physical_type.lower()} {leaf.name}{note}"


def _check_width(file: pq.ParquetFile, index: int, target: Target, url: str) -> None:
    """Fixed bytes have to be as wide as the precision needs, or as Redshift stores it."""
    leaf = file.schema.column(index)
    if leaf.physical_type != "FIXED_LEN_BYTE_ARRAY":
        return
    smallest = (((10**target.precision).bit_length()) + 8) // 8
    stored = 8 if target.precision <= 18 else 16
    if leaf.length not in (smallest, stored):
        text = (
            f"File '{url}' column '{target.name}' has an invalid type length. "
            f"Expecting: {stored} len in file: {leaf.length}"
        )
        raise LoadError(15001, text, file=url, column=target.name, type_name="numeric")


def _column(
    batch: pa.RecordBatch, index: int, target: Target, url: str, first_row: int
) -> pa.Array:
    if index >= batch.num_columns:
        column = pa.nulls(batch.num_rows, pa.string())  # FILLRECORD
    else:
        column = batch.column(index)
        if isinstance(column, pa.ExtensionArray):
            column = column.storage
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_nested(column.type):
            column = _as_json(column)
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        text = f"Invalid UTF-8 in column {target.name}"
        raise LoadError(1220, text, file=url, column=target.name) from None
    copy_types.check_values(column, target, url, first_row)
    return column


def _as_json(column: pa.Array) -> pa.Array:
    with duckdb.connect() as connection:
        values = connection.from_arrow(pa.table({"v": column}))
        json = values.project("to_json(v)::VARCHAR AS v").to_arrow_table()
    return json.column("v").combine_chunks()
