"""Isolation: a write locks its table before its snapshot is taken, and a stale read ends with 1023."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from loader.local.redshift.errors import CYCLE, VIOLATION, SqlError
from loader.local.redshift.plan import Engine
from loader.local.redshift.refs import dotted
from loader.local.redshift.tokens import Token, literal


async def lock_for_write(table: str, engine: Engine) -> None:
    """Lock a table, unless the user may only update some of its columns.

    PostgreSQL lets nobody lock a table without a privilege on the whole of it. Such a user goes
    on without the lock, and meets the statement's own refusal where it has no right at all.

    Args:
        table: as SQL names it.
        engine: the session.
    """
    point = "stand_in_lock" if engine.backend.parameters.get("is_superuser") == "off" else ""
    if not engine.in_transaction:
        await engine.run("SHOW server_version")  # LOCK wants to be second in a pipeline
    elif point:
        await engine.run(f"SAVEPOINT {point}")
    try:
        await engine.run(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
    except SqlError as error:
        if not point or error.code != "42501":
            raise
        await engine.backend.sync()
        if engine.in_transaction:
            await engine.run(f"ROLLBACK TO SAVEPOINT {point}")
    if point and engine.in_transaction:
        await engine.run(f"RELEASE SAVEPOINT {point}")


async def violation(
    error: SqlError,
    locked: Sequence[Token],
    xid: int,
    pid: int,
    ask: Callable[[str], Awaitable[list[list[str | None]]]],
) -> SqlError:
    """A serializable isolation violation with its table and transaction (AWS docs: 1023).

    Args:
        error: PostgreSQL's.
        locked: the table that the session wrote last.
        xid: the transaction's number in the logs.
        pid: the session's.
        ask: runs a query beside the failed transaction.
    """
    parts = dotted(locked)
    where = f"c.relname = {literal(parts[-1]).text}" if parts else "false"
    if len(parts) > 1:
        where += f" AND n.nspname = {literal(parts[-2]).text}"
    found = await ask(
        "SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"  # noqa: S608 - quoted
        f" WHERE {where} ORDER BY c.oid DESC LIMIT 1"
    )
    table = found[0][0] if found else 0
    detail = f"{VIOLATION} {table}, {CYCLE} {xid} (pid:{pid})"
    return replace(error, code="XX000", message="1023", detail=detail, hint="")
