"""UNLOAD: the rows of a query to files on S3, with what that leaves in the system tables."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

import pyarrow as pa

from loader.local.redshift.copy_errors import LoadError
from loader.local.redshift.errors import SqlError
from loader.local.redshift.load_log import now
from loader.local.redshift.plan import Engine, Script
from loader.local.redshift.s3 import Bucket, split_url
from loader.local.redshift.tokens import name
from loader.local.redshift.unload_files import Files, Written
from loader.local.redshift.unload_grammar import UnloadStatement
from loader.local.redshift.unload_types import Output, outputs, unlimited_numbers

_BATCH_BYTES = 4 << 20
_NOT_EMPTY = (
    "Specified unload destination on S3 is not empty. Consider using a different bucket / prefix, "
    "manually removing the target files in S3, or using the ALLOWOVERWRITE option."
)
_ABOUT = """
SELECT nextval('pg_stand_in.query_id'), pg_current_xact_id(), pg_backend_pid(),
    (SELECT oid FROM pg_roles WHERE rolname = current_user)
"""


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of an UNLOAD, with its ids in the system tables."""

    statement: UnloadStatement
    query: int
    transaction: int
    process: int
    user: int
    started: datetime


def unload_script(statement: UnloadStatement, sql: str) -> Script:
    """Plan an UNLOAD.

    Args:
        statement: it.
        sql: its query in PostgreSQL's words.
    """

    async def action(engine: Engine) -> str:
        await _unload(statement, sql, engine)
        return "UNLOAD"

    return Script(action)


async def _unload(statement: UnloadStatement, sql: str, engine: Engine) -> None:
    query, transaction, process, user = (int(str(v)) for v in (await engine.run(_ABOUT))[0])
    run = _Run(statement, query, transaction, process, user, now())
    columns = await _columns(sql, engine)
    for wanted in statement.partition:
        if wanted not in [output.name for output in columns]:
            raise SqlError("42703", f'column "{wanted}" of PARTITION BY is not in the query')
    if len(set(statement.partition)) == len(columns) and not statement.include:
        text = "UNLOAD cannot partition by all columns of the query without INCLUDE"
        raise SqlError("0A000", text)
    try:
        with contextlib.closing(Bucket(engine.config.s3, statement.credentials)) as bucket:
            files = await _write(statement, sql, columns, bucket, engine)
    except LoadError as error:
        await _log(run, [], error.context, engine)
        raise error.sql_error(query, process) from None
    rows = sum(file.rows for file in files)
    engine.state.unload_id, engine.state.unload_count = query, rows
    await _log(run, files, "", engine)
    await engine.notify("INFO", f"UNLOAD completed, {rows} record(s) unloaded successfully.")


async def _columns(sql: str, engine: Engine) -> list[Output]:
    described = await engine.backend.describe(sql)
    names = [engine.names.restore(column.name) for column in described]
    unknown = unlimited_numbers(described)
    scales: dict[int, int] = {}
    if unknown:
        inside = ", ".join(name(f"c{place}").text for place in range(len(described)))
        asked = ", ".join(f"coalesce(max(scale(c{place})), 0)" for place in unknown)
        (found,) = await engine.run(f"SELECT {asked} FROM ({sql}) q({inside})")  # noqa: S608
        scales = {place: min(37, int(str(v))) for place, v in zip(unknown, found, strict=True)}
    return outputs(described, names, scales)


