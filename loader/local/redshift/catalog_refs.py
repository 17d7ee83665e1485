"""Reads of the system catalog go to views that look like Redshift's catalog.

PostgreSQL's ``pg_class`` lacks ``reldiststyle``, its ``pg_attribute`` lacks ``attisdistkey``, its
``pg_user`` would show groups. Views in the schema ``pg_redshift`` have both servers' columns: those
of Redshift, which sqlalchemy-redshift reads, and the younger ones that psql asks of any server.
"""

from __future__ import annotations

from collections.abc import Sequence

from loader.local.redshift.refs import Ref, has_alias, relations
from loader.local.redshift.tokens import Token, name, op, word

SCHEMA = "pg_redshift"
_CATALOG = frozenset((
    "pg_class", "pg_attribute", "pg_attrdef", "pg_namespace", "pg_constraint", "pg_user", "pg_group",
    "pg_roles", "pg_tables", "pg_views", "pg_database", "pg_proc", "pg_default_acl", "pg_shadow",
    "pg_auth_members",
))  # fmt: skip
_INFORMATION = frozenset(("tables", "columns", "views", "schemata", "table_constraints"))
_CALLS = frozenset(("pg_get_constraintdef", "pg_get_userbyid"))


def shim_of(ref: Ref) -> str:
    """The view in ``pg_redshift`` that answers for a relation; empty for none."""
    schema = ref.parts[-2] if len(ref.parts) > 1 else "pg_catalog"
    if schema == "pg_catalog" and ref.parts[-1] in _CATALOG:
        return ref.parts[-1]
    if schema == "information_schema" and ref.parts[-1] in _INFORMATION:
        return f"information_{ref.parts[-1]}"
    return ""


def to_shims(tokens: Sequence[Token]) -> list[Token]:
    """The statement with its catalog relations and functions replaced."""
    if not any(_concerned(token) for token in tokens):
        return list(tokens)
    out: list[Token] = []
    at = 0
    for ref in relations(tokens):
        shim = shim_of(ref)
        if ref.role != "from" or not shim:
            continue
        out += [*_calls(tokens[at : ref.start]), name(SCHEMA), op("."), name(shim)]
        if not has_alias(tokens, ref.end):
            out += [word("AS"), name(ref.parts[-1])]
        at = ref.end
    return [*out, *_calls(tokens[at:])]


def _concerned(token: Token) -> bool:
    value = token.value
    return value.startswith("pg_") or value == "information_schema"


def _calls(tokens: Sequence[Token]) -> list[Token]:
    """Functions whose answer differs, and columns that name their relation's schema."""
    out: list[Token] = []
    for at, token in enumerate(tokens):
        after = tokens[at + 1] if at + 1 < len(tokens) else None
        if token.value in _CALLS and after is not None and after.is_op("("):
            if out and out[-1].is_op("."):
                del out[-2:]
            out += [name(SCHEMA), op(".")]
        elif (
            token.value in _CATALOG
            and after is not None
            and after.is_op(".")
            and len(out) > 1
            and out[-1].is_op(".")
            and out[-2].is_word("pg_catalog")
        ):
            del out[-2:]
        out.append(token)
    return out
