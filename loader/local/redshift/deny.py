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
from loader.local.redshift.tokens import Kind, Token, closing

_NO_FUNCTION = frozenset((
    "string_agg", "array_agg", "format", "regexp_matches", "regexp_split_to_array",
    "regexp_split_to_table", "overlay", "bit_length", "clock_timestamp", "statement_timestamp",
    "transaction_timestamp", "pg_sleep", "pg_sleep_for", "pg_sleep_until", "width_bucket", "div",
    "gen_random_uuid", "nextval", "currval", "setval", "lastval", "json_agg", "jsonb_agg",
    "to_json", "to_jsonb", "row_to_json", "json_build_object", "jsonb_build_object", "unnest",
    "json_each", "json_object_agg", "make_interval", "make_timestamp", "make_date", "num_nulls",
    "date_bin", "random_normal", "bool_and_agg", "every", "mode",
))  # fmt: skip
_LEADER_CALLS = frozenset((
    "now", "age", "current_schema", "current_schemas", "has_table_privilege",
    "has_schema_privilege", "has_database_privilege", "has_column_privilege",
    "has_any_column_privilege", "current_setting", "set_config", "generate_series",
    "pg_get_viewdef", "pg_get_userbyid", "pg_table_is_visible", "obj_description",
    "array_to_string",
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
    _leader_only(tokens)


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
    if after.is_op("("):
        _function(token.value)
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
    if token.is_word("for") and after.is_word("update", "share") and not third.is_name:
        raise unsupported(f"SELECT FOR {after.text.upper()} is not supported")
    if token.is_word("over") and after.is_op("("):
        _window(tokens[at + 1 : closing(tokens, at + 1)])
    _not_here(tokens, at)


def _function(called: str) -> None:
    if called in _NO_FUNCTION or called.startswith(("pg_advisory", "pg_try_advisory")):
        hint = (
            "No function matches the given name and argument types. "
            "You may need to add explicit type casts."
        )
        raise SqlError("42883", f"function {called}() does not exist", hint=hint)


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
    return False


def _window(inside: Sequence[Token]) -> None:
    """NULLS FIRST and LAST are not for windows."""
    for token in inside:
        if token.is_word("nulls"):
            raise syntax_error(token.text)


def _not_here(tokens: Sequence[Token], at: int) -> None:
    """Redshift has it, the stand-in does not."""
    token, after = tokens[at], _peek(tokens, at + 1)
    for refused, follows in (("pivot", "("), ("unpivot", "("), ("median", "("), ("qualify", "")):
        if token.value == refused and (after.is_op(follows) if follows else after.is_name):
            raise not_here(refused.upper())
    if token.value == "exclude" and after.is_op("(") and tokens[at - 1].is_op("*"):
        raise not_here("SELECT * EXCLUDE")


def _delete(tokens: Sequence[Token]) -> None:
    """DELETE has no target alias (AWS docs: DELETE)."""
    start = 2 if _peek(tokens, 1).is_word("from") else 1
    after = _peek(tokens, name_end(tokens, start))
    if after.is_name and not after.is_word("using", "where"):
        raise syntax_error(after.text)


def _leader_only(tokens: Sequence[Token]) -> None:
    """Leader-node functions may not meet a user table (AWS docs: Leader node-only functions)."""
    used = any(
        token.kind is Kind.WORD
        and not (at and tokens[at - 1].is_op("."))
        and (
            (token.value in _LEADER_CALLS and _peek(tokens, at + 1).is_op("("))
            or token.is_word(*_LEADER_WORDS)
            or (token.is_word("array") and _peek(tokens, at + 1).is_op("["))
        )
        for at, token in enumerate(tokens)
    )
    if used and any(not ref.is_system for ref in relations(tokens)):
        raise unsupported(LEADER_ONLY)


def check_merge(tokens: Sequence[Token]) -> None:
    """The grammar of MERGE (AWS docs: MERGE): both clauses, no alias on the target, a table as source.

    Raises:
        SqlError: 42601 at the first word outside the grammar, 0A000 for REMOVE DUPLICATES.
    """
    at = name_end(tokens, 2)
    if not _peek(tokens, 1).is_word("into") or not _peek(tokens, at).is_word("using"):
        raise syntax_error(_peek(tokens, at).text)
    source = _peek(tokens, at + 1)
    if not source.is_name:
        raise syntax_error(source.text)
    if len(tokens) > 2 and tokens[-1].is_word("duplicates") and tokens[-2].is_word("remove"):
        raise not_here("MERGE ... REMOVE DUPLICATES")
    matched: list[str] = []
    for place, token in enumerate(tokens):
        if not token.is_word("when"):
            continue
        follows = tokens[place + 1 : place + 4]
        texts = [t.value for t in follows]
        if texts[:2] == ["matched", "then"]:
            matched.append("matched")
        elif texts == ["not", "matched", "then"]:
            matched.append("not matched")
        elif texts and texts[0] in ("matched", "not"):
            near = follows[1 if texts[0] == "matched" else 2 :]
            raise syntax_error(near[0].text if near else "WHEN")
    if matched != ["matched", "not matched"]:
        raise SqlError("42601", "syntax error at end of input")
