"""ALTER TABLE: the actions Redshift has, one per statement (AWS docs: ALTER TABLE)."""

from __future__ import annotations

import json
from collections.abc import Sequence

from loader.local.redshift.attributes import Attributes, encoding, table_attribute
from loader.local.redshift.create import column_definition
from loader.local.redshift.errors import SqlError, syntax_error
from loader.local.redshift.plan import Engine, Pass, Plan, Script
from loader.local.redshift.refs import dotted, name_end
from loader.local.redshift.tokens import Token, literal, name, render, split_commas
from loader.local.redshift.types import parse_type

_TAG = "ALTER TABLE"
_APPEND_OPTIONS = ("ignoreextra", "filltarget")
_KEY_WORDS = ("distkey", "diststyle", "sortkey", "encode")


def in_block(what: str) -> SqlError:
    """A command that Redshift runs only outside BEGIN ... COMMIT."""
    return SqlError("25001", f"{what} cannot run inside a transaction block")


def alter_table(tokens: Sequence[Token]) -> Plan:
    """Plan one ALTER TABLE.

    Raises:
        SqlError: an action, or a combination of actions, that Redshift refuses.
    """
    if len(tokens) < 4:
        raise SqlError("42601", "syntax error at end of input")
    if tokens[2].is_word("if", "only"):
        raise syntax_error(tokens[2 + tokens[2].is_word("if")].text)
    end = name_end(tokens, 2)
    table, action = list(tokens[2:end]), list(tokens[end:])
    if end == 2 or not action:
        raise SqlError("42601", "syntax error at end of input")
    verb = action[0].value
    if verb == "add":
        return _add(table, action)
    if verb == "drop":
        return _drop(table, action)
    if verb == "alter":
        return _alter(table, action)
    if verb == "append":
        return _append(table, action[1:])
    if [t.value for t in action[:2]] == ["rename", "to"] and len(action) == 3:
        return _rename(tokens, action[2].value)
    if verb == "rename" or [t.value for t in action[:2]] == ["owner", "to"]:
        return Pass(render(tokens))
    raise syntax_error(action[0].text)


def _rename(tokens: Sequence[Token], new_name: str) -> Script:
    async def run(engine: Engine) -> str:
        await engine.run(render(tokens))
        await engine.late_view_made(new_name)  # it may be one: the name has to be looked up
        return _TAG

    return Script(run)


def _oid(table: Sequence[Token]) -> str:
    return f"{literal(render(table)).text}::regclass"


def _record(table: Sequence[Token], attributes: Attributes) -> str:
    document = literal(json.dumps(attributes.document())).text
    return f"SELECT pg_stand_in.record({_oid(table)}, {document})"


def _add(table: list[Token], action: list[Token]) -> Script:
    rest = action[1:]
    parts = split_commas(rest)
    if len(parts) > 1:
        raise syntax_error(",")
    if rest and rest[0].is_word("column"):
        rest = rest[1:]
    if rest and rest[0].is_word("if"):
        raise syntax_error(rest[1].text if len(rest) > 1 else rest[0].text)
    if rest and rest[0].is_word("constraint", "primary", "unique", "foreign", "check"):
        return _add_constraint(table, rest)
    attributes = Attributes()
    bare = dotted(table)[-1]
    column = column_definition(rest, bare, attributes)
    if attributes.distkey or attributes.sortkeys or attributes.keys:
        raise SqlError("0A000", "ALTER TABLE ADD COLUMN does not take keys or constraints")
    words_of = [token.value for token in column]
    if "identity" in words_of:
        raise SqlError("0A000", "ALTER TABLE ADD COLUMN does not take an identity column")
    if words_of[-2:] == ["not", "null"] and "default" not in words_of:
        text = "ALTER TABLE ADD COLUMN defined as NOT NULL must have a non-null default expression"
        raise SqlError("0A000", text)
    sql = f"ALTER TABLE {render(table)} ADD COLUMN {render(column)}"

    async def run(engine: Engine) -> str:
        await engine.run(sql)
        await engine.run(_record(table, attributes))
        return _TAG

    return Script(run)


def _add_constraint(table: list[Token], rest: list[Token]) -> Script:
    body = rest[2:] if rest[0].is_word("constraint") else rest
    if not body or not body[0].is_word("primary", "unique", "foreign"):
        raise SqlError("0A000", "CHECK constraints are not supported")
    attributes = Attributes()
    opening = next((i for i, token in enumerate(body) if token.is_op("(")), len(body) - 1)
    stop = next((i for i, token in enumerate(body) if token.is_op(")")), len(body))
    columns = [token.value for token in body[opening + 1 : stop] if token.is_name]
    called = rest[1].value if rest[0].is_word("constraint") else ""
    attributes.keys.append((body[0].value[0], columns, called))

    async def run(engine: Engine) -> str:
        await engine.run(_record(table, attributes))
        return _TAG

    return Script(run)


def _drop_constraint(table: list[Token], rest: list[Token]) -> Script:
    if len(rest) > 3 or not rest[1:2] or (rest[2:] and not rest[2].is_word("cascade", "restrict")):
        raise syntax_error(rest[-1].text)
    called = literal(rest[1].value).text

    async def run(engine: Engine) -> str:
        await engine.run(f"SELECT pg_stand_in.drop_key({_oid(table)}, {called})")
        return _TAG

    return Script(run)


