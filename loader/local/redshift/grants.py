"""GRANT, REVOKE and ALTER DEFAULT PRIVILEGES: Redshift's grammar to PostgreSQL's.

PostgreSQL 18 has eight privileges on a table, Redshift eight others: DROP is kept as MAINTAIN and
ALTER as TRIGGER, which Redshift does not have. So grants live in PostgreSQL's own catalog: they stay
with the object through a rename, go with a drop, and take part in the transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loader.local.redshift.errors import SqlError, not_here, syntax_error
from loader.local.redshift.plan import Plan, commands
from loader.local.redshift.principals import principal
from loader.local.redshift.tokens import Token, literal, render, split_commas, word, words

_TABLE = {
    "select": "SELECT", "insert": "INSERT", "update": "UPDATE", "delete": "DELETE",
    "references": "REFERENCES", "truncate": "TRUNCATE", "drop": "MAINTAIN", "alter": "TRIGGER",
    "rule": "", "trigger": "",
}  # fmt: skip
_SCHEMA = {"usage": "USAGE", "create": "CREATE"}
_DATABASE = {"create": "CREATE", "temp": "TEMPORARY", "temporary": "TEMPORARY"}
_ROUTINE = {"execute": "EXECUTE"}
_NOT_HERE = ("datashare", "model", "copy", "template", "function", "procedure", "language")
_ASSUME_FOR = ("copy", "unload", "external function", "create model")


@dataclass(frozen=True, slots=True)
class Grantee:
    """Who gets a privilege: the principal's SQL, and whether it may be passed on."""

    kind: str
    sql: Token
    option: bool = False


def _grantees(tokens: Sequence[Token], option: str) -> list[Grantee]:
    """``[GROUP | ROLE] name [WITH GRANT OPTION]``, by commas.

    Raises:
        SqlError: 0LP01 for a grant option to anything but a user.
    """
    out = []
    for part in split_commas(tokens):
        texts = [token.value for token in part]
        with_option = texts[-3:] == ["with", option, "option"]
        names = part[:-3] if with_option else part
        kind = names[0].value if len(names) == 2 and names[0].is_word("group", "role") else "user"
        if len(names) != (1 if kind == "user" else 2) or not names[-1].is_name:
            raise syntax_error(names[-1].text if names else tokens[-1].text)
        if kind == "user" and names[0].is_word("public"):
            kind = "public"
        if with_option and option == "grant" and kind != "user":
            # PostgreSQL 8.0's own code and text, from which Redshift descends.
            raise SqlError("0LP01", "grant options can only be granted to individual users")
        sql = word("PUBLIC") if kind == "public" else principal(names[-1].value, kind)
        out.append(Grantee(kind, sql, with_option))
    if not out:
        raise SqlError("42601", "syntax error at end of input")
    return out


def _find(tokens: Sequence[Token], *texts: str) -> int:
    """Index of the first of these words outside brackets.

    Raises:
        SqlError: 42601, there is none.
    """
    depth = 0
    for at, token in enumerate(tokens):
        depth += token.is_op("(") - token.is_op(")")
        if depth == 0 and token.is_word(*texts):
            return at
    raise SqlError("42601", "syntax error at end of input")


def grant(tokens: Sequence[Token]) -> Plan:
    """GRANT and REVOKE on objects, of roles, and of IAM roles.

    Raises:
        SqlError: a privilege or form that Redshift or the stand-in does not have.
    """
    give = tokens[0].is_word("grant")
    tag = tokens[0].text.upper()
    rest = list(tokens[1:])
    only = [token.value for token in rest[:3]]
    option_for = only[1:] == ["option", "for"] and only[0] in ("grant", "admin") and not give
    rest = rest[3:] if option_for else rest
    if rest and rest[0].is_word("role"):
        return _roles(rest[1:], tag, give=give, admin_only=option_for)
    split = _find(rest, "to" if give else "from")
    left, right = rest[:split], rest[split + 1 :]
    tail = ""
    if right and right[-1].is_word("restrict", "cascade"):
        tail, right = f" {right[-1].text.upper()}", right[:-1]
    if left and left[0].is_word("assumerole"):
        return _assume_role(left, right, tag, give=give)
    if not any(token.is_word("on") for token in left):
        raise not_here("GRANT of system permissions")
    on = _find(left, "on")
    target = _target(left[on + 1 :])
    privileges = _privileges(left[:on], target)
    head = f"{tag} {'GRANT OPTION FOR ' if option_for else ''}{privileges} ON {target.sql}"
    return commands(*_each(head, _grantees(right, "grant"), tail, give=give), tag=tag)


