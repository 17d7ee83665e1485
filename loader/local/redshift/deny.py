"""What PostgreSQL accepts and Redshift does not, found in the tokens of a query.

Codes and texts are those seen from Redshift where one was seen; else a syntax error where Redshift's
grammar ends, or 0A000. (AWS docs: Unsupported PostgreSQL features, data types and functions.)
"""

from __future__ import annotations

from collections.abc import Sequence

from loader.local.redshift.errors import (
    LEADER_ONLY,
    SqlError,
    not_here,
    syntax_error,
    unsupported,
)
from loader.local.redshift.refs import name_end, relations
from loader.local.redshift.tokens import Kind, Token, closing, split_commas

_LEADER_CALLS = frozenset((
    "now", "age", "current_schema", "current_schemas", "has_table_privilege",
    "has_schema_privilege", "has_database_privilege", "has_column_privilege",
    "has_any_column_privilege", "current_setting", "set_config", "generate_series",
    "pg_get_viewdef", "pg_get_userbyid", "pg_table_is_visible", "obj_description", "timeofday",
    "has_language_privilege", "has_function_privilege", "array_to_string", "format_type",
))  # fmt: skip
_LEADER_WORDS = (
    "current_timestamp", "current_time", "localtime", "localtimestamp", "current_schema",
)  # fmt: skip
_NO_TYPE = frozenset((
    "json", "jsonb", "uuid", "bytea", "money", "xml", "inet", "cidr", "macaddr", "tsvector",
    "tsquery", "hstore", "int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange",
    "point", "box", "polygon", "citext", "serial", "bigserial", "smallserial",
))  # fmt: skip
_NO_OPERATOR = ("->", "->>", "@>", "<@")
_WRITES = ("insert", "update", "delete", "merge")


def check(tokens: Sequence[Token]) -> None:
    """Refuse a query or write that Redshift refuses.

    Raises:
        SqlError: with Redshift's code and text.
    """
    for at, token in enumerate(tokens):
        if token.kind is Kind.OP:
            _operator(tokens, at)
        elif token.kind is Kind.WORD and not (at and tokens[at - 1].is_op(".")):
            _word(tokens, at)
    if tokens[0].is_word("delete"):
        _delete(tokens)
        _equijoin(tokens)
    elif tokens[0].is_word("update"):
        _update(tokens)
        _equijoin(tokens)
    elif tokens[0].is_word("insert"):
        _insert(tokens)
    elif tokens[0].is_word("with"):
        _with(tokens)
    if uses_leader_functions(tokens) and any(not ref.is_system for ref in relations(tokens)):
        raise unsupported(LEADER_ONLY)


def _peek(tokens: Sequence[Token], at: int) -> Token:
    return tokens[at] if at < len(tokens) else Token(Kind.OP, "", "")


def _operator(tokens: Sequence[Token], at: int) -> None:
    token, after = tokens[at], _peek(tokens, at + 1)
    if token.text in _NO_OPERATOR:
        raise SqlError("42883", f"operator does not exist: character varying {token.text} unknown")
    if token.text == "[" and not (at and tokens[at - 1].is_word("array")):
        raise not_here("array or PartiQL navigation")
    if token.text == "::" and after.kind is Kind.WORD and after.value in _NO_TYPE:
        raise SqlError("42704", f'type "{after.value}" does not exist')


def _word(tokens: Sequence[Token], at: int) -> None:
    token, after, third = tokens[at], _peek(tokens, at + 1), _peek(tokens, at + 2)
    before = tokens[at - 1] if at else Token(Kind.OP, "", "")
    if _outside_grammar(tokens, at, before, after, third):
        raise syntax_error(token.text)
    if token.is_word("distinct") and after.is_word("on") and third.is_op("("):
        raise unsupported("SELECT DISTINCT ON is not supported")
    if token.is_word("filter") and after.is_op("(") and third.is_word("where"):
        raise syntax_error(after.text)
    if token.is_word("as") and after.is_op("(") and third.is_word(*_WRITES):
        raise syntax_error(third.text)
    if token.is_word("as") and after.is_word(*_NO_TYPE) and third.is_op(")"):
        raise SqlError("42704", f'type "{after.value}" does not exist')
    if token.is_word("row") and after.is_op("("):
        raise unsupported(LEADER_ONLY)
    if token.is_word("over") and after.is_name:
        raise syntax_error(after.text)
    if token.is_word("for") and after.is_word("update", "share") and not third.is_name:
        raise unsupported(f"SELECT FOR {after.text.upper()} is not supported")
    if token.is_word("over") and after.is_op("("):
        _window(tokens[at + 1 : closing(tokens, at + 1)])
    _not_here(tokens, at)


def _outside_grammar(  # noqa: PLR0911 - one line per word
    tokens: Sequence[Token], at: int, before: Token, after: Token, third: Token
) -> bool:
    """Whether Redshift's grammar ends at this word."""
    value = tokens[at].value
    if value == "on":
        return after.is_word("conflict") and not third.is_op("=")
    if value == "returning":
        return any(token.is_word(*_WRITES) for token in tokens[:at])
    if value == "distinct":
        return after.is_word("from") and before.is_word("is", "not")
    if value == "json":
        return before.is_word("is", "not")
    if value == "values":
        return at == 0 or before.is_op("(")
    if value in ("lateral", "tablesample"):
        return at > 1 and (after.is_op("(") or after.is_name)
    if value == "only":
        return before.is_word("from", "join", "update") and after.is_name
    if value == "fetch":
        return at > 0 and after.is_word("first", "next")
    if value == "materialized" or (value == "not" and after.is_word("materialized")):
        return before.is_word("as")
    if value == "overriding":
        return after.is_word("system", "user") and third.is_word("value")
    return False