def _drop(table: list[Token], action: list[Token]) -> Script:
    rest = action[1:]
    if rest and rest[0].is_word("constraint"):
        return _drop_constraint(table, rest)
    if rest and rest[0].is_word("column"):
        rest = rest[1:]
    if not rest or rest[0].is_word("if"):
        raise syntax_error(rest[min(1, len(rest) - 1)].text if rest else "DROP")
    if len(split_commas(rest)) > 1:
        raise syntax_error(",")
    column = literal(rest[0].value).text
    tail = f" {render(rest[1:])}" if rest[1:] else ""

    async def run(engine: Engine) -> str:
        oid = _oid(table)
        keyed = await engine.run(
            "SELECT r.distkey = a, a = ANY (r.sortkeys)"  # noqa: S608 - quoted by literal()
            f" FROM pg_stand_in.relation r, pg_stand_in.attribute({oid}, {column}) a"
            f" WHERE r.relid = {oid}"
        )
        if keyed and keyed[0][0] == "t":
            raise SqlError("0A000", "cannot drop distkey column")
        if keyed and keyed[0][1] == "t":
            raise SqlError("0A000", "cannot drop sortkey column")
        await engine.run(
            f"ALTER TABLE {render(table)} DROP COLUMN {name(rest[0].value).text}{tail}"
        )
        return _TAG

    return Script(run)


def _alter(table: list[Token], action: list[Token]) -> Script:
    rest = action[1:]
    attributes = Attributes()
    if rest and rest[0].is_word("column"):
        rest = rest[1:]
        if len(rest) > 1 and rest[1].is_word("type"):
            return _resize(table, rest)
        if len(rest) > 2 and rest[1].is_word("set", "drop"):
            if not rest[2].is_word("default", "not"):
                raise syntax_error(rest[2].text)
            what = "DEFAULT" if rest[2].is_word("default") else "NOT NULL"
            raise SqlError("0A000", f"ALTER COLUMN SET/DROP {what} is not supported")
        for given in split_commas(action):
            part = given[1:] if given[:1] and given[0].is_word("alter") else given
            texts = [token.value for token in part]
            if len(part) != 4 or texts[0] != "column" or texts[2] != "encode":
                raise syntax_error(part[-1].text)
            attributes.encodings[part[1].value] = encoding(part[3])
    else:
        _key_changes(action, attributes)

    async def run(engine: Engine) -> str:
        styled = await engine.run(
            f"SELECT sortstyle FROM pg_stand_in.relation WHERE relid = {_oid(table)}"  # noqa: S608 - quoted
        )
        if styled == [["INTERLEAVED"]] and attributes.sortstyle is None:
            raise SqlError("0A000", "ALTER TABLE is not supported with an interleaved sort key")
        await engine.run(_record(table, attributes))
        return _TAG

    return Script(run)


def _key_changes(action: list[Token], into: Attributes) -> None:
    """ALTER DISTKEY c, DISTSTYLE x, [COMPOUND] SORTKEY (...) and ENCODE AUTO."""
    parts = split_commas(action)
    said = {next((t.value for t in part[1:] if t.is_word(*_KEY_WORDS)), "") for part in parts}
    if len(parts) > 1 and (
        len(parts) != len(said) or not said <= {"distkey", "diststyle", "sortkey"}
    ):
        raise syntax_error(",")
    for part in parts:
        rest = part[1:] if part and part[0].is_word("alter") else part
        if len(rest) > 1 and rest[0].is_word("distkey") and rest[1].is_name:
            into.distribute("key", rest[1].value)
            continue
        if [t.value for t in rest[:2]] == ["diststyle", "key"] and len(rest) == 4:
            into.distribute("key", rest[3].value)  # DISTSTYLE KEY DISTKEY c
            continue
        if rest and rest[0].is_word("interleaved"):
            raise syntax_error(rest[0].text)
        if not rest or table_attribute(rest, 0, into) != len(rest):
            raise syntax_error(rest[0].text if rest else "ALTER")


def _resize(table: list[Token], rest: list[Token]) -> Script:
    column = rest[0].value
    new, after = parse_type(rest, 2, f"{dotted(table)[-1]}.{column}")
    if after != len(rest):
        raise syntax_error(rest[after].text)
    if new[0].value != "varchar":
        raise SqlError("0A000", f'ALTER COLUMN TYPE of column "{column}" is not supported')
    size = new[2].text

    async def run(engine: Engine) -> str:
        if engine.in_transaction:
            raise in_block("ALTER TABLE ALTER COLUMN")
        await engine.run(
            f"SELECT pg_stand_in.check_resize({_oid(table)}, {literal(column).text}, {size})"
        )
        await engine.run(
            f"ALTER TABLE {render(table)} ALTER COLUMN {name(column).text} TYPE varchar({size})"
        )
        return _TAG

    return Script(run)


def _append(table: list[Token], rest: list[Token]) -> Script:
    """APPEND FROM source [IGNOREEXTRA | FILLTARGET] (AWS docs: ALTER TABLE APPEND)."""
    if not rest or not rest[0].is_word("from"):
        raise syntax_error(rest[0].text if rest else "APPEND")
    end = name_end(rest, 1)
    options = rest[end:]
    if end == 1 or len(options) > 1 or (options and not options[0].is_word(*_APPEND_OPTIONS)):
        raise syntax_error(rest[-1].text)
    mode = options[0].value if options else ""

    async def run(engine: Engine) -> str:
        if engine.in_transaction:
            raise in_block("ALTER TABLE APPEND")
        await engine.run(f"SELECT pg_stand_in.append({_oid(table)}, {_oid(rest[1:end])}, '{mode}')")
        return _TAG

    return Script(run)