def _each(head: str, grantees: Sequence[Grantee], tail: str, *, give: bool) -> list[str]:
    """One command for those with and one for those without the grant option."""
    out = []
    for option in (False, True):
        names = [g.sql for g in grantees if g.option == option]
        if names:
            listed = ", ".join(render([n]) for n in names)
            suffix = " WITH GRANT OPTION" if option else ""
            out.append(f"{head} {'TO' if give else 'FROM'} {listed}{suffix}{tail}")
    return out


@dataclass(frozen=True, slots=True)
class Target:
    """What a privilege is on: SQL, and the privileges that it has."""

    sql: str
    privileges: dict[str, str]
    columns: bool = False


def _target(tokens: Sequence[Token]) -> Target:
    texts = [token.value for token in tokens]
    if not tokens:
        raise SqlError("42601", "syntax error at end of input")
    if texts[0] == "all" and texts[2:4] == ["in", "schema"]:
        if texts[1] != "tables":
            raise not_here(f"GRANT ON ALL {texts[1].upper()}")
        return Target(render(tokens), _TABLE)
    if texts[0] == "schema":
        return Target(render(tokens), _SCHEMA)
    if texts[0] == "database":
        return Target(render(tokens), _DATABASE)
    if texts[0] in _NOT_HERE and len(tokens) > 1 and tokens[1].is_name:
        raise not_here(f"GRANT ON {texts[0].upper()}")
    names = list(tokens[1:] if texts[0] == "table" and len(tokens) > 1 else tokens)
    return Target(render(names), _TABLE, columns=True)


def _privileges(tokens: Sequence[Token], target: Target) -> str:
    """The privileges in PostgreSQL's words.

    Raises:
        SqlError: one that the object does not have.
    """
    out = []
    for part in split_commas(tokens):
        words_of = [t for t in part if t.is_name and not t.is_word("privileges")]
        first = words_of[0].value if words_of else ""
        listed = next((part[i:] for i, t in enumerate(part) if t.is_op("(")), [])
        if any(t.is_word("for") for t in part):
            raise not_here("GRANT ... FOR TABLES IN SCHEMA")
        if first == "all":
            both = ("SELECT", "UPDATE") if listed else ("ALL PRIVILEGES",)
            out += [f"{each} {render(listed)}".strip() for each in both]
            continue
        if first in ("alter", "drop", "usage") and first not in target.privileges:
            raise not_here(f"privilege {first.upper()} on this object")
        known = target.privileges.get(first, "")
        if not known:
            if first in {**_TABLE, **_SCHEMA, **_DATABASE, **_ROUTINE}:
                text = f"invalid privilege type {first.upper()} for this object"
                raise SqlError("0LP01", text)
            raise syntax_error(part[0].text if part else "ON")
        if listed and (not target.columns or first not in ("select", "update")):
            text = "column privileges are only supported for SELECT and UPDATE"
            raise SqlError("0A000", text)
        out.append(f"{known} {render(listed)}".strip())
    if not out:
        raise syntax_error("ON")
    return ", ".join(out)