async def _write(
    statement: UnloadStatement,
    sql: str,
    columns: Sequence[Output],
    bucket: Bucket,
    engine: Engine,
) -> list[Written]:
    place, prefix = split_url(statement.url)
    await asyncio.to_thread(_make_room, bucket, statement)

    def put(key: str, content: IO[bytes]) -> int:
        return bucket.upload(f"s3://{place}/{key}", content)

    files = Files(statement, columns, prefix, put)
    batch = bytearray()
    copy = f"COPY ({sql}) TO STDOUT (FORMAT csv)"
    try:
        async with contextlib.aclosing(engine.backend.copy_out(copy)) as lines:
            async for line in lines:
                batch += line
                if len(batch) >= _BATCH_BYTES:
                    await asyncio.to_thread(files.add, bytes(batch))
                    batch.clear()
        if batch:
            await asyncio.to_thread(files.add, bytes(batch))
        await asyncio.to_thread(files.close)
    except pa.ArrowInvalid as error:
        text = f"stand-in: UNLOAD cannot write a value of this query: {error}"
        raise SqlError("22000", text) from None
    finally:
        files.abandon()
    if statement.manifest and files.written:
        document = _manifest(statement, columns, place, files.written)
        body = json.dumps(document).encode()
        await asyncio.to_thread(bucket.write, f"{statement.url}manifest", body)
    return files.written


def _make_room(bucket: Bucket, statement: UnloadStatement) -> None:
    """Look at the destination. Blocks.

    Raises:
        LoadError: something is there.
    """
    if "allowoverwrite" in statement.flags:
        return
    found = bucket.prefix(statement.url)
    if found and "cleanpath" not in statement.flags:
        raise LoadError(8001, _NOT_EMPTY, message=_NOT_EMPTY)
    for source in found:
        bucket.delete(source.url)


def _manifest(
    statement: UnloadStatement, columns: Sequence[Output], bucket: str, files: Sequence[Written]
) -> dict[str, Any]:
    """What MANIFEST writes; COPY reads it again (AWS docs: UNLOAD, MANIFEST)."""
    verbose = statement.manifest == "verbose"
    entries: list[dict[str, Any]] = []
    for file in files:
        entry: dict[str, Any] = {"url": f"s3://{bucket}/{file.key}"}
        if verbose or statement.format == "parquet":
            entry["meta"] = {"content_length": file.bytes}
        if verbose:
            entry["meta"]["record_count"] = file.rows
        entries.append(entry)
    document: dict[str, Any] = {"entries": entries}
    if verbose:
        document["schema"] = {"elements": [_element(column) for column in columns]}
        document["meta"] = {
            "content_length": sum(file.bytes for file in files),
            "record_count": sum(file.rows for file in files),
        }
        document["author"] = {"name": "Amazon Redshift", "version": "1.0.0"}
    return document


def _element(column: Output) -> dict[str, Any]:
    kind: dict[str, Any] = {"base": column.base}
    if column.limit:
        kind["max_length"] = column.limit
    if column.base == "numeric":
        kind |= {"precision": column.arrow.precision, "scale": column.arrow.scale}
    return {"name": column.name, "type": kind}


async def _log(run: _Run, files: Sequence[Written], error: str, engine: Engine) -> None:
    statement, ended = run.statement, now()
    place, _ = split_url(statement.url)
    times = {"start_time": run.started.isoformat(" "), "end_time": ended.isoformat(" ")}
    await engine.log.write_all(
        "unload_log",
        [
            {
                "userid": run.user,
                "query": run.query,
                "slice": file.slice,
                "pid": run.process,
                "path": f"s3://{place}/{file.key}",
                **times,
                "line_count": file.rows,
                "transfer_size": file.bytes,
                "file_format": "" if statement.format == "text" else statement.format.upper(),
            }
            for file in files
        ],
    )
    await engine.log.write(
        "unload_history",
        {
            "user_id": run.user,
            "query_id": run.query,
            "transaction_id": run.transaction,
            "session_id": run.process,
            "database_name": engine.config.backend.database,
            "status": "aborted" if error else "completed",
            **times,
            "duration": int((ended - run.started).total_seconds() * 1_000_000),
            "file_format": statement.format,
            "compression_type": statement.compression,
            "unloaded_location": statement.url,
            "unloaded_rows": sum(file.rows for file in files),
            "unloaded_files_count": len(files),
            "unloaded_files_size": sum(file.bytes for file in files),
            "error_message": error,
        },
    )
