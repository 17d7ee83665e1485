"""Finds relation names in a statement: after FROM, JOIN, INTO, UPDATE, and in a list after FROM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loader.local.redshift.tokens import Kind, Token, render

# Functions whose own grammar has a FROM that opens no list of tables.
_OWN_FROM = ("extract", "trim", "substring", "overlay", "position")
_ENDS_FROM = (
    "where", "group", "order", "having", "limit", "offset", "union", "except", "intersect", "minus",
    "select", "set", "when", "qualify", "for", "window", "values", "returning",
)  # fmt: skip
_NOT_AN_ALIAS = frozenset(
    (*_ENDS_FROM, "join", "inner", "left", "right", "full", "cross", "natural", "on", "using",
     "as", "with", "fetch", "tablesample", "and", "or", "then", "end")
)  # fmt: skip
_IN_LIST = ("from", "list")  # behind FROM, and inside brackets there
_SYSTEM_PREFIXES = ("pg_", "stl_", "svv_", "svl_", "svcs_", "stv_", "sys_")
_SYSTEM_SCHEMAS = ("pg_catalog", "information_schema")


@dataclass(frozen=True, slots=True)
class Ref:
    """A relation that a statement names.

    Attributes:
        start: index of its first token.
        end: index behind its last token.
        parts: schema (if given) and name, folded.
        role: ``from``, ``into`` (INSERT, MERGE, COPY), ``update``, ``delete``.
    """

    start: int
    end: int
    parts: tuple[str, ...]
    role: str

    @property
    def is_system(self) -> bool:
        """Whether it is one of the server's own relations."""
        if len(self.parts) > 1:
            return self.parts[-2] in _SYSTEM_SCHEMAS
        return self.parts[-1].startswith(_SYSTEM_PREFIXES)


def name_end(tokens: Sequence[Token], at: int) -> int:
    """Index behind the dotted name that starts at ``at``; ``at`` itself where none starts."""
    if at >= len(tokens) or not tokens[at].is_name:
        return at
    at += 1
    while at + 1 < len(tokens) and tokens[at].is_op(".") and tokens[at + 1].is_name:
        at += 2
    return at


def dotted(tokens: Sequence[Token]) -> tuple[str, ...]:
    """The parts of a dotted name."""
    return tuple(token.value for token in tokens if token.is_name)


def cte_names(tokens: Sequence[Token]) -> frozenset[str]:
    """Names that WITH defines anywhere in the statement."""
    found = set()
    if not any(token.is_word("with") for token in tokens):
        return frozenset()
    for at in range(1, len(tokens) - 1):
        if not (tokens[at].is_word("as") and tokens[at + 1].is_op("(")):
            continue
        back = at - 1
        if tokens[back].is_op(")"):
            depth = 0
            while back >= 0:
                depth += tokens[back].is_op(")") - tokens[back].is_op("(")
                back -= 1
                if depth == 0:
                    break
        if back >= 1 and tokens[back].is_name:
            before = tokens[back - 1]
            if before.is_word("with", "recursive") or before.is_op(","):
                found.add(tokens[back].value)
    return frozenset(found)


def relations(tokens: Sequence[Token]) -> Iterator[Ref]:
    """All relations named in the statement, in order. CTE names are left out."""
    ctes = cte_names(tokens)
    clauses = [""]  # per bracket depth: "from" inside a list of tables, "own" in extract(...)
    for at, token in enumerate(tokens):
        before = tokens[at - 1] if at else None
        if token.is_op("("):
            own = before is not None and before.is_word(*_OWN_FROM)
            clauses.append("own" if own else "list" if _opens_list(before, clauses) else "")
        elif token.is_op(")"):
            if len(clauses) > 1:
                clauses.pop()
        elif token.is_word("from") and clauses[-1] != "own":
            clauses[-1] = "from"
        elif token.is_word(*_ENDS_FROM):
            clauses[-1] = "own" if clauses[-1] == "own" else ""
        elif token.is_name and before is not None:
            role = _role(tokens, at, clauses[-1])
            if role:
                end = name_end(tokens, at)
                called = role == "from" and end < len(tokens) and tokens[end].is_op("(")
                parts = dotted(tokens[at:end])
                if not called and not (len(parts) == 1 and parts[0] in ctes):
                    yield Ref(at, end, parts, role)


def _opens_list(before: Token | None, clauses: list[str]) -> bool:
    """Whether a bracket after ``before`` holds tables: FROM (a JOIN b)."""
    if before is None:
        return False
    return before.is_word("from", "join") or (before.is_op(",") and clauses[-1] in _IN_LIST)


def _role(  # noqa: PLR0911 - one case per place
    tokens: Sequence[Token], at: int, clause: str
) -> str:
    before = tokens[at - 1]
    two = tokens[at - 2] if at > 1 else None
    if before.is_word("from"):
        if clause == "own" or (two is not None and two.is_word("distinct")):
            return ""
        return "delete" if two is not None and two.is_word("delete") else "from"
    if before.is_word("join", "using") and clause in _IN_LIST:
        return "from"
    if before.is_op(",") and clause in _IN_LIST:
        return "from"
    if (
        before.is_op("(")
        and clause == "list"
        and not tokens[at].is_word("select", "with", "values")
    ):
        return "from"
    if before.is_word("into") and two is not None and two.is_word("insert", "merge"):
        return "into"
    if before.is_word("using") and tokens[0].is_word("merge"):
        return "from"
    if before.is_word("update") and (two is None or not two.is_word("for", "then")):
        return "update"
    return ""


def has_alias(tokens: Sequence[Token], at: int) -> bool:
    """Whether an alias stands at ``at``, right behind a relation."""
    if at >= len(tokens):
        return False
    token = tokens[at]
    if token.is_word("as"):
        return True
    return token.kind is Kind.QUOTED or (
        token.kind is Kind.WORD and token.value not in _NOT_AN_ALIAS
    )


def lock_target(tokens: Sequence[Token]) -> str:
    """The table that an UPDATE, DELETE or MERGE writes, as SQL; empty for other statements."""
    words = ("update", "delete", "merge", "with")
    if not tokens or not tokens[0].is_word(*words):
        return ""
    for ref in relations(tokens):
        if ref.parts == ("only",):
            return ""  # ONLY t, which is refused later
        is_merge = ref.role == "into" and tokens[0].is_word("merge")
        if ref.role in ("update", "delete") or is_merge:
            return render(tokens[ref.start : ref.end])
    return ""
