"""TRUNCATE, VACUUM, ANALYZE and LOCK with Redshift's rules."""

from __future__ import annotations

from collections.abc import Sequence

from loader.local.redshift.alter import in_block
from loader.local.redshift.errors import not_here, syntax_error
from loader.local.redshift.plan import Engine, Plan, Script
from loader.local.redshift.refs import name_end
from loader.local.redshift.regions import note_analyze
from loader.local.redshift.tokens import Token, literal, render, split_commas

_THRESHOLD = 95  # percent: good enough, where VACUUM does not say (AWS docs: VACUUM)
_MODES = (["full"], ["sort", "only"], ["delete", "only"], ["reindex"], ["recluster"])


def truncate(tokens: Sequence[Token]) -> Plan:
    """TRUNCATE commits the transaction it stands in (AWS docs: TRUNCATE).

    Raises:
        SqlError: more than one table, or an option of PostgreSQL's.
    """
    at = 2 if len(tokens) > 1 and tokens[1].is_word("table") else 1
    end = name_end(tokens, at)
    if end == at or end != len(tokens):
        raise syntax_error(tokens[min(end, len(tokens) - 1)].text)
    table = render(tokens[at:end])
    sql = f"TRUNCATE TABLE {table}"

    async def action(engine: Engine) -> str:
        await engine.run(sql)
        await engine.run(f"SELECT pg_stand_in.note_truncate(to_regclass({literal(table).text}))")
        await engine.commit()
        return "TRUNCATE TABLE"

    return Script(action)


def vacuum(tokens: Sequence[Token]) -> Plan:
    """VACUUM in one of its modes. PostgreSQL does its plain VACUUM; regions are counted as Redshift's.

    Raises:
        SqlError: 25001 inside a transaction, 42601 for a threshold where none may stand.
    """
    at, mode = 1, ["full"]
    for known in _MODES:
        if [t.value for t in tokens[1 : 1 + len(known)]] == known:
            at, mode = 1 + len(known), known
            break
    end = name_end(tokens, at)
    if end > at and tokens[at].is_word("to", "boost"):
        raise syntax_error(tokens[at].text)
    rest = [token.value for token in tokens[end:]]
    if rest[-1:] == ["boost"]:
        rest = rest[:-1]
    threshold = rest[:1] == ["to"] and rest[2:] == ["percent"] and rest[1].isdigit()
    if rest and not (threshold and end > at and mode[0] not in ("reindex", "recluster")):
        raise syntax_error(tokens[end].text)
    table = render(tokens[at:end])
    note = _note_vacuum(table, mode, int(rest[1]) if threshold else _THRESHOLD)

    async def action(engine: Engine) -> str:
        if engine.in_transaction:
            raise in_block("VACUUM")
        await engine.run(f"VACUUM {table}".strip())
        await engine.backend.sync()  # it stands; the note is a transaction of its own
        await engine.run(note)
        return "VACUUM"

    return Script(action)


def _note_vacuum(table: str, mode: Sequence[str], threshold: int) -> str:
    sorts = mode[0] in ("full", "sort", "reindex", "recluster")
    reclaims = mode[0] in ("full", "delete", "reindex")
    said = f"{literal(mode[0]).text}, {sorts}, {reclaims}, {threshold}"
    if table:
        return f"SELECT pg_stand_in.note_vacuum(to_regclass({literal(table).text}), {said})"
    own = "relkind = 'r' AND relpersistence <> 't' AND pg_has_role(relowner, 'USAGE')"
    own += " AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)'"
    return f"SELECT pg_stand_in.note_vacuum(oid, {said}) FROM pg_class WHERE {own}"  # noqa: S608


def analyze(tokens: Sequence[Token]) -> Plan:
    """ANALYZE [VERBOSE] [table [(columns)]] [PREDICATE COLUMNS | ALL COLUMNS].

    Raises:
        SqlError: ANALYZE COMPRESSION, which is not here, or another grammar.
    """
    at = 1
    if len(tokens) > 1 and tokens[1].is_word("compression"):
        raise not_here("ANALYZE COMPRESSION")
    if len(tokens) > 1 and tokens[1].is_word("verbose"):
        at = 2
    body = list(tokens[at:])
    if [t.value for t in body[-2:]] in (["predicate", "columns"], ["all", "columns"]):
        body = body[:-2]
    if len(split_commas(body)) > 1:
        raise syntax_error(",")
    table = render(body[: name_end(body, 0)])
    sql = f"ANALYZE {render(body)}".strip()

    async def action(engine: Engine) -> str:
        if table and await _is_fresh(table, engine):
            return "ANALYZE SKIP"
        await engine.run(sql)
        await note_analyze(table, engine)
        return "ANALYZE"

    return Script(action)


async def _is_fresh(table: str, engine: Engine) -> bool:
    """Whether fewer rows changed than ``analyze_threshold_percent`` (AWS docs: ANALYZE)."""
    oid = f"to_regclass({literal(table).text})"
    limit = (
        "coalesce(nullif(current_setting('stand_in.analyze_threshold_percent', true), ''), '10')"
    )
    asked = (
        f"SELECT r.changed IS NOT NULL AND {limit}::numeric > 0 AND pg_stand_in.stats_off({oid},"  # noqa: S608
        f" greatest(r.total - r.deleted, 0)) < {limit}::numeric FROM pg_stand_in.region({oid}) r"
    )
    return await engine.run(asked) == [["t"]]


def lock(tokens: Sequence[Token]) -> Plan:
    """LOCK [TABLE] t [, ...]: always ACCESS EXCLUSIVE, no mode clause (AWS docs: LOCK).

    Raises:
        SqlError: 42601 at a mode clause.
    """
    at = 2 if len(tokens) > 1 and tokens[1].is_word("table") else 1
    names = split_commas(tokens[at:])
    for part in names:
        end = name_end(part, 0)
        if end != len(part):
            raise syntax_error(part[end].text)
    if not names:
        raise syntax_error(tokens[-1].text)
    sql = f"LOCK TABLE {render(tokens[at:])} IN ACCESS EXCLUSIVE MODE"

    async def action(engine: Engine) -> str:
        if engine.in_transaction:  # elsewhere it would end with the statement
            await engine.run(sql)
        return "LOCK TABLE"

    return Script(action)
