"""Aliases used further on in the select list or in WHERE: Redshift resolves them, PostgreSQL does not.

A column of the FROM clause goes before an alias of the same name (AWS docs: SELECT list, lateral
column alias reference), so each use is looked up before it is replaced by the alias's expression.
Only ``expression AS alias`` is known, and only where FROM names relations, not sub-queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loader.local.redshift.catalog_refs import SCHEMA, shim_of
from loader.local.redshift.plan import Engine
from loader.local.redshift.refs import Ref, cte_names, relations
from loader.local.redshift.tokens import Token, closing, literal, name, op, split_commas

_SET = ("union", "except", "intersect", "minus")
_AFTER_WHERE = ("group", "having", "qualify", "order", "limit", "offset", "window", "for")
_SUB_QUERY = ("select", "with")


@dataclass(frozen=True, slots=True)
class Use:
    """One use of an alias: its place, what it stands for, where a column could come from."""

    at: int
    alias: str
    expression: tuple[Token, ...]
    sources: tuple[Ref, ...]


def uses(tokens: Sequence[Token]) -> list[Use]:
    """All uses of a select list's alias behind it in the list, or in the WHERE of the same SELECT."""
    found: list[Use] = []
    refs: list[Ref] | None = None
    ctes = cte_names(tokens)
    for at, token in enumerate(tokens):
        if not token.is_word("select"):
            continue
        opening, where, end = _clauses(tokens, at)
        aliases = _aliases(tokens[at + 1 : opening])
        places = _in_list(tokens, at + 1, opening)
        places += [p for p in _bare_names(tokens, where + 1, end) if tokens[p].value in aliases]
        if not places:
            continue
        declared = _declared(tokens, opening + 1, where)
        if declared is None or any(t.value in ctes for t in tokens[opening + 1 : where]):
            continue
        refs = list(relations(tokens)) if refs is None else refs
        sources = tuple(ref for ref in refs if opening < ref.start < where)
        for place in places:
            alias = tokens[place].value
            if alias not in declared:
                found.append(Use(place, alias, tuple(aliases[alias]), sources))
    return found


def _clauses(tokens: Sequence[Token], select: int) -> tuple[int, int, int]:
    """Indexes of FROM, WHERE and the end of WHERE; what is missing is the end."""
    depth, opening, where = 0, -1, -1
    at = select + 1
    while at < len(tokens):
        token = tokens[at]
        depth += token.is_op("(") - token.is_op(")")
        if depth < 0 or (depth == 0 and token.is_word(*_SET)):
            break
        if depth == 0 and token.is_word("from") and opening < 0:
            opening = at
        elif depth == 0 and token.is_word("where") and where < 0:
            where = at
        elif depth == 0 and where >= 0 and token.is_word(*_AFTER_WHERE):
            break
        at += 1
    return (opening if opening >= 0 else at), (where if where >= 0 else at), at


def _aliases(select_list: Sequence[Token]) -> dict[str, list[Token]]:
    out = {}
    for item in split_commas(select_list):
        if len(item) > 2 and item[-2].is_word("as") and item[-1].is_name:
            out[item[-1].value] = item[:-2]
    return out


def _in_list(tokens: Sequence[Token], start: int, end: int) -> list[int]:
    """Where an item of the select list names the alias of an item before it."""
    out: list[int] = []
    known: set[str] = set()
    at = start
    for item in split_commas(tokens[start:end]):
        stop = at + len(item)
        labelled = len(item) > 2 and item[-2].is_word("as") and item[-1].is_name
        inside = _bare_names(tokens, at, stop - 2 if labelled else stop)
        out += [place for place in inside if tokens[place].value in known]
        if labelled:
            known.add(item[-1].value)
        at = stop + 1
    return out


def _bare_names(tokens: Sequence[Token], start: int, end: int) -> list[int]:
    """Names without a table in front, outside sub-queries."""
    out = []
    at = start
    while at < end:
        token = tokens[at]
        after = tokens[at + 1] if at + 1 < len(tokens) else None
        if token.is_op("(") and after is not None and after.is_word(*_SUB_QUERY):
            at = closing(tokens, at) + 1
            continue
        called = after is not None and (after.is_op("(") or after.is_op("."))
        before = tokens[at - 1]
        if token.is_name and not called and not (before.is_op(".") or before.is_op("::")):
            out.append(at)
        at += 1
    return out


def _declared(tokens: Sequence[Token], start: int, end: int) -> frozenset[str] | None:
    """Columns that FROM itself declares (``f() t(a int, b int)``); none where it has sub-queries."""
    found: set[str] = set()
    for at in range(start, end):
        if not tokens[at].is_op("("):
            continue
        if at + 1 < end and tokens[at + 1].is_word(*_SUB_QUERY):
            return None
        if tokens[at - 1].is_name and tokens[at - 2].is_op(")"):
            inside = split_commas(tokens[at + 1 : closing(tokens, at)])
            found.update(part[0].value for part in inside if part and part[0].is_name)
    return frozenset(found)


async def resolve(tokens: list[Token], engine: Engine, depth: int = 8) -> list[Token]:
    """Replace the aliases that are no column of their relations.

    Args:
        tokens: the statement.
        engine: asked for the columns of relations.
        depth: how often an alias may stand for an expression with another alias.

    Returns:
        The same list when there was none.
    """
    found = uses(tokens) if depth else []
    if not found:
        return tokens
    known = await _columns({ref for use in found for ref in use.sources}, engine)
    out, at = [], 0
    for use in found:
        if any(use.alias in known.get(_sql(ref), ()) for ref in use.sources):
            continue
        out += [*tokens[at : use.at], op("("), *use.expression, op(")")]
        at = use.at + 1
    return await resolve([*out, *tokens[at:]], engine, depth - 1) if at else tokens


def _sql(ref: Ref) -> str:
    shim = shim_of(ref)
    parts = (SCHEMA, shim) if shim else ref.parts[-2:]
    return ".".join(name(part).text for part in parts)


async def _columns(refs: set[Ref], engine: Engine) -> dict[str, set[str]]:
    """The columns of each relation, by its SQL name."""
    if not refs:
        return {}
    values = ", ".join(sorted({f"({literal(_sql(ref)).text})" for ref in refs}))
    rows = await engine.run(
        f"SELECT n.sql, a.attname FROM (VALUES {values}) n(sql)"  # noqa: S608 - quoted
        " JOIN pg_attribute a ON a.attrelid = to_regclass(n.sql)"
        " WHERE a.attnum > 0 AND NOT a.attisdropped"
    )
    out: dict[str, set[str]] = {}
    for sql, column in rows:
        out.setdefault(str(sql), set()).add(str(column))
    return out
