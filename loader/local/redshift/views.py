"""Late-binding views: kept as text, put into each statement that names one.

A view WITH NO SCHEMA BINDING resolves when it is read and survives the drop, rename and re-creation
of what it reads (AWS docs: CREATE VIEW). PostgreSQL binds a view's tables when it is created, so the
text is expanded as a sub-query instead: nothing has to be re-created by a reader, each session sees
the text its own transaction sees, and a missing table is reported by the backend in its own words.
"""

from __future__ import annotations

from collections.abc import Sequence

from loader.local.redshift.errors import SqlError, unsupported
from loader.local.redshift.plan import Engine
from loader.local.redshift.refs import Ref, has_alias, relations
from loader.local.redshift.tokens import Token, literal, name, op, render, tokenize, word

_MAX_DEPTH = 16
UNQUALIFIED = (
    "All the relation names inside should be qualified when creating VIEW WITH NO SCHEMA BINDING"
)


def _readable(tokens: Sequence[Token], late: set[str]) -> list[Ref]:
    return [ref for ref in relations(tokens) if ref.role == "from" and ref.parts[-1] in late]


def mentions(tokens: Sequence[Token], late: set[str]) -> bool:
    """Whether the statement may read a late-binding view."""
    return bool(late) and any(token.is_name and token.value in late for token in tokens)


async def _bodies(refs: Sequence[Ref], engine: Engine) -> dict[tuple[str, ...], str]:
    """The text of those relations that are late-binding views, as the transaction sees them."""
    wanted = {".".join(name(part).text for part in ref.parts): ref.parts for ref in refs}
    values = ", ".join(f"({literal(sql).text})" for sql in wanted)
    rows = await engine.run(
        f"SELECT n.sql, v.body FROM (VALUES {values}) n(sql)"  # noqa: S608 - quoted by literal()
        " JOIN pg_stand_in.late_view v ON v.relid = to_regclass(n.sql)"
    )
    return {wanted[str(sql)]: str(body) for sql, body in rows}


async def expand(
    tokens: list[Token], late: set[str], engine: Engine, depth: int = 0
) -> list[Token]:
    """Replace each late-binding view that is read by its text.

    Returns:
        The same list when there was none.

    Raises:
        SqlError: views that read each other in a circle.
    """
    refs = _readable(tokens, late)
    bodies = await _bodies(refs, engine) if refs else {}
    if not bodies:
        return tokens
    if depth > _MAX_DEPTH:
        raise SqlError("42P17", "infinite recursion detected in rules for relation")
    out: list[Token] = []
    at = 0
    for ref in refs:
        if ref.parts not in bodies:
            continue
        body = await expand(tokenize(bodies[ref.parts]), late, engine, depth + 1)
        out += [*tokens[at : ref.start], op("("), *body, op(")")]
        if not has_alias(tokens, ref.end):
            out += [word("AS"), name(ref.parts[-1])]
        at = ref.end
    return [*out, *tokens[at:]]


def check_qualified(body: Sequence[Token]) -> None:
    """Refuse an unqualified table name (AWS docs: CREATE VIEW, NO SCHEMA BINDING).

    Raises:
        SqlError: 0A000 naming the table.
    """
    for ref in relations(body):
        if len(ref.parts) == 1 and not ref.is_system:
            raise unsupported(UNQUALIFIED)


def body_text(body: Sequence[Token]) -> str:
    """The form in which a view's text is kept."""
    return render(body)
