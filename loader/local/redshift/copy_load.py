"""COPY itself: files of S3 into a table, inside the client's transaction.

The backend session runs ``COPY ... FROM STDIN``, so BEGIN and ROLLBACK cover it. The event loop
stays free: reading, checking and writing rows run in a thread, one batch ahead of the socket.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from dataclasses import replace

from loader.local.redshift import copy_text, load_log, parquet
from loader.local.redshift.copy_errors import LoadError, no_prefix
from loader.local.redshift.copy_statement import CopyStatement
from loader.local.redshift.copy_text import Failures, TooManyErrors
from loader.local.redshift.copy_types import Target
from loader.local.redshift.downloads import Progress
from loader.local.redshift.errors import SqlError
from loader.local.redshift.load_log import Load
from loader.local.redshift.names import shorten
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
SELECT c.oid, nextval('pg_stand_in.query_id'), pg_current_xact_id(), pg_backend_pid(),
    (SELECT oid FROM pg_roles WHERE rolname = current_user)
FROM pg_class c WHERE c.oid = to_regclass({name}) AND c.relkind = 'r'
"""


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
    oid, query, transaction, process, user = (int(str(value)) for value in about[0])
    database = engine.config.backend.database
    load = Load(statement, oid, query, transaction, process, user, database, load_log.now())
    rows = await engine.run(_COLUMNS.format(oid=load.oid))
    targets = _chosen([_target(row, engine) for row in rows], statement, engine)
    progress, failures = Progress(), Failures()
    try:
        await _load(load, targets, engine, progress, failures)
    except TooManyErrors:
        await load_log.row_errors(load, failures.rows, engine)
        await load_log.finished(load, "aborted", progress, len(failures.rows), engine)
        shown = engine.names.restore(statement.parts[-1])
        text = (
            f"Load into table '{shown}' failed.  Check 'stl_load_errors' system table for details."
        )
        raise SqlError("XX000", text) from None
    except LoadError as error:
        await load_log.scan_error(load, error, engine)
        await load_log.finished(load, "aborted", progress, 1, engine)
        # Whoever saw it first, the backend's COPY has failed with it if it had begun.
        raise error.sql_error(load.query, load.process) from None
    except SqlError:
        await load_log.finished(load, "aborted", progress, 1, engine)
        raise
    engine.state.copy_count = progress.rows
    await load_log.row_errors(load, failures.rows, engine)
    await load_log.finished(load, "completed", progress, len(failures.rows), engine)
    await _tell(load, progress, len(failures.rows), engine)


async def _tell(load: Load, progress: Progress, failed: int, engine: Engine) -> None:
    head = f"Load into table '{engine.names.restore(load.statement.parts[-1])}' completed, "
    await engine.notify("INFO", f"{head}{progress.rows} record(s) loaded successfully.")
    if failed:
        see = "Check 'stl_load_errors' system table for details."
        await engine.notify("INFO", f"{head}{failed} record(s) could not be loaded.  {see}")


async def _load(
    load: Load,
    targets: Sequence[Target],
    engine: Engine,
    progress: Progress,
    failures: Failures,
) -> None:
    statement = load.statement
    bucket = Bucket(engine.config.s3, statement.credentials)
    with contextlib.closing(bucket):
        sources = await asyncio.to_thread(_sources, bucket, statement)
        # From here on it loads; what fails before keeps the last COPY's (AWS docs: PG_LAST_COPY_ID).
        engine.state.copy_id, engine.state.copy_count = load.query, 0
        pieces: Generator[memoryview, None, None]
        if statement.format == "parquet":
            pieces = parquet.chunks(bucket, sources, targets, statement.flags, progress)
        else:
            pieces = copy_text.chunks(bucket, sources, targets, statement, progress, failures)
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


def _sources(bucket: Bucket, statement: CopyStatement) -> list[Source]:
    """The files of a COPY. Blocks.

    Raises:
        LoadError: one that must be there is not.
    """
    columnar = statement.format == "parquet"
    if "manifest" in statement.flags:
        return bucket.manifest(statement.url, columnar=columnar)
    found = bucket.prefix(statement.url)
    if not found and not columnar:
        raise no_prefix(statement.url)
    return [source for source in found if source.size]


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
