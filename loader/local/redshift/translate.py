"""One statement to one plan, by its first words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from loader.local.redshift import deny, grants, principals, views
from loader.local.redshift.alter import alter_table
from loader.local.redshift.catalog_refs import to_shims
from loader.local.redshift.clauses import clauses
from loader.local.redshift.copy_grammar import parse_copy
from loader.local.redshift.copy_load import copy_script
from loader.local.redshift.create import create_table
from loader.local.redshift.delegated import with_privilege
from loader.local.redshift.errors import SqlError, not_here, syntax_error, unsupported
from loader.local.redshift.maintenance import analyze, lock, truncate, vacuum
from loader.local.redshift.merge import parse_merge, remove_duplicates, source_check
from loader.local.redshift.plan import Engine, Pass, Plan, Script, SessionState
from loader.local.redshift.refs import dotted, lock_target, name_end, relations
from loader.local.redshift.regions import write_of
from loader.local.redshift.rewrite import rewrite
from loader.local.redshift.settings import reset_parameter, set_parameter
from loader.local.redshift.show import show
from loader.local.redshift.tokens import Token, closing, literal, render, word, words

_COPY_STATE = (
    "pg_last_copy_count", "pg_last_copy_id", "pg_last_unload_count", "pg_last_unload_id",
    "pg_last_query_id",
)  # fmt: skip
_NO_CREATE = {
    "trigger": "triggers", "sequence": "sequences", "rule": "rules", "domain": "domains",
    "type": "user-defined types", "extension": "extensions", "tablespace": "tablespaces",
    "aggregate": "user-defined aggregates", "operator": "operators", "cast": "casts",
    "unlogged": "unlogged tables", "foreign": "foreign tables", "collation": "collations",
    "event": "event triggers", "policy": "policies", "publication": "publications",
    "statistics": "extended statistics", "recursive": "recursive views",
}  # fmt: skip
_NOT_HERE_CREATE = (
    "procedure", "function", "external", "materialized", "library", "datashare", "model", "rls",
    "masking", "database", "identity",
)  # fmt: skip
_PASSED = (
    "declare", "fetch", "close", "execute", "deallocate", "comment", "start",
)  # fmt: skip


def translate(tokens: list[Token], source: str, state: SessionState) -> Plan:
    """Plan a statement whose names are folded and whose late-binding views are expanded.

    Args:
        tokens: the statement.
        source: the client's own text, for messages that quote it.
        state: the session's memory; only ``SET`` changes it.

    Raises:
        SqlError: Redshift would refuse it, or the stand-in has to.
    """
    try:
        return _by_first_word(tokens, source, state)
    except IndexError:  # a grammar looked for a word behind the last one
        raise SqlError("42601", "syntax error at end of input") from None


def _by_first_word(tokens: list[Token], source: str, state: SessionState) -> Plan:
    first = tokens[0].value if tokens[0].is_name else tokens[0].text
    if first == "select" and (into := _select_into(tokens)):
        return create_table(into)
    if first == "(" or first in ("select", "with", "insert", "update", "delete", "values"):
        return query(tokens)
    handler = _HANDLERS.get(first)
    if handler is not None:
        return handler(tokens, source)
    if first == "set":
        return set_parameter(tokens, state)
    if first in _PASSED:
        return Pass(render(tokens))
    raise syntax_error(tokens[0].text)


def query(tokens: Sequence[Token]) -> Pass:
    """A query or a write, with its expressions rewritten."""
    deny.check(tokens)
    if len(tokens) > 1 and tokens[0].is_word("delete") and not tokens[1].is_word("from"):
        tokens = [tokens[0], word("FROM"), *tokens[1:]]
    copy_state = any(token.is_word(*_COPY_STATE) for token in tokens)
    sql = render(clauses(rewrite(to_shims(tokens))))
    return Pass(
        sql, lock_target(tokens), copy_state, check=_view_check(tokens), write=write_of(tokens)
    )


def _select_into(tokens: list[Token]) -> list[Token]:
    """SELECT ... INTO [TEMP] [TABLE] x as CREATE TABLE x AS SELECT; empty for other queries."""
    depth = 0
    for at, token in enumerate(tokens):
        depth += token.is_op("(") - token.is_op(")")
        if depth == 0 and token.is_word("from"):
            break
        if depth == 0 and token.is_word("into"):
            start = at + 1
            temp = start < len(tokens) and tokens[start].is_word("temp", "temporary")
            start += temp
            start += start < len(tokens) and tokens[start].is_word("table")
            end = name_end(tokens, start)
            head = words("CREATE TEMP TABLE" if temp else "CREATE TABLE")
            return [*head, *tokens[start:end], *words("AS"), *tokens[:at], *tokens[end:]]
    return []


def _view_check(tokens: Sequence[Token]) -> str:
    """A query that fails where a write's target is a view; empty for a query."""
    for ref in relations(tokens):
        if ref.role in ("into", "update", "delete"):
            target = literal(render(tokens[ref.start : ref.end])).text
            verb = {"into": "insert into", "delete": "delete from"}.get(ref.role, "update")
            return f"SELECT pg_stand_in.not_a_view({target}, '{verb}')"
    return ""


