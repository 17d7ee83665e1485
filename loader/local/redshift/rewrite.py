"""What Redshift accepts in an expression and PostgreSQL does not, rewritten token by token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from loader.local.redshift.errors import SqlError, not_here, syntax_error
from loader.local.redshift.tokens import (
    Kind,
    Token,
    closing,
    literal,
    op,
    render,
    split_commas,
    word,
    words,
)

Args = list[list[Token]]
MAX_VARCHAR = 65535
_VARCHAR = ("varchar", "nvarchar", "varying")


def _call(function: str, args: Args) -> list[Token]:
    out = [*words(function), op("(")]
    for index, arg in enumerate(args):
        out += [op(","), *arg] if index else arg
    return [*out, op(")")]


def _with_part(function: str) -> Callable[[Args], list[Token]]:
    """A function whose first argument is a date part, given as a bare word or a literal."""

    def rewrite(args: Args) -> list[Token]:
        if args and len(args[0]) == 1 and args[0][0].is_name:
            args = [[literal(args[0][0].value)], *args[1:]]
        return _call(function, args)

    return rewrite


def _nvl2(args: Args) -> list[Token]:
    if len(args) != 3:
        raise syntax_error("nvl2")
    test, then, other = args
    return [
        *words("(CASE WHEN ("), *test, *words(") IS NOT NULL THEN"), *then,
        word("ELSE"), *other, *words("END)"),
    ]  # fmt: skip


def _decode(args: Args) -> list[Token]:
    """DECODE compares NULL with NULL as equal (AWS docs: DECODE)."""
    if len(args) < 3:
        raise syntax_error("decode")
    out = words("(CASE")
    rest = args[1:]
    while len(rest) > 1:
        out += [*words("WHEN ("), *args[0], *words(") IS NOT DISTINCT FROM ("), *rest[0]]
        out += [*words(") THEN"), *rest[1]]
        rest = rest[2:]
    if rest:
        out += [word("ELSE"), *rest[0]]
    return [*out, *words("END)")]


def _json_path(args: Args) -> list[Token]:
    last = args[-1] if args else []
    if len(last) == 1 and last[0].is_word("true", "false"):
        safe = last[0].is_word("true")
        function = "pg_stand_in.json_path_or_null" if safe else "json_extract_path_text"
        return _call(function, args[:-1])
    return _call("json_extract_path_text", args)


def _nvl(args: Args) -> list[Token]:
    return _call("coalesce", args)


def _renamed(function: str) -> Callable[[Args], list[Token]]:
    def rewrite(args: Args) -> list[Token]:
        return _call(function, args)

    return rewrite


def _substring(args: Args) -> list[Token]:
    """SUBSTRING(x, start, size) or SUBSTRING(x FROM start FOR size)."""
    if len(args) == 1:
        cuts = [i for i, token in enumerate(args[0]) if token.is_word("from", "for")]
        bounds = [0, *(cut + 1 for cut in cuts), len(args[0]) + 1]
        args = [args[0][a : b - 1] for a, b in pairwise(bounds)]
    return _call("pg_stand_in.substr", args)


def _position(args: Args) -> list[Token]:
    cut = next((i for i, token in enumerate(args[0]) if token.is_word("in")), 0) if args else 0
    if not cut:
        raise syntax_error(")")
    return _call("pg_stand_in.strpos", [args[0][cut + 1 :], args[0][:cut]])


def _convert(args: Args) -> list[Token]:
    """CONVERT(type, x) is CAST(x AS type) (AWS docs: CONVERT)."""
    if len(args) != 2:
        raise syntax_error("convert")
    return [*words("CAST("), *args[1], word("AS"), *args[0], op(")")]


def _median(args: Args) -> list[Token]:
    if len(args) != 1:
        raise syntax_error("median")
    return [*words("percentile_cont(0.5) WITHIN GROUP (ORDER BY"), *args[0], op(")")]


# PostgreSQL's functions of these names count bytes, or differ; ours are in 4_letters.sql and
# 5_functions.sql.
_OURS = (
    "concat", "crc32", "initcap", "json_array_length", "json_typeof", "left", "lower", "lpad",
    "regexp_replace", "reverse", "right", "rpad", "strpos", "substr", "upper", "version",
)  # fmt: skip
_CALLS: dict[str, Callable[[Args], list[Token]]] = {
    "nvl": _nvl,
    "nvl2": _nvl2,
    "decode": _decode,
    "dateadd": _with_part("dateadd"),
    "date_add": _with_part("dateadd"),
    "datediff": _with_part("datediff"),
    "date_diff": _with_part("datediff"),
    "date_part": _with_part("date_part"),
    "json_extract_path_text": _json_path,
    "substring": _substring,
    "position": _position,
    "convert": _convert,
    "median": _median,
    "length": _renamed("pg_catalog.len"),
    "char_length": _renamed("pg_catalog.len"),
    "character_length": _renamed("pg_catalog.len"),
    **{name: _renamed(f"pg_stand_in.{name}") for name in _OURS},
}


REWRITTEN = frozenset((*_CALLS, "listagg", "ratio_to_report"))


def rewrite(tokens: Sequence[Token]) -> list[Token]:
    """Rewrite all expressions of a statement, nested calls included.

    Raises:
        SqlError: a VARCHAR too long, or a form the stand-in does not know.
    """
    out: list[Token] = []
    at = 0
    while at < len(tokens):
        used, new = _one(tokens, at)
        out += new
        at += used
    return out


def _one(  # noqa: PLR0911 - one case per construct
    tokens: Sequence[Token], at: int
) -> tuple[int, list[Token]]:
    """The rewriting of what starts at ``at`` and how many tokens it took."""
    token = tokens[at]
    after = tokens[at + 1] if at + 1 < len(tokens) else None
    if token.kind is not Kind.WORD or (at and tokens[at - 1].is_op(".")):
        return 1, [token]
    if after is not None and after.is_op("("):
        if token.value in _CALLS:
            end = closing(tokens, at + 1)
            args = [rewrite(arg) for arg in split_commas(tokens[at + 2 : end])]
            return end + 1 - at, _CALLS[token.value](args)
        if token.value == "listagg":
            return _listagg(tokens, at)
        if token.value == "ratio_to_report":
            return _ratio_to_report(tokens, at)
        if token.is_word(*_VARCHAR):
            return _sized(tokens, at)
    if token.value == "sysdate" and (after is None or not after.is_op("(")):
        return 1, words("pg_catalog.sysdate()")
    if (
        token.value == "minus"
        and after is not None
        and (after.is_word("select") or after.is_op("("))
    ):
        return 1, [word("EXCEPT")]
    if token.value == "respect" and after is not None and after.is_word("nulls"):
        return 2, []
    if token.value == "approximate" and after is not None and after.is_name:
        return 1, []
    if token.value == "current_user_id" and (after is None or not after.is_op("(")):
        return 1, words("pg_catalog.current_user_id()")
    if token.is_word("decimal", "numeric") and _bare_cast(tokens, at):
        return 1, words("numeric(18,0)")
    return 1, [token]


def _bare_cast(tokens: Sequence[Token], at: int) -> bool:
    before = tokens[at - 1] if at else None
    after = tokens[at + 1] if at + 1 < len(tokens) else None
    if before is None or (after is not None and after.is_op("(")):
        return False
    return before.is_op("::") or (before.is_word("as") and after is not None and after.is_op(")"))


def _sized(tokens: Sequence[Token], at: int) -> tuple[int, list[Token]]:
    """VARCHAR(n) or VARCHAR(MAX)."""
    size = tokens[at + 2] if at + 2 < len(tokens) else op("")
    new = word("varying") if tokens[at].is_word("varying") else word("varchar")
    if size.is_word("max"):
        return 4, [new, *words(f"({MAX_VARCHAR})")]
    check_size(size)
    return 1, [new]


def check_size(size: Token) -> None:
    """Refuse a VARCHAR longer than Redshift's.

    Raises:
        SqlError: 22023 above 65,535 bytes.
    """
    if size.kind is Kind.NUMBER and int(float(size.text)) > MAX_VARCHAR:
        text = f"Column length exceeds maximum allowed (maximum column length is {MAX_VARCHAR})"
        raise SqlError("22023", text)


def _listagg(tokens: Sequence[Token], at: int) -> tuple[int, list[Token]]:
    """LISTAGG([DISTINCT] x [, separator]) [WITHIN GROUP (ORDER BY ...)]."""
    end = closing(tokens, at + 1)
    inside = list(tokens[at + 2 : end])
    distinct = bool(inside) and inside[0].is_word("distinct")
    args = [rewrite(arg) for arg in split_commas(inside[1:] if distinct else inside)]
    if not 1 <= len(args) <= 2:
        raise syntax_error("listagg")
    order: list[Token] = []
    after = end + 1
    as_text = [op("("), *args[0], *words(")::text")]
    if [t.value for t in tokens[after : after + 2]] == ["within", "group"]:
        close = closing(tokens, after + 2)
        order = rewrite(tokens[after + 3 : close])
        if distinct:  # PostgreSQL wants to sort by what it compares
            keys = split_commas(order[2:])
            same = bool(keys) and render(keys[0][: len(args[0])]) == render(args[0])
            if len(keys) != 1 or not same:
                raise not_here("LISTAGG(DISTINCT x) ordered by something else")
            order = [*order[:2], *as_text, *keys[0][len(args[0]) :]]
        after = close + 1
    if after < len(tokens) and tokens[after].is_word("over"):
        raise not_here("LISTAGG as a window function")
    separator = args[1] if len(args) > 1 else [literal("")]
    out = [*words("string_agg(" + ("DISTINCT" if distinct else "")), *as_text]
    out += [op(","), *separator, *order, op(")")]
    return after - at, out


def _ratio_to_report(tokens: Sequence[Token], at: int) -> tuple[int, list[Token]]:
    """RATIO_TO_REPORT(x) OVER (w): a row's share of the sum (AWS docs: RATIO_TO_REPORT)."""
    end = closing(tokens, at + 1)
    if end + 2 >= len(tokens) or not tokens[end + 1].is_word("over"):
        raise syntax_error("ratio_to_report")
    stop = closing(tokens, end + 2)
    part = rewrite(tokens[at + 2 : end])
    window = rewrite(tokens[end + 3 : stop])
    out = [*words("(("), *part, *words(")::float8 / nullif(sum("), *part, *words(") OVER (")]
    return stop + 1 - at, [*out, *window, *words("), 0))")]
