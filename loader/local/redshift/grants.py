"""GRANT, REVOKE, default privileges and principals: Redshift's spelling to PostgreSQL's.

PostgreSQL has one name space for users, groups and roles, so one name cannot be two of them here.
"""

from __future__ import annotations

from collections.abc import Sequence

from loader.local.redshift.errors import not_here, syntax_error
from loader.local.redshift.plan import Pass, Plan
from loader.local.redshift.tokens import Token, render, split_commas

_NEWER_PRIVILEGES = ("drop", "alter", "assumerole", "usage_shares")


def _principals(tokens: Sequence[Token]) -> list[Token]:
    """Drop the words GROUP and ROLE behind TO, FROM and commas."""
    out: list[Token] = []
    behind = False
    for at, token in enumerate(tokens):
        before = tokens[at - 1] if at else None
        behind = behind or token.is_word("to", "from")
        starts = before is not None and (before.is_word("to", "from") or before.is_op(","))
        if behind and starts and token.is_word("group", "role"):
            continue
        out.append(token)
    return out


def grant(tokens: Sequence[Token]) -> Plan:
    """GRANT and REVOKE on local objects, and of roles.

    Raises:
        SqlError: a privilege or form that the stand-in does not have.
    """
    privileges = split_commas(tokens[1:])
    for part in privileges:
        if part and part[0].is_word(*_NEWER_PRIVILEGES):
            raise not_here(f"privilege {part[0].text.upper()}")
        if any(token.is_word("on") for token in part):
            break
    texts = [token.value for token in tokens]
    if "on" not in texts and texts[1:2] == ["role"]:
        return Pass(render([tokens[0], *_principals(tokens[2:])]))
    for at, word in enumerate(texts[:-2]):
        if word == "for" and texts[at + 1 : at + 3] == ["tables", "in"]:
            raise not_here("GRANT ... FOR TABLES IN SCHEMA")
    return Pass(render(_principals(tokens)))


def default_privileges(tokens: Sequence[Token]) -> Plan:
    """ALTER DEFAULT PRIVILEGES [FOR USER u] [IN SCHEMA s] GRANT | REVOKE ..."""
    texts = [token.value for token in tokens]
    if texts[2:3] != ["privileges"]:
        raise syntax_error(tokens[-1].text)
    return Pass(render(_principals(tokens)))


def create_principal(tokens: Sequence[Token], kind: str) -> Plan:
    """CREATE SCHEMA, USER, GROUP or ROLE.

    Raises:
        SqlError: a schema quota, or objects inside CREATE SCHEMA.
    """
    if kind == "schema" and any(token.is_word("quota") for token in tokens):
        raise not_here("CREATE SCHEMA ... QUOTA")
    if kind == "user":
        # PASSWORD DISABLE is Redshift's; nobody logs in to the backend with a password.
        kept: list[Token] = []
        skip = False
        for at, token in enumerate(tokens):
            after = tokens[at + 1] if at + 1 < len(tokens) else None
            if token.is_word("password") and after is not None and after.is_word("disable"):
                skip = True
                continue
            if skip:
                skip = False
                continue
            kept.append(token)
        return Pass(render(kept))
    return Pass(render(tokens))