def _merge(tokens: list[Token], _source: str) -> Plan:
    merge = parse_merge(tokens)
    if merge.simplified:
        return remove_duplicates(merge)
    return replace(query(tokens), check=source_check(merge))


def _explain(tokens: list[Token], _source: str) -> Plan:
    inner = tokens[1:]
    if inner and (inner[0].is_word("analyze") or inner[0].is_op("(")):
        raise syntax_error(inner[0].text)
    verbose = bool(inner) and inner[0].is_word("verbose")
    return Pass(f"EXPLAIN {'VERBOSE ' if verbose else ''}{query(inner[verbose:]).sql}")


def _begin(tokens: list[Token], _source: str) -> Plan:
    """All isolation levels are accepted and none has an effect (AWS docs: BEGIN)."""
    words = {token.value for token in tokens}
    if "deferrable" in words:
        raise syntax_error("DEFERRABLE")
    read_only = "only" in words
    return Pass("BEGIN READ ONLY" if read_only else "BEGIN")


def _prepare(tokens: list[Token], _source: str) -> Plan:
    if len(tokens) > 1 and tokens[1].is_word("transaction"):
        raise syntax_error(tokens[1].text)
    return Pass(render(tokens))


def _refresh(tokens: list[Token], _source: str) -> Plan:
    if len(tokens) > 1 and tokens[1].is_word("materialized"):
        raise not_here("REFRESH MATERIALIZED VIEW")
    raise syntax_error(tokens[-1].text if len(tokens) < 2 else tokens[1].text)


def _end(tokens: list[Token], _source: str) -> Plan:
    words = [token.value for token in tokens]
    if "to" in words or "savepoint" in words:
        raise unsupported("SAVEPOINT is not supported")
    if "prepared" in words:
        raise unsupported("two-phase commit is not supported")
    return Pass("ROLLBACK" if words[0] in ("rollback", "abort") else "COMMIT")


def _refuse(text: str) -> Callable[[list[Token], str], Plan]:
    def refuse(_tokens: list[Token], _source: str) -> Plan:
        raise unsupported(text)

    return refuse


def _absent(what: str) -> Callable[[list[Token], str], Plan]:
    def refuse(_tokens: list[Token], _source: str) -> Plan:
        raise not_here(what)

    return refuse


def _create(tokens: list[Token], source: str) -> Plan:
    rest = [token.value for token in tokens[1:5]]
    or_replace = rest[:2] == ["or", "replace"]
    kinds = [word for word in rest[2 * or_replace :] if word not in ("temp", "temporary", "local")]
    kind = kinds[0] if kinds else ""
    if kind == "table":
        return create_table(tokens)
    if kind == "view":
        return _create_view(tokens, or_replace=or_replace)
    if kind in ("index", "unique"):
        raise SqlError("0A000", f'SQL command "{source}" not supported on Redshift tables.')
    if kind in _NO_CREATE:
        raise unsupported(f"{_NO_CREATE[kind]} are not supported")
    if kind in _NOT_HERE_CREATE:
        raise not_here(f"CREATE {kind.upper()}")
    if kind in principals.CREATE:
        return principals.CREATE[kind](tokens)
    raise syntax_error(tokens[1].text if len(tokens) > 1 else "CREATE")