def _roles(tokens: list[Token], tag: str, *, give: bool, admin_only: bool) -> Plan:
    """GRANT ROLE r [, ...] TO user | ROLE r [WITH ADMIN OPTION]."""
    split = _find(tokens, "to" if give else "from")
    parts = split_commas(tokens[:split])
    if any(len(part) != 1 or not part[0].is_name for part in parts) or not parts:
        raise syntax_error(tokens[0].text)
    roles = ", ".join(render([principal(part[0].value, "role")]) for part in parts)
    grantees = _grantees(tokens[split + 1 :], "admin")
    if any(g.kind in ("group", "public") for g in grantees):
        raise syntax_error("GROUP" if grantees[0].kind == "group" else "PUBLIC")
    admin = " WITH ADMIN OPTION" if any(g.option for g in grantees) else ""
    plain = [replace(g, option=False) for g in grantees]
    head = f"{tag} {'ADMIN OPTION FOR ' if admin_only else ''}{roles}"
    return commands(*_each(head, plain, admin, give=give), tag=f"{tag} ROLE")


def _assume_role(left: list[Token], right: list[Token], tag: str, *, give: bool) -> Plan:
    """GRANT ASSUMEROLE ON 'arn' | DEFAULT | ALL TO ... FOR ALL | COPY | UNLOAD [, ...]."""
    on = _find(left, "on")
    roles = ["ALL" if t.is_word("all") else t.value for t in left[on + 1 :] if not t.is_op(",")]
    split = _find(right, "for")
    asked = [" ".join(t.value for t in part) for part in split_commas(right[split + 1 :])]
    if asked == ["all"]:
        asked = list(_ASSUME_FOR)
    if not asked or any(each not in _ASSUME_FOR for each in asked):
        raise syntax_error(right[-1].text)
    grantees = [g.sql.value for g in _grantees(right[:split], "grant")]
    sql = (
        f"SELECT pg_stand_in.assume_role({str(give).lower()}, {_array(roles)},"
        f" {_array([each.upper() for each in asked])}, {_array(grantees)})"
    )
    return commands(sql, tag=tag)


def _array(values: Sequence[str]) -> str:
    return f"ARRAY[{', '.join(literal(value).text for value in values)}]::text[]"


def default_privileges(tokens: Sequence[Token]) -> Plan:
    """ALTER DEFAULT PRIVILEGES [FOR USER u, ...] [IN SCHEMA s, ...] GRANT | REVOKE ... ON TABLES.

    Raises:
        SqlError: a form that Redshift or the stand-in does not have.
    """
    if [token.value for token in tokens[2:3]] != ["privileges"]:
        raise syntax_error(tokens[-1].text)
    verb = _find(tokens, "grant", "revoke")
    scope, rest = list(tokens[3:verb]), list(tokens[verb + 1 :])
    if scope and scope[0].is_word("for") and not (len(scope) > 1 and scope[1].is_word("user")):
        raise syntax_error(scope[1].text if len(scope) > 1 else "FOR")
    give = tokens[verb].is_word("grant")
    option_for = [t.value for t in rest[:3]] == ["grant", "option", "for"] and not give
    rest = rest[3:] if option_for else rest
    split = _find(rest, "to" if give else "from")
    on = _find(rest[:split], "on")
    kind = [token.value for token in rest[on + 1 : split]]
    if kind in (["functions"], ["procedures"]):
        raise not_here(f"ALTER DEFAULT PRIVILEGES ON {kind[0].upper()}")
    if kind != ["tables"]:
        raise syntax_error(rest[min(on + 1, split)].text)
    privileges = _privileges(rest[:on], Target("TABLES", _TABLE))
    right = rest[split + 1 :]
    if right and right[-1].is_word("restrict", "cascade"):
        right = right[:-1]
    head = (
        f"{render([*words('ALTER DEFAULT PRIVILEGES'), *scope])} {tokens[verb].text.upper()}"
        f" {'GRANT OPTION FOR ' if option_for else ''}{privileges} ON TABLES"
    )
    grantees = _grantees(right, "grant")
    return commands(*_each(head, grantees, "", give=give), tag="ALTER DEFAULT PRIVILEGES")
