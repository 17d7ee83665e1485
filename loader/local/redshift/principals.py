"""Users, groups and roles: three kinds on Redshift, one on PostgreSQL.

A group ``g`` is the backend's role ``group:g``, a role ``r`` is ``role:r``; a user keeps its name. So
one name can be all three, as on Redshift. What the client reads has the prefixes taken off.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from loader.local.redshift.errors import SqlError, not_here, syntax_error
from loader.local.redshift.names import POSTGRES_MAX
from loader.local.redshift.plan import Engine, Pass, Plan, Script, commands
from loader.local.redshift.settings import DEFAULTS
from loader.local.redshift.tokens import Kind, Token, literal, name, render, split_commas, word

_PREFIX = {"user": "", "group": "group:", "role": "role:"}
_MD5 = re.compile(r"md5[0-9a-f]{32}")
_REFUSED_LETTERS = "'\"\\/@ "
_MIN_PASSWORD, _MAX_PASSWORD = 8, 64


def principal(value: str, kind: str) -> Token:
    """The backend's name of a user, group or role.

    Raises:
        SqlError: the name is too long for the backend.
    """
    full = _PREFIX[kind] + value
    if len(full.encode("utf-8", "surrogateescape")) > POSTGRES_MAX:
        raise not_here(f"{kind} name of more than {POSTGRES_MAX - len(_PREFIX[kind])} bytes")
    return name(full)


def _end() -> SqlError:
    return SqlError("42601", "syntax error at end of input")


def check_password(text: str) -> None:
    """The rules for a plain password (AWS docs: CREATE USER).

    Raises:
        SqlError: 22023, with what is missing.
    """
    if _MD5.fullmatch(text):
        return
    if text.startswith("sha256|"):
        raise not_here("a password given as sha256 digest")
    rules = (
        (_MIN_PASSWORD <= len(text) <= _MAX_PASSWORD, "must have 8 to 64 characters"),
        (any(c.isascii() and c.isupper() for c in text), "must contain an uppercase letter"),
        (any(c.isascii() and c.islower() for c in text), "must contain a lowercase letter"),
        (any(c.isdigit() for c in text), "must contain a digit"),
        (not any(c in _REFUSED_LETTERS for c in text), "has a character it may not have"),
    )
    for kept, text_of_rule in rules:
        if not kept:
            raise SqlError("22023", f"password {text_of_rule}")


@dataclass(slots=True)
class _Options:
    """What CREATE or ALTER USER says."""

    sql: list[str] = field(default_factory=list)
    groups: list[Token] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)  # columns of pg_stand_in.user_option
    password: bool = False


def _options(tokens: Sequence[Token]) -> _Options:
    """Read the options of CREATE and ALTER USER.

    Raises:
        SqlError: 42601 at a word that is no option, 22023 for a bad password.
    """
    out = _Options()
    at = 1 if tokens and tokens[0].is_word("with") else 0
    while at < len(tokens):
        at += _option(tokens, at, out)
    return out


def _option(  # noqa: PLR0911, PLR0912 - one case per option
    tokens: Sequence[Token], at: int, into: _Options
) -> int:
    """Read one option; returns how many tokens it took."""
    token = tokens[at]
    texts = [t.value for t in tokens[at : at + 3]]
    value = tokens[at + 1] if at + 1 < len(tokens) else None
    third = tokens[at + 2] if at + 2 < len(tokens) else None
    plain = {
        "createdb": "CREATEDB", "nocreatedb": "NOCREATEDB",
        "createuser": "SUPERUSER", "nocreateuser": "NOSUPERUSER",
    }  # fmt: skip
    if token.kind is Kind.WORD and token.value in plain:
        into.sql.append(plain[token.value])
        return 1
    if value is None:
        raise _end()
    if token.is_word("password"):
        into.password = True
        if value.is_word("disable"):
            into.sql.append("PASSWORD NULL")
        elif value.kind is Kind.STRING:
            check_password(value.value)
            into.sql.append(f"PASSWORD {literal(value.value).text}")
        else:
            raise syntax_error(value.text)
        return 2
    if token.is_word("externalid") and value.kind is Kind.STRING:
        into.kept["external_user_id"] = value.value
        return 2
    if third is None:
        raise _end()
    if texts[:2] == ["valid", "until"] and third.kind is Kind.STRING:
        into.sql.append(f"VALID UNTIL {literal(third.value).text}")
        return 3
    if texts[:2] == ["connection", "limit"]:
        limit = "-1" if third.is_word("unlimited") else third.text
        into.sql.append(f"CONNECTION LIMIT {limit}")
        return 3
    if texts[:2] == ["session", "timeout"] and third.kind is Kind.NUMBER:
        into.kept["sessiontimeout"] = third.text
        return 3
    if texts[:2] == ["syslog", "access"] and third.is_word("restricted", "unrestricted"):
        into.kept["syslogaccess"] = third.value.upper()
        return 3
    if texts[:2] == ["in", "group"]:
        used = 3
        into.groups.append(principal(third.value, "group"))
        while at + used + 1 < len(tokens) and tokens[at + used].is_op(","):
            into.groups.append(principal(tokens[at + used + 1].value, "group"))
            used += 2
        return used
    raise syntax_error(token.text)


def _keep(user: str, options: _Options) -> list[str]:
    who = literal(user).text
    return [
        f"SELECT pg_stand_in.set_user_option({who}, {literal(key).text}, {literal(value).text})"
        for key, value in options.kept.items()
    ]


def create_user(tokens: Sequence[Token]) -> Plan:
    """CREATE USER name [WITH] PASSWORD {'...' | DISABLE} [options].

    Raises:
        SqlError: 42601 where the password clause is missing.
    """
    if len(tokens) < 3 or not tokens[2].is_name:
        raise _end()
    user = tokens[2].value
    options = _options(tokens[3:])
    if not options.password:
        raise _end()
    groups = ", ".join(render([group]) for group in options.groups)
    inside = f" IN ROLE {groups}" if groups else ""
    sql = f"CREATE ROLE {render([principal(user, 'user')])} LOGIN {' '.join(options.sql)}{inside}"
    return commands(sql.rstrip(), *_keep(user, options), tag="CREATE USER")


def alter_user(tokens: Sequence[Token]) -> Plan:
    """ALTER USER name [WITH] options | RENAME TO name | SET parameter ... | RESET parameter."""
    if len(tokens) < 4 or not tokens[2].is_name:
        raise _end()
    user, rest = tokens[2].value, list(tokens[3:])
    who = render([principal(user, "user")])
    if [t.value for t in rest[:2]] == ["rename", "to"] and len(rest) == 3:
        return commands(
            f"ALTER ROLE {who} RENAME TO {render([principal(rest[2].value, 'user')])}",
            tag="ALTER USER",
        )
    if rest[0].is_word("set", "reset") and len(rest) > 1:
        if rest[1].value in DEFAULTS:
            rest[1] = word(f"stand_in.{rest[1].value}")
        return commands(f"ALTER ROLE {who} {render(rest)}", tag="ALTER USER")
    options = _options(rest)
    if options.groups:
        raise syntax_error("IN")
    change = [f"ALTER ROLE {who} {' '.join(options.sql)}"] if options.sql else []
    return commands(*change, *_keep(user, options), tag="ALTER USER")


def create_group(tokens: Sequence[Token]) -> Plan:
    """CREATE GROUP name [[WITH] [USER name, ...]]."""
    if len(tokens) < 3 or not tokens[2].is_name:
        raise _end()
    rest = list(tokens[4:] if len(tokens) > 3 and tokens[3].is_word("with") else tokens[3:])
    if rest and not rest[0].is_word("user"):
        raise syntax_error(rest[0].text)
    members = _users(rest[1:]) if rest else []
    inside = f" ROLE {', '.join(members)}" if members else ""
    sql = f"CREATE ROLE {render([principal(tokens[2].value, 'group')])} NOLOGIN{inside}"
    return commands(sql, tag="CREATE GROUP")


def _users(tokens: Sequence[Token]) -> list[str]:
    parts = split_commas(tokens)
    if not parts:
        raise _end()
    if any(len(part) != 1 or not part[0].is_name for part in parts):
        raise syntax_error(tokens[-1].text)
    return [render([principal(part[0].value, "user")]) for part in parts]


def alter_group(tokens: Sequence[Token]) -> Plan:
    """ALTER GROUP name ADD USER ... | DROP USER ... | RENAME TO name."""
    if len(tokens) < 6:
        raise _end()
    group = render([principal(tokens[2].value, "group")])
    verb = [token.value for token in tokens[3:5]]
    if verb == ["rename", "to"]:
        new = render([principal(tokens[5].value, "group")])
        return commands(f"ALTER ROLE {group} RENAME TO {new}", tag="ALTER GROUP")
    if verb not in (["add", "user"], ["drop", "user"]):
        raise syntax_error(tokens[3].text)
    users = ", ".join(_users(tokens[5:]))
    sql = f"GRANT {group} TO {users}" if verb[0] == "add" else f"REVOKE {group} FROM {users}"
    return commands(sql, tag="ALTER GROUP")


def create_role(tokens: Sequence[Token]) -> Plan:
    """CREATE ROLE name [EXTERNALID id]."""
    if len(tokens) < 3 or not tokens[2].is_name:
        raise _end()
    if len(tokens) > 3:
        raise (
            not_here("CREATE ROLE ... EXTERNALID")
            if tokens[3].is_word("externalid")
            else syntax_error(tokens[3].text)
        )
    role = principal(tokens[2].value, "role")
    own = f"SELECT pg_stand_in.own_role({literal(role.value).text}, current_user)"
    return commands(f"CREATE ROLE {render([role])} NOLOGIN", own, tag="CREATE ROLE")


def alter_role(tokens: Sequence[Token]) -> Plan:
    """ALTER ROLE name [WITH] RENAME TO name | OWNER TO user."""
    rest = [token for token in tokens[3:] if not token.is_word("with")]
    if len(rest) != 3:
        raise _end()
    role = principal(tokens[2].value, "role")
    verb = [token.value for token in rest[:2]]
    if verb == ["rename", "to"]:
        new = render([principal(rest[2].value, "role")])
        return commands(f"ALTER ROLE {render([role])} RENAME TO {new}", tag="ALTER ROLE")
    if verb == ["owner", "to"]:
        owner = literal(rest[2].value).text
        own = f"SELECT pg_stand_in.own_role({literal(role.value).text}, {owner})"
        return commands(own, tag="ALTER ROLE")
    raise syntax_error(rest[0].text)


def drop_principal(tokens: Sequence[Token], kind: str) -> Plan:
    """DROP USER [IF EXISTS] name, ...; DROP GROUP name; DROP ROLE name [FORCE | RESTRICT]."""
    rest = list(tokens[2:])
    exists = [t.value for t in rest[:2]] == ["if", "exists"]
    if exists and kind != "user":
        raise syntax_error(rest[1].text)
    rest = rest[2:] if exists else rest
    if kind == "role" and rest and rest[-1].is_word("force", "restrict"):
        if rest[-1].is_word("force"):
            raise not_here("DROP ROLE ... FORCE")
        rest = rest[:-1]
    parts = split_commas(rest)
    if not parts or (len(parts) > 1 and kind != "user"):
        raise syntax_error(",") if parts else _end()
    if any(len(part) != 1 or not part[0].is_name for part in parts):
        raise syntax_error(rest[-1].text)
    names = ", ".join(render([principal(part[0].value, kind)]) for part in parts)
    sql = f"DROP ROLE {'IF EXISTS ' if exists else ''}{names}"
    return _dropping(sql, [part[0].value for part in parts], kind)


def _dropping(sql: str, names: Sequence[str], kind: str) -> Script:
    async def action(engine: Engine) -> str:
        try:
            await engine.run(sql)
        except SqlError as error:
            if error.code != "2BP01":
                raise
            owns = error.detail.startswith("owner of") or "\nowner of" in error.detail
            why = "owns some object" if owns else "has a privilege on some object"
            text = f'{kind} "{names[0]}" can\'t be dropped because the {kind} {why}'
            raise SqlError("2BP01", text) from None
        return f"DROP {kind.upper()}"

    return Script(action)


def create_schema(tokens: Sequence[Token]) -> Plan:
    """CREATE SCHEMA [IF NOT EXISTS] name [AUTHORIZATION user] [QUOTA n].

    Raises:
        SqlError: a quota, which is not here.
    """
    if any(token.is_word("quota") for token in tokens):
        raise not_here("CREATE SCHEMA ... QUOTA")
    return Pass(render(tokens))


CREATE: dict[str, Callable[[Sequence[Token]], Plan]] = {
    "schema": create_schema,
    "user": create_user,
    "group": create_group,
    "role": create_role,
}
ALTER: dict[str, Callable[[Sequence[Token]], Plan]] = {
    "user": alter_user,
    "group": alter_group,
    "role": alter_role,
}