def _create_view(tokens: list[Token], *, or_replace: bool) -> Plan:
    at = next(i for i, token in enumerate(tokens) if token.is_word("view")) + 1
    if tokens[at - 2].is_word("temp", "temporary", "local"):
        raise syntax_error(tokens[at - 1].text)
    late = [t.value for t in tokens[-4:]] == ["with", "no", "schema", "binding"]
    opening = next((i for i, t in enumerate(tokens) if i >= at and t.is_word("as")), len(tokens))
    body = tokens[opening + 1 : -4] if late else tokens[opening + 1 :]
    if not body:
        raise SqlError("42601", "syntax error at end of input")
    if name_end(tokens, at) == at:
        raise syntax_error(tokens[at].text)
    named = name_end(tokens, at)
    listed = closing(tokens, named) + 1 if tokens[named].is_op("(") else named
    if listed != opening:
        raise syntax_error(tokens[listed].text)
    if body[-1].is_word("option") and any(token.is_word("check") for token in body[-4:]):
        raise syntax_error("CHECK")
    executable = query(body).sql
    if not late:
        return Pass(f"{render(tokens[: opening + 1])} {executable}")
    end = name_end(tokens, at)
    if end != opening:
        raise not_here("a column list in a view WITH NO SCHEMA BINDING")
    views.check_qualified(body)
    parts = dotted(tokens[at:end])
    schema = literal(parts[-2]).text if len(parts) > 1 else "NULL"
    sql = (
        f"SELECT pg_stand_in.create_late_view({schema}, {literal(parts[-1]).text},"
        f" {str(or_replace).lower()}, {literal(views.body_text(body)).text},"
        f" {literal(executable).text})"
    )

    async def action(engine: Engine) -> str:
        await engine.run(sql)
        await engine.late_view_made(parts[-1])
        return "CREATE VIEW"

    return Script(action)


def _alter(tokens: list[Token], _source: str) -> Plan:
    kind = tokens[1].value if len(tokens) > 1 else ""
    if kind == "table":
        return with_privilege(tokens, alter_table(tokens), "ALTER")
    if kind == "default":
        return grants.default_privileges(tokens)
    if kind in principals.ALTER:
        return principals.ALTER[kind](tokens)
    if kind == "schema":
        return Pass(render(tokens))
    if kind == "view":
        raise syntax_error(tokens[1].text)
    raise not_here(f"ALTER {kind.upper()}")


def _drop(tokens: list[Token], _source: str) -> Plan:
    kind = tokens[1].value if len(tokens) > 1 else ""
    if kind in ("user", "group", "role"):
        return principals.drop_principal(tokens, kind)
    if kind in ("table", "view"):
        return with_privilege(tokens, Pass(render(tokens)), "DROP")
    if kind == "schema":
        return Pass(render(tokens))
    if kind in _NO_CREATE or kind == "index":
        raise unsupported(f"DROP {kind.upper()} is not supported")
    raise not_here(f"DROP {kind.upper()}")


def _copy(tokens: list[Token], _source: str) -> Plan:
    return copy_script(parse_copy(tokens))


def _cancel(tokens: list[Token], _source: str) -> Plan:
    if len(tokens) < 2 or not tokens[1].text.isdigit():
        raise syntax_error(tokens[-1].text)

    async def action(engine: Engine) -> str:
        await engine.run(f"SELECT pg_cancel_backend({tokens[1].text})")
        return "CANCEL"

    return Script(action)


_HANDLERS: dict[str, Callable[[list[Token], str], Plan]] = {
    "merge": _merge,
    "explain": _explain,
    "begin": _begin,
    "start": _begin,
    "commit": _end,
    "end": _end,
    "rollback": _end,
    "abort": _end,
    "prepare": _prepare,
    "refresh": _refresh,
    "savepoint": _refuse("SAVEPOINT is not supported"),
    "release": _refuse("SAVEPOINT is not supported"),
    "listen": _refuse("LISTEN is not supported"),
    "notify": _refuse("NOTIFY is not supported"),
    "create": _create,
    "alter": _alter,
    "drop": _drop,
    "copy": _copy,
    "truncate": lambda tokens, _: truncate(tokens),
    "vacuum": lambda tokens, _: vacuum(tokens),
    "analyze": lambda tokens, _: analyze(tokens),
    "lock": lambda tokens, _: lock(tokens),
    "grant": lambda tokens, _: grants.grant(tokens),
    "revoke": lambda tokens, _: grants.grant(tokens),
    "show": lambda tokens, _: show(tokens),
    "reset": lambda tokens, _: reset_parameter(tokens),
    "cancel": _cancel,
    "call": _absent("CALL"),
    "use": _absent("USE"),
}
