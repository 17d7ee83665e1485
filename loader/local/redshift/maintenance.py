"""TRUNCATE, VACUUM, ANALYZE and LOCK with Redshift's rules."""

from __future__ import annotations

from collections.abc import Sequence

from loader.local.redshift.alter import in_block
from loader.local.redshift.errors import not_here, syntax_error
from loader.local.redshift.plan import Engine, Plan, Script, commands
from loader.local.redshift.refs import name_end
from loader.local.redshift.tokens import Token, render, split_commas

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
    sql = f"TRUNCATE TABLE {render(tokens[at:end])}"

    async def action(engine: Engine) -> str:
        await engine.run(sql)
        await engine.commit()
        return "TRUNCATE TABLE"

    return Script(action)


def vacuum(tokens: Sequence[Token]) -> Plan:
    """VACUUM in one of its modes; all of them are PostgreSQL's plain VACUUM here.

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
    sql = f"VACUUM {render(tokens[at:end])}".strip()

    async def action(engine: Engine) -> str:
        if engine.in_transaction:
            raise in_block("VACUUM")
        await engine.run(sql)
        return "VACUUM"

    return Script(action)


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
    return commands(f"ANALYZE {render(body)}".strip(), tag="ANALYZE")


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