def _window(inside: Sequence[Token]) -> None:
    """NULLS FIRST and LAST are not for windows, nor are frames of PostgreSQL 11."""
    for at, token in enumerate(inside):
        framed = token.is_word("groups", "exclude") and _peek(inside, at + 1).kind in (
            Kind.WORD, Kind.NUMBER,
        )  # fmt: skip
        if token.is_word("nulls") or framed:
            raise syntax_error(token.text)


def _not_here(tokens: Sequence[Token], at: int) -> None:
    """Redshift has it, the stand-in does not."""
    token, after = tokens[at], _peek(tokens, at + 1)
    before = tokens[at - 1] if at else Token(Kind.OP, "", "")
    if token.is_word("pivot", "unpivot") and after.is_op("("):
        raise not_here(token.value.upper())
    if token.is_word("unpivot") and before.is_op(","):
        raise not_here("UNPIVOT of a SUPER value")
    if token.is_word("exclude") and after.is_op("(") and before.is_op("*"):
        raise not_here("SELECT * EXCLUDE")
    if token.is_word("by") and after.is_word("all") and before.is_word("group"):
        raise not_here("GROUP BY ALL")
    if token.is_word("try_cast") and after.is_op("("):
        raise not_here("TRY_CAST")
    if token.is_word("ignore") and after.is_word("nulls"):
        raise not_here("IGNORE NULLS")
    if token.is_word("within") and after.is_word("group") and _peek(tokens, at + 2).is_op("("):
        end = closing(tokens, at + 2)
        listed = before.is_op(")") and _called(tokens, at - 1).is_word("listagg")
        if _peek(tokens, end + 1).is_word("over") and not listed:
            raise not_here("WITHIN GROUP ... OVER")
    if token.is_word("connect") and after.is_word("by"):
        raise not_here("CONNECT BY")
    if token.is_word("start") and after.is_word("with") and at > 1:
        raise not_here("START WITH ... CONNECT BY")
    if token.is_word("array", "object", "cube", "rollup") and after.is_op("("):
        if token.is_word("cube", "rollup"):
            return
        raise not_here(f"{token.value.upper()}() of SUPER values")


def _called(tokens: Sequence[Token], closed: int) -> Token:
    """The function whose bracket closes at an index."""
    depth, at = 0, closed
    while at > 0:
        depth += tokens[at].is_op(")") - tokens[at].is_op("(")
        if depth == 0:
            return tokens[at - 1]
        at -= 1
    return tokens[0]


def _delete(tokens: Sequence[Token]) -> None:
    """DELETE has no target alias (AWS docs: DELETE)."""
    start = 2 if _peek(tokens, 1).is_word("from") else 1
    after = _peek(tokens, name_end(tokens, start))
    if after.is_name and not after.is_word("using", "where"):
        raise syntax_error(after.text)


def _update(tokens: Sequence[Token]) -> None:
    """UPDATE sets columns one by one (AWS docs: UPDATE)."""
    for at, token in enumerate(tokens):
        if token.is_word("set"):
            if _peek(tokens, at + 1).is_op("("):
                raise syntax_error("(")
            return


def _equijoin(tokens: Sequence[Token]) -> None:
    """A write's target may not stand in an outer join of its own (AWS docs: UPDATE)."""
    target: tuple[str, ...] = ()
    for ref in relations(tokens):
        if ref.role in ("update", "delete"):
            target = ref.parts
            continue
        before = tokens[ref.start - 1].value
        joined = before in ("join", "from", "using") and ref.role == "from"
        if joined and ref.parts == target and _outer(tokens, ref.start):
            raise unsupported("Target table must be part of an equijoin predicate")


def _outer(tokens: Sequence[Token], start: int) -> bool:
    """Whether an outer join follows, up to WHERE."""
    for token in tokens[max(start - 4, 0) :]:
        if token.is_word("where"):
            return False
        if token.is_word("left", "right", "full"):
            return True
    return False


def _insert(tokens: Sequence[Token]) -> None:
    """Several rows of VALUES may hold no sub-query (AWS docs: INSERT)."""
    at = name_end(tokens, 2)
    if _peek(tokens, at).is_op("(") and not _peek(tokens, at + 1).is_word("select", "with"):
        at = closing(tokens, at) + 1
    if not _peek(tokens, at).is_word("values"):
        return
    rows = tokens[at + 1 :]
    many = sum(1 for part in split_commas(rows) if part) > 1
    if many and any(token.is_word("select") for token in rows):
        raise unsupported("subqueries are not supported in a multi-row INSERT ... VALUES")


def _with(tokens: Sequence[Token]) -> None:
    """WITH does not go before MERGE (AWS docs: MERGE)."""
    depth = 0
    for token in tokens:
        depth += token.is_op("(") - token.is_op(")")
        if depth == 0 and token.is_word("merge"):
            raise syntax_error(token.text)


def uses_leader_functions(tokens: Sequence[Token]) -> bool:
    """Whether something is called that only the leader node can compute.

    It may not meet a user's table (AWS docs: Leader node-only functions).
    """
    return any(
        token.kind is Kind.WORD
        and not (at and tokens[at - 1].is_op("."))
        and (
            (token.value in _LEADER_CALLS and _peek(tokens, at + 1).is_op("("))
            or token.is_word(*_LEADER_WORDS)
            or (token.is_word("array") and _peek(tokens, at + 1).is_op("["))
        )
        for at, token in enumerate(tokens)
    )
