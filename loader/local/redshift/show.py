# ruff: noqa: S608 - every name goes through literal()
"""SHOW of objects: databases, schemas, tables, columns, grants, and the text that makes a table or view.

Each is a query of the catalog under the column names of the command's page (AWS docs: SHOW ...). Any
other SHOW is of a parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from loader.local.redshift.errors import SqlError, not_here, syntax_error
from loader.local.redshift.plan import Pass, Plan
from loader.local.redshift.refs import dotted, name_end
from loader.local.redshift.settings import show_parameter
from loader.local.redshift.tokens import Kind, Token, literal, name

_GRANTS = (
    "current_database()::text AS database_name, namespace_name AS schema_name, name AS object_name,"
    " CASE object WHEN 'relation' THEN 'TABLE' ELSE upper(object) END AS object_type,"
    " privilege_type, identity_id, identity_name, identity_type, admin_option,"
    " upper(object) AS privilege_scope, grantor_name"
)


def show(tokens: list[Token]) -> Plan:
    """Plan a SHOW.

    Raises:
        SqlError: 42601 outside the grammar, 0A000 for another database than this one.
    """
    handler = _SHOWS.get(tokens[1].value if len(tokens) > 2 else "")
    if len(tokens) == 2 and tokens[1].is_word("databases"):
        return Pass(
            "SELECT database_name, database_owner, database_type, database_acl,"
            " database_options AS parameters FROM pg_catalog.svv_redshift_databases"
        )
    if handler is None:
        return show_parameter(tokens)
    return Pass(handler(tokens))


def _expect(tokens: Sequence[Token], at: int, *texts: str) -> int:
    for place, text in enumerate(texts, at):
        if place >= len(tokens):
            raise SqlError("42601", "syntax error at end of input")
        if not tokens[place].is_word(text):
            raise syntax_error(tokens[place].text)
    return at + len(texts)


def _name(tokens: Sequence[Token], at: int) -> tuple[tuple[str, ...], int]:
    end = name_end(tokens, at)
    if end == at:
        raise syntax_error(tokens[at].text) if at < len(tokens) else _end()
    return dotted(tokens[at:end]), end


def _end() -> SqlError:
    return SqlError("42601", "syntax error at end of input")


def _filters(tokens: Sequence[Token], at: int, column: str) -> str:
    """LIKE 'pattern' and LIMIT n."""
    where = limit = ""
    if at + 1 < len(tokens) and tokens[at].is_word("like"):
        where = f" AND {column} LIKE {literal(tokens[at + 1].value).text}"
        at += 2
    if at + 1 < len(tokens) and tokens[at].is_word("limit"):
        if tokens[at + 1].kind is not Kind.NUMBER:
            raise syntax_error(tokens[at + 1].text)
        limit = f" LIMIT {tokens[at + 1].text}"
        at += 2
    if at < len(tokens):
        raise syntax_error(tokens[at].text)
    return f"{where} ORDER BY {column}{limit}"


def _here(parts: Sequence[str], count: int) -> tuple[str, ...]:
    """The last ``count`` parts; a database before them must be this one, which the query checks."""
    if len(parts) not in (count, count + 1):
        raise syntax_error(".")
    return tuple(parts[-count:])


def _schemas(tokens: list[Token]) -> str:
    at = _expect(tokens, 2, "from", "database")
    parts, at = _name(tokens, at)
    return (
        "SELECT database_name, schema_name, schema_owner, schema_type, schema_acl, source_database,"
        f" schema_option FROM pg_catalog.svv_all_schemas WHERE database_name = "
        f"{literal(parts[0]).text}{_filters(tokens, at, 'schema_name')}"
    )


def _tables(tokens: list[Token]) -> str:
    at = _expect(tokens, 2, "from", "schema")
    parts, at = _name(tokens, at)
    (schema,) = _here(parts, 1)
    return (
        "SELECT database_name, schema_name, table_name, table_type, table_acl, remarks"
        f" FROM pg_catalog.svv_all_tables WHERE schema_name = {literal(schema).text}"
        f"{_filters(tokens, at, 'table_name')}"
    )


def _columns(tokens: list[Token]) -> str:
    at = _expect(tokens, 2, "from", "table")
    parts, at = _name(tokens, at)
    if len(parts) < 2:
        raise not_here("SHOW COLUMNS of a table without schema")
    schema, table = _here(parts, 2)
    return (
        "SELECT database_name, schema_name, table_name, column_name, ordinal_position,"
        " column_default, is_nullable, data_type, character_maximum_length, numeric_precision,"
        " numeric_scale, remarks FROM pg_catalog.svv_all_columns"
        f" WHERE schema_name = {literal(schema).text} AND table_name = {literal(table).text}"
        + _filters(tokens, at, "column_name").replace("BY column_name", "BY ordinal_position")
    )


def _relation(tokens: list[Token], at: int) -> str:
    parts, at = _name(tokens, at)
    if at < len(tokens):
        raise syntax_error(tokens[at].text)
    return literal(".".join(name(part).text for part in parts[-2:])).text


def _table(tokens: list[Token]) -> str:
    relation = _relation(tokens, 2)
    return f'SELECT pg_stand_in.table_ddl({relation}::regclass) AS "Show Table DDL statement"'


def _view(tokens: list[Token]) -> str:
    relation = _relation(tokens, 2)
    return (
        "SELECT coalesce((SELECT l.body || ' WITH NO SCHEMA BINDING' FROM pg_stand_in.late_view l"
        f" WHERE l.relid = {relation}::regclass), pg_catalog.pg_get_viewdef({relation}::regclass))"
        ' AS "Show View DDL statement"'
    )


def _grants(tokens: list[Token]) -> str:
    if tokens[2].is_word("for"):
        kind = tokens[3].value if len(tokens) == 5 and tokens[3].is_word("role") else "user"
        at = 4 if kind == "role" else 3
        if at >= len(tokens):
            raise _end()
        who = literal(tokens[at].value).text
        where = f"identity_name = {who} AND identity_type = '{kind}'"
        at += 1
    else:
        where, at = _granted_on(tokens)
    if at + 1 < len(tokens) and tokens[at].is_word("for"):
        where += f" AND identity_name = {literal(tokens[-1].value).text}"
        at = len(tokens)
    order = _filters(tokens, at, "object_name")
    return f"SELECT {_GRANTS} FROM pg_stand_in.known_grants WHERE {where}{order}"


def _granted_on(tokens: list[Token]) -> tuple[str, int]:
    at = _expect(tokens, 2, "on")
    if at < len(tokens) and tokens[at].is_word("schema", "database"):
        parts, end = _name(tokens, at + 1)
        return f"object = '{tokens[at].value}' AND name = {literal(parts[-1]).text}", end
    if at < len(tokens) and tokens[at].is_word("table"):
        at += 1
    parts, end = _name(tokens, at)
    if len(parts) < 2:
        raise not_here("SHOW GRANTS on a table without schema")
    schema, table = _here(parts, 2)
    same = f"namespace_name = {literal(schema).text} AND name = {literal(table).text}"
    return f"object IN ('relation', 'column') AND {same}", end


_SHOWS: dict[str, Callable[[list[Token]], str]] = {
    "schemas": _schemas,
    "tables": _tables,
    "columns": _columns,
    "table": _table,
    "view": _view,
    "grants": _grants,
}
