"""COPY itself: files of a manifest into a table, inside the client's transaction.

The backend session runs ``COPY ... FROM STDIN``, so BEGIN and ROLLBACK cover it. The event loop
stays free: reading, checking and printing run in a thread, one batch ahead of the socket.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from loader.local.redshift.copy_errors import LoadError
from loader.local.redshift.copy_grammar import CopyStatement
from loader.local.redshift.copy_types import Target
from loader.local.redshift.errors import SqlError
from loader.local.redshift.names import shorten
from loader.local.redshift.parquet import Progress, chunks
from loader.local.redshift.plan import Engine, Script
from loader.local.redshift.s3 import Bucket, Source
from loader.local.redshift.tokens import literal, name

_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, NULL), a.atttypmod, a.attnotnull,
    a.atthasdef, a.attidentity
FROM pg_attribute a WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""
_ABOUT = """
SELECT c.oid, nextval('pg_stand_in.query_id'), pg_current_xact_id(), pg_backend_pid()
FROM pg_class c WHERE c.oid = to_regclass({name}) AND c.relkind = 'r'
"""


@dataclass(frozen=True, slots=True)
class _Load:
    """One run of a COPY: its place and its ids in the system tables."""

    statement: CopyStatement
    oid: int
    query: int
    transaction: int
    process: int
    started: datetime


def copy_script(statement: CopyStatement) -> Script:
    """Plan a COPY."""

    async def action(engine: Engine) -> str:
        await _copy(statement, engine)
        return "COPY"

    return Script(action)


async def _copy(statement: CopyStatement, engine: Engine) -> None:
    about = await engine.run(_ABOUT.format(name=literal(statement.table).text))
    if not about:
        text = f"Cannot COPY into nonexistent table {statement.parts[-1]}"
        raise SqlError("XX000", text)
    oid, query, transaction, process = (int(str(value)) for value in about[0])
    started = datetime.now(UTC).replace(tzinfo=None)
    load = _Load(statement, oid, query, transaction, process, started)
    rows = await engine.run(_COLUMNS.format(oid=load.oid))
    targets = _chosen([_target(row, engine) for row in rows], statement, engine)
    engine.state.copy_id, engine.state.copy_count = load.query, 0
    progress = Progress()
    try:
        await _load(load, targets, engine, progress)
    except LoadError as error:
        await _log_error(load, error, engine)
        await _log(load, "aborted", progress, engine)
        # Whoever saw it first, the backend's COPY has failed with it if it had begun.
        raise error.sql_error(load.query, load.process) from None
    except SqlError:
        await _log(load, "aborted", progress, engine)
        raise
    engine.state.copy_count = progress.rows
    await _log(load, "completed", progress, engine)
    shown = engine.names.restore(statement.parts[-1])
    await engine.notify(
        "INFO",
        f"Load into table '{shown}' completed, {progress.rows} record(s) loaded successfully.",
    )


async def _load(load: _Load, targets: Sequence[Target], engine: Engine, progress: Progress) -> None:
    statement = load.statement
    bucket = Bucket(engine.config.s3, statement.credentials)
    with contextlib.closing(bucket):
        read = bucket.manifest if "manifest" in statement.flags else bucket.prefix
        sources: list[Source] = await asyncio.to_thread(read, statement.url)
        pieces = chunks(bucket, sources, targets, statement.flags, progress)
        columns = ", ".join(name(shorten(target.name)).text for target in targets)
        sql = f"COPY {statement.table} ({columns}) FROM STDIN (FORMAT binary)"
        ahead = _ahead(pieces)
        try:
            await engine.backend.copy_in(sql, ahead)
        finally:
            await ahead.aclose()
            pieces.close()
        if statement.statupdate:
            await engine.run(f"ANALYZE {statement.table}")


async def _ahead(pieces: Iterator[memoryview]) -> AsyncGenerator[memoryview, None]:
    """Make the next piece while the last one is sent."""
    task = asyncio.create_task(asyncio.to_thread(next, pieces, None))
    try:
        while (piece := await task) is not None:
            task = asyncio.create_task(asyncio.to_thread(next, pieces, None))
            yield piece
    finally:
        if not task.done():  # a thread cannot be cancelled: let it finish its batch
            await asyncio.wait({task})
        if not task.cancelled():
            task.exception()


def _target(row: Sequence[str | None], engine: Engine) -> Target:
    short, kind, modifier, not_null, has_default, identity = (value or "" for value in row)
    typmod = int(modifier)
    target = Target(
        engine.names.restore(short),
        kind,
        not_null=not_null == "t",
        has_default=has_default == "t" or bool(identity),
        identity={"a": "always", "d": "by default"}.get(identity, ""),
    )
    if kind in ("character varying", "character") and typmod > 0:
        return replace(target, limit=typmod - 4)
    if kind == "numeric" and typmod > 0:
        return replace(target, precision=(typmod - 4) >> 16, scale=(typmod - 4) & 0xFFFF)
    return target


def _chosen(columns: list[Target], statement: CopyStatement, engine: Engine) -> list[Target]:
    """The table columns in the order of the file's columns.

    Raises:
        SqlError: the list names what is not there, or leaves out what has to be filled.
    """
    explicit = "explicit_ids" in statement.flags
    if not statement.columns:
        return [c for c in columns if explicit or c.identity != "always"]
    by_name = {column.name: column for column in columns}
    chosen = []
    for short in statement.columns:
        wanted = engine.names.restore(short)
        if wanted not in by_name:
            text = f'column "{wanted}" of relation "{statement.parts[-1]}" does not exist'
            raise SqlError("42703", text)
        chosen.append(by_name[wanted])
    if len({column.name for column in chosen}) != len(chosen):
        raise SqlError("42701", "column specified more than once")
    left_out = [column for column in columns if column not in chosen]
    if any(column.not_null and not column.has_default for column in left_out):
        text = "NOT NULL column without DEFAULT must be included in column list"
        raise SqlError("42601", text)
    if any(column.identity == "always" for column in chosen) and not explicit:
        raise SqlError("0A000", "cannot set an identity column to a value")
    return chosen


async def _log(load: _Load, status: str, progress: Progress, engine: Engine) -> None:
    ended = datetime.now(UTC).replace(tzinfo=None)
    done = status == "completed"
    await engine.log.write(
        "load_history",
        {
            "user_id": 100,
            "query_id": load.query,
            "transaction_id": load.transaction,
            "session_id": load.process,
            "database_name": engine.config.backend.database,
            "status": status,
            "table_name": engine.names.restore(load.statement.parts[-1]),
            "start_time": load.started.isoformat(" "),
            "end_time": ended.isoformat(" "),
            "duration": int((ended - load.started).total_seconds() * 1_000_000),
            "data_source": load.statement.url,
            "file_format": "parquet",
            "loaded_rows": progress.rows if done else 0,
            "loaded_bytes": progress.bytes if done else 0,
            "source_file_count": progress.files,
            "source_file_bytes": progress.bytes,
            "error_count": 0 if done else 1,
            "copy_job_id": -1,
        },
    )


async def _log_error(load: _Load, error: LoadError, engine: Engine) -> None:
    if not error.about_data:
        return
    await engine.log.write(
        "load_error",
        {
            "userid": 100,
            "slice": 0,
            "tbl": load.oid,
            "starttime": load.started.isoformat(" "),
            "session": load.process,
            "query": load.query,
            "filename": error.file[-256:],
            "line_number": error.line,
            "colname": error.column,
            "type": error.type_name[:10],
            "col_length": error.length[:10],
            "position": 0,
            "raw_field_value": error.value,
            "err_code": error.code,
            "err_reason": error.context[:100],
            "is_partial": 0,
            "start_offset": 0,
            "copy_job_id": -1,
            "transaction_id": load.transaction,
            "database_name": engine.config.backend.database,
            "error_message": error.context[:512],
        },
    )
