"""Clauses of SELECT that only Redshift has: TOP and QUALIFY, at any depth of a query.

TOP n becomes LIMIT n at the end of its query. QUALIFY, a filter on window functions, becomes a WHERE
around the query: PostgreSQL computes window functions after every clause that filters.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from loader.local.redshift.errors import not_here, syntax_error
from loader.local.redshift.refs import name_end
from loader.local.redshift.tokens import (
    Kind,
    Token,
    closing,
    name,
    op,
    split_commas,
    word,
    words,
)

_SET_OPERATIONS = ("union", "except", "intersect", "minus")
_TAIL = ("order", "limit", "offset")
_NO_ALIAS = ("end", "null", "true", "false", "precision", "unknown")


def clauses(tokens: Sequence[Token]) -> list[Token]:
    """Rewrite TOP and QUALIFY everywhere.

    Raises:
        SqlError: a form that the stand-in does not know.
    """
    if not any(token.is_word("top", "qualify") for token in tokens):
        return list(tokens)
    out: list[Token] = []
    at = 0
    while at < len(tokens):
        if tokens[at].is_op("("):
            end = closing(tokens, at)
            out += [tokens[at], *clauses(tokens[at + 1 : end]), tokens[end]]
            at = end
        else:
            out.append(tokens[at])
        at += 1
    return _level(out)


def _outside(tokens: Sequence[Token], *wanted: str, start: int = 0) -> int:
    """Index of the first of these words outside brackets; the length where there is none."""
    depth = 0
    for at in range(start, len(tokens)):
        depth += tokens[at].is_op("(") - tokens[at].is_op(")")
        if depth == 0 and tokens[at].is_word(*wanted):
            return at
    return len(tokens)


def _level(tokens: list[Token]) -> list[Token]:
    """One query without the ones in brackets inside it."""
    out: list[Token] = []
    at = 0
    limit: list[Token] = []
    while at < len(tokens):
        start = _outside(tokens, "select", start=at)
        end = _outside(tokens, *_SET_OPERATIONS, start=start + 1)
        out += tokens[at:start]
        part = tokens[start:end]
        count, part = _top(part)
        if count is not None:
            if end < len(tokens) or (start and _outside(tokens, *_SET_OPERATIONS) < start):
                raise not_here("TOP beside a set operation")
            limit = [word("LIMIT"), count]
        qualified = _outside(part, "qualify")
        out += _qualify(part, qualified) if qualified < len(part) else part
        at = end
        if at < len(tokens):
            out.append(tokens[at])
            at += 1
    return [*out, *limit]


def _top(part: list[Token]) -> tuple[Token | None, list[Token]]:
    """The number of SELECT [DISTINCT] TOP n, and the query without it."""
    for at in (1, 2):
        if len(part) > at + 1 and part[at].is_word("top") and part[at + 1].kind is Kind.NUMBER:
            if at == 2 and not part[1].is_word("distinct", "all"):
                return None, part
            return part[at + 1], [*part[:at], *part[at + 2 :]]
    return None, part


def _qualify(part: list[Token], at: int) -> list[Token]:
    source = _outside(part, "from")
    if source > at:
        raise syntax_error(part[at].text)
    ends = _outside(part, *_TAIL, start=at)
    condition, tail = part[at + 1 : ends], part[ends:]
    if any(token.is_op(".") for token in tail):
        raise not_here("QUALIFY with ORDER BY a qualified name")
    first = 2 if part[1].is_word("distinct", "all") else 1
    inner: list[Token] = []
    outer: list[Token] = []
    for number, item in enumerate(split_commas(part[first:source])):
        mark = name(f"__q{number}")
        if item[-1].is_op("*"):
            inner += [_row_of(part[source:at], item), word("AS"), mark, op(",")]
            outer += [op(","), op("("), mark, op(")"), op("."), op("*")]
            continue
        expression, label = _labelled(item)
        if item is not expression:
            condition = _put(condition, label, expression)
        inner += [*expression, word("AS"), mark, op(",")]
        outer += [op(","), mark, word("AS"), name(label)]
    return [
        *part[:first], *outer[1:], *words("FROM (SELECT"), *inner, op("("), *condition,
        *words(') AS "__q"'), *part[source:at], *words(') "__qualified" WHERE "__q"'), *tail,
    ]  # fmt: skip


def _row_of(source: Sequence[Token], item: Sequence[Token]) -> Token:
    """What ``*`` means, as a name for the whole row: the only relation of the query."""
    end = closing(source, 1) + 1 if source[1].is_op("(") else name_end(source, 1)
    called = source[end - 1]
    if end < len(source) and source[end].is_word("as"):
        end += 1
    if end < len(source) and source[end].is_name and not source[end].is_word("where", "group"):
        called = source[end]
        end += 1
    single = end == len(source) or source[end].is_word("where")
    if not single or not called.is_name:
        raise not_here("QUALIFY with SELECT * of several relations")
    if len(item) > 1 and item[0].value != called.value:
        raise syntax_error(item[0].text)
    return name(called.value)


def _labelled(item: list[Token]) -> tuple[list[Token], str]:
    """An item of the select list without its alias, and its name."""
    last = item[-1]
    if len(item) > 2 and item[-2].is_word("as"):
        return item[:-2], last.value
    bare = last.is_name and not last.is_word(*_NO_ALIAS)
    if len(item) > 1 and bare and (item[-2].is_name or item[-2].is_op(")")):
        return item[:-1], last.value
    if name_end(item, 0) == len(item):
        return item, last.value
    if item[0].is_name and len(item) > 1 and item[1].is_op("("):
        return item, item[0].value
    return item, "?column?"


def _put(condition: list[Token], label: str, expression: list[Token]) -> list[Token]:
    """Let a condition name a column of the select list by its alias."""
    if len(expression) == 1:
        return condition
    out: list[Token] = []
    for before, token in pairwise([op(""), *condition]):
        if token.is_name and token.value == label and not before.is_op("."):
            out += [op("("), *expression, op(")")]
        else:
            out.append(token)
    return out
