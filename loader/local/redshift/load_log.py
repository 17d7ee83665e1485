"""What a COPY leaves in the system tables, written beside the client's transaction.

A rollback keeps it, as on Redshift: a row of STL_LOAD_COMMITS says that a file was read, not that the
transaction was committed (AWS docs: STL_LOAD_COMMITS, STL_LOAD_ERRORS, SYS_LOAD_HISTORY).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from loader.local.redshift.copy_errors import LoadError
from loader.local.redshift.copy_statement import CopyStatement
from loader.local.redshift.copy_text import RowError
from loader.local.redshift.copy_types import Target
from loader.local.redshift.downloads import Progress
from loader.local.redshift.plan import Engine

Row = dict[str, object]
_DETAILED = 20  # rows whose fields STL_LOADERROR_DETAIL keeps
_KEPT = 1_000  # rows in error that are kept, of one COPY
_FORMATS = {"parquet": "Parquet", "json": "JSON"}
_TYPES = {
    "smallint": "int2", "integer": "int4", "bigint": "int8", "real": "float4",
    "double precision": "float8", "boolean": "bool", "character varying": "varchar",
    "character": "char", "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz", "time without time zone": "time",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Load:
    """One run of a COPY, with its ids in the system tables.

    Attributes:
        oid: the table.
        user: id of who runs it.
        database: where.
        started: UTC without zone.
    """

    statement: CopyStatement
    oid: int
    query: int
    transaction: int
    process: int
    user: int
    database: str
    started: datetime


def now() -> datetime:
    """The time, UTC without zone, as system tables hold it."""
    return datetime.now(UTC).replace(tzinfo=None)


async def finished(
    load: Load, status: str, progress: Progress, errors: int, engine: Engine
) -> None:
    """Write SYS_LOAD_HISTORY and STL_LOAD_COMMITS; status ``completed`` or ``aborted``."""
    ended, done = now(), status == "completed"
    scanned = progress.bytes
    await engine.log.write(
        "load_history",
        {
            "user_id": load.user,
            "query_id": load.query,
            "transaction_id": load.transaction,
            "session_id": load.process,
            "database_name": load.database,
            "status": status,
            "table_name": engine.names.restore(load.statement.parts[-1]),
            "start_time": load.started.isoformat(" "),
            "end_time": ended.isoformat(" "),
            "duration": int((ended - load.started).total_seconds() * 1_000_000),
            "data_source": load.statement.url,
            "file_format": load.statement.format,
            "loaded_rows": progress.rows if done else 0,
            "loaded_bytes": scanned if done else 0,
            "source_file_count": len(progress.files),
            "source_file_bytes": scanned,
            "file_count_scanned": len(progress.files),
            "file_bytes_scanned": scanned,
            "error_count": errors,
            "copy_job_id": -1,
        },
    )
    await engine.log.write_all(
        "load_commit",
        [
            {
                "userid": load.user,
                "query": load.query,
                "slice": 0,
                "name": _cut(file.source.url, 256),
                "filename": _cut(file.source.url, 256),
                "byte_offset": -1,
                "lines_scanned": file.lines,
                "errors": file.errors,
                "curtime": ended.isoformat(" "),
                "status": 1,
                "file_format": _FORMATS.get(load.statement.format, "Text"),
                "is_partial": 0,
                "start_offset": 0,
                "copy_job_id": -1,
            }
            for file in progress.files
        ],
    )


async def scan_error(load: Load, error: LoadError, engine: Engine) -> None:
    """Write the one error of a columnar COPY, if it is about data."""
    if error.about_data:
        row = _error(load, error.file, error.line, error.code, error.context)
        row |= {
            "colname": error.column,
            "type": _TYPES.get(error.type_name, error.type_name)[:10],
            "col_length": error.length[:10],
            "raw_field_value": _cut(error.value, 1024),
        }
        await engine.log.write("load_error", row)


async def row_errors(load: Load, failed: Sequence[RowError], engine: Engine) -> None:
    """Write the rows that could not be loaded, and the fields of the first of them."""
    rows, details = [], []
    for error in failed[:_KEPT]:
        row = _error(load, error.file, error.record.line, error.error.code, error.error.reason)
        column = error.column
        row |= {
            "colname": column.name if column else "",
            "type": _TYPES.get(column.type_name, column.type_name)[:10] if column else "",
            "col_length": _length(column) if column else "",
            "position": error.position,
            "raw_line": _cut(error.record.raw, 1024),
            "raw_field_value": _cut(error.value, 1024),
        }
        rows.append(row)
    for error in failed[:_DETAILED]:
        details += _details(load, error)
    await engine.log.write_all("load_error", rows)
    await engine.log.write_all("load_error_detail", details)


def _error(load: Load, file: str, line: int, code: int, reason: str) -> Row:
    return {
        "userid": load.user,
        "slice": 0,
        "tbl": load.oid,
        "starttime": load.started.isoformat(" "),
        "session": load.process,
        "query": load.query,
        "filename": _cut(file, 256),
        "line_number": line,
        "position": 0,
        "raw_line": "",
        "err_code": code,
        "err_reason": _cut(reason, 100),
        "is_partial": 0,
        "start_offset": 0,
        "copy_job_id": -1,
        "transaction_id": load.transaction,
        "database_name": load.database,
        "error_message": _cut(reason, 512),
    }


def _details(load: Load, error: RowError) -> list[Row]:
    return [
        {
            "userid": load.user,
            "slice": 0,
            "session": load.process,
            "query": load.query,
            "filename": _cut(error.file, 256),
            "line_number": error.record.line,
            "field": place,
            "colname": target.name,
            "value": _cut(given.text or "", 1024),
            "is_null": int(given.text is None),
            "type": _TYPES.get(target.type_name, target.type_name)[:10],
            "col_length": _length(target),
        }
        for place, (target, given) in enumerate(error.fields)
    ]


def _length(column: Target) -> str:
    if column.type_name == "numeric":
        return f"{column.precision}, {column.scale}"
    return str(column.limit)


def _cut(text: str, size: int) -> str:
    """At most ``size`` bytes of UTF-8; what is none of it in the file is replaced."""
    return text.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")
