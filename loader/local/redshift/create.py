"""CREATE TABLE: Redshift's grammar in, PostgreSQL's CREATE TABLE and a record of attributes out.

Keys and references are kept as information only: Redshift never enforces them (AWS docs: CREATE
TABLE). Attributes go to the side tables in the client's transaction, so a rollback takes them along.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from loader.local.redshift import deny
from loader.local.redshift.attributes import (
    Attributes,
    check_encoding,
    column_attribute,
    table_attributes,
)
from loader.local.redshift.clauses import clauses
from loader.local.redshift.errors import LEADER_ONLY, SqlError, syntax_error, unsupported
from loader.local.redshift.plan import Engine, Script
from loader.local.redshift.refs import dotted, name_end
from loader.local.redshift.regions import note_made
from loader.local.redshift.rewrite import rewrite
from loader.local.redshift.tokens import (
    Token,
    closing,
    literal,
    name,
    op,
    render,
    split_commas,
    words,
)
from loader.local.redshift.types import parse_type

MAX_COLUMNS = 1600


@dataclass(slots=True)
class _Table:
    parts: tuple[str, ...]
    temp: bool
    if_not_exists: bool
    elements: list[list[Token]] = field(default_factory=list)
    attributes: Attributes = field(default_factory=Attributes)
    columns: int = 0


def create_table(tokens: Sequence[Token]) -> Script:
    """Plan CREATE [TEMP] TABLE, with columns, LIKE, or AS.

    Raises:
        SqlError: a type, clause or limit that Redshift refuses.
    """
    table, at = _head(tokens)
    query: list[Token] = []
    if at < len(tokens) and tokens[at].is_op("(") and not _is_query(tokens, at):
        end = closing(tokens, at)
        parts = split_commas(tokens[at + 1 : end])
        if any(token.is_word("as") for token in tokens[end:]) and all(map(_is_name, parts)):
            table.elements += parts  # CREATE TABLE x (a, b) AS SELECT
        else:
            for part in parts:
                _element(part, table)
        if table.columns > MAX_COLUMNS:
            raise SqlError("54011", f"tables can have at most {MAX_COLUMNS} columns")
        at = end + 1
    at = table_attributes(tokens, at, table.attributes)
    if table.attributes.diststyle == "KEY" and table.attributes.distkey is None:
        raise SqlError("42601", "DISTSTYLE KEY requires a DISTKEY column")
    if at < len(tokens):
        if not tokens[at].is_word("as"):
            raise syntax_error(tokens[at].text)
        query = list(tokens[at + 1 :])
        deny.check(query)
        if deny.uses_leader_functions(query):
            raise unsupported(LEADER_ONLY)
        query = clauses(rewrite(query))
    return _script(table, query)


def _head(tokens: Sequence[Token]) -> tuple[_Table, int]:
    at = 1
    while tokens[at].is_word("local", "global"):
        at += 1
    temp = tokens[at].is_word("temp", "temporary")
    at += 1 + temp  # TABLE
    if_not_exists = [t.value for t in tokens[at : at + 3]] == ["if", "not", "exists"]
    at += 3 * if_not_exists
    end = name_end(tokens, at)
    if end == at:
        raise syntax_error(tokens[at].text if at < len(tokens) else "TABLE")
    parts = dotted(tokens[at:end])
    temp = temp or parts[-1].startswith("#")
    if temp and len(parts) > 1:
        raise SqlError("42P16", "temporary tables may not specify a schema name")
    return _Table(parts[-2:], temp, if_not_exists), end


def _is_query(tokens: Sequence[Token], at: int) -> bool:
    return at + 1 < len(tokens) and tokens[at + 1].is_word("select", "with")


def _is_name(part: Sequence[Token]) -> bool:
    return len(part) == 1 and part[0].is_name


def _element(part: list[Token], table: _Table) -> None:
    """One comma-separated element: a column, LIKE, or a table constraint."""
    if not part:
        raise syntax_error(")")
    if part[0].is_word("like"):
        end = name_end(part, 1)
        rest = [token.value for token in part[end:]]
        if rest not in ([], ["including", "defaults"], ["excluding", "defaults"]):
            raise syntax_error(part[end].text)
        table.attributes.like = render(part[1:end])
        table.elements.append(part)
        return
    called = ""
    if part[0].is_word("constraint") and len(part) > 2:
        called, part = part[1].value, part[2:]
    if part[0].is_word("primary", "unique", "foreign"):
        _table_key(part, table, called)
    elif part[0].is_word("check", "exclude"):
        raise SqlError("0A000", f"{part[0].text.upper()} constraints are not supported")
    else:
        table.columns += 1
        table.elements.append(column_definition(part, table.parts[-1], table.attributes))


def _table_key(part: list[Token], table: _Table, called: str) -> None:
    opening = next((i for i, token in enumerate(part) if token.is_op("(")), 0)
    if not opening:
        raise syntax_error(part[-1].text)
    columns = [t.value for t in part[opening + 1 : closing(part, opening)] if t.is_name]
    table.attributes.keys.append((part[0].value[0], columns, called))
    if part[0].is_word("primary"):
        table.attributes.primary += columns


def column_definition(part: list[Token], table: str, attributes: Attributes) -> list[Token]:
    """One column in PostgreSQL's words; its attributes are added to ``attributes``.

    Raises:
        SqlError: the type or an attribute is not Redshift's.
    """
    column = part[0]
    if not column.is_name:
        raise syntax_error(column.text)
    type_tokens, at = parse_type(part, 1, f"{table}.{column.value}")
    out = [name(column.value), *type_tokens]
    while at < len(part):
        used, kept = column_attribute(part, at, column.value, attributes)
        out += kept
        at += used
    if column.value in attributes.encodings:
        check_encoding(column.value, attributes.encodings[column.value], type_tokens[0].value)
    return out


def _script(table: _Table, query: list[Token]) -> Script:
    shown = ".".join(name(part).text for part in table.parts)
    head = words(f"CREATE {'TEMP ' if table.temp else ''}TABLE")
    if table.if_not_exists:
        head += words("IF NOT EXISTS")
    body: list[Token] = []
    for index, element in enumerate(table.elements):
        if element[0].is_name and element[0].value in table.attributes.primary:
            element = [*element, *words("NOT NULL")]  # noqa: PLW2901
        body += [op(","), *element] if index else element
    sql = f"{render(head)} {shown}"
    if body or not query:
        sql += f" ({render(body)})"
    if query:
        sql += f" AS {render(query)}"
    schema = literal(table.parts[0]).text if len(table.parts) > 1 else "NULL"
    oid = (
        f"pg_stand_in.created({schema}, {literal(table.parts[-1]).text},"
        f" {'true' if table.temp else 'false'})"
    )
    record = literal(json.dumps(table.attributes.document())).text

    async def action(engine: Engine) -> str:
        there = await engine.run(f"SELECT {oid} IS NOT NULL")
        if there == [["t"]] and not table.if_not_exists:
            raise SqlError("42P07", f'Relation "{table.parts[-1]}" already exists')
        await engine.run(sql)
        if there != [["t"]]:
            await engine.run(f"SELECT pg_stand_in.record({oid}, {record})")
        if query and there != [["t"]]:
            await note_made(shown, engine)
        return "CREATE TABLE" if not query else "SELECT"

    return Script(action)
