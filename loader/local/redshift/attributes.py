"""DISTKEY, SORTKEY, DISTSTYLE, ENCODE and the rest: read off the statement, kept for the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from loader.local.redshift.errors import SqlError, not_here, syntax_error
from loader.local.redshift.refs import name_end
from loader.local.redshift.rewrite import rewrite
from loader.local.redshift.tokens import Token, closing, split_commas, words

ENCODINGS = frozenset((
    "raw", "az64", "bytedict", "delta", "delta32k", "lzo", "mostly8", "mostly16", "mostly32",
    "runlength", "text255", "text32k", "zstd",
))  # fmt: skip
_NUMBERS = ("smallint", "integer", "bigint", "numeric")
_TIMES = ("date", "time", "timetz", "timestamp", "timestamptz")
# Where a type is missing the encoding takes it (AWS docs: Compression encodings).
_ENCODABLE = {
    "az64": (*_NUMBERS, *_TIMES),
    "delta": (*_NUMBERS, "date", "timestamp"),
    "delta32k": ("integer", "bigint", "numeric", "date", "timestamp"),
    "mostly8": _NUMBERS,
    "mostly16": ("integer", "bigint", "numeric"),
    "mostly32": ("bigint", "numeric"),
    "text255": ("varchar",),
    "text32k": ("varchar",),
}
_NEVER_ENCODED = {"bytedict": ("boolean",), "lzo": ("boolean", "real", "double")}
DISTSTYLES = ("auto", "even", "key", "all")
_MAX_COMPOUND, _MAX_INTERLEAVED = 400, 8
# Words that begin the next column attribute, so that a DEFAULT's expression ends before them.
_STARTS = (
    "default", "not", "null", "encode", "distkey", "sortkey", "primary", "unique", "references",
    "identity", "generated", "collate", "check", "constraint",
)  # fmt: skip


@dataclass(slots=True)
class Attributes:
    """What a CREATE or ALTER TABLE says beyond names and types. None = not said."""

    like: str | None = None
    diststyle: str | None = None
    distkey: str | None = None
    sortstyle: str | None = None
    sortkeys: list[str] | None = None
    backup: bool | None = None
    encodings: dict[str, str] = field(default_factory=dict)
    keys: list[tuple[str, list[str], str]] = field(default_factory=list)
    primary: list[str] = field(default_factory=list)
    called: str = ""  # the name of the constraint that comes next

    def document(self) -> dict[str, object]:
        """The JSON that ``pg_stand_in.record`` takes; what was not said is absent."""
        pairs: dict[str, object | None] = {
            "like": self.like,
            "diststyle": self.diststyle,
            "distkey": self.distkey,
            "sortstyle": self.sortstyle,
            "sortkeys": self.sortkeys,
            "backup": self.backup,
            "encodings": self.encodings or None,
            "keys": [list(key) for key in self.keys] or None,
        }
        return {key: value for key, value in pairs.items() if value is not None}

    def distribute(self, style: str, key: str | None) -> None:
        """Note DISTSTYLE or DISTKEY.

        Raises:
            SqlError: two distribution keys, or a style that contradicts one.
        """
        if key is not None:
            if self.distkey is not None:
                raise SqlError("42601", "multiple distribution keys are not allowed")
            self.distkey = key
        said = self.diststyle
        if said is not None and said != style.upper():
            text = "DISTKEY may only be used with DISTSTYLE KEY"
            raise SqlError("42601", text)
        self.diststyle = style.upper()

    def sort(self, style: str, columns: list[str]) -> None:
        """Note a table-level SORTKEY.

        Raises:
            SqlError: more key columns than Redshift takes.
        """
        limit = _MAX_INTERLEAVED if style == "INTERLEAVED" else _MAX_COMPOUND
        if len(columns) > limit:
            raise SqlError("54011", f"SORTKEY can have at most {limit} columns")
        self.sortstyle, self.sortkeys = style, columns


def _peek(tokens: Sequence[Token], at: int) -> Token:
    if at >= len(tokens):
        raise SqlError("42601", "syntax error at end of input")
    return tokens[at]


def _columns(tokens: Sequence[Token], at: int) -> tuple[list[str], int]:
    if not _peek(tokens, at).is_op("("):
        raise syntax_error(tokens[at].text)
    end = closing(tokens, at)
    parts = split_commas(tokens[at + 1 : end])
    if any(len(part) != 1 or not part[0].is_name for part in parts):
        raise syntax_error(tokens[at + 1].text)
    return [part[0].value for part in parts], end + 1


def table_attributes(tokens: Sequence[Token], at: int, into: Attributes) -> int:
    """Read table-level attributes from ``at`` on; returns the index of the first other token.

    Raises:
        SqlError: a value that Redshift does not take.
    """
    while at < len(tokens):
        after = table_attribute(tokens, at, into)
        if after == at:
            return at
        if into.like is not None:
            raise syntax_error(tokens[at].text)
        at = after
    return at


def table_attribute(  # noqa: PLR0911 - one case per attribute
    tokens: Sequence[Token], at: int, into: Attributes
) -> int:
    """Read one table-level attribute; returns ``at`` where none stands."""
    token = tokens[at]
    if token.is_word("diststyle"):
        style = _peek(tokens, at + 1)
        if not style.is_word(*DISTSTYLES):
            raise syntax_error(style.text)
        into.distribute(style.value, None)
        return at + 2
    if token.is_word("distkey"):
        columns, after = _columns(tokens, at + 1)
        into.distribute("key", columns[0])
        return after
    if token.is_word("compound", "interleaved") and _peek(tokens, at + 1).is_word("sortkey"):
        columns, after = _columns(tokens, at + 2)
        into.sort(token.value.upper(), columns)
        return after
    if token.is_word("sortkey"):
        if _peek(tokens, at + 1).is_word("auto", "none"):
            into.sort(tokens[at + 1].value.upper(), [])
            return at + 2
        columns, after = _columns(tokens, at + 1)
        into.sort("COMPOUND", columns)
        return after
    if token.is_word("encode") and _peek(tokens, at + 1).is_word("auto"):
        return at + 2
    if token.is_word("backup") and _peek(tokens, at + 1).is_word("yes", "no"):
        into.backup = tokens[at + 1].is_word("yes")
        return at + 2
    return at


def encoding(token: Token) -> str:
    """A known encoding.

    Raises:
        SqlError: 42704 for any other word.
    """
    if token.value not in ENCODINGS:
        raise SqlError("42704", f'encoding "{token.value}" does not exist')
    return token.value


def check_encoding(column: str, chosen: str, type_name: str) -> None:
    """Refuse an encoding that does not go with a type.

    Args:
        column: for the message.
        chosen: the encoding.
        type_name: the first word of the type in PostgreSQL's words.

    Raises:
        SqlError: 0A000.
    """
    only = _ENCODABLE.get(chosen)
    if (only and type_name not in only) or type_name in _NEVER_ENCODED.get(chosen, ()):
        text = f'invalid encoding type specified for column "{column}"'
        raise SqlError("0A000", text)


def column_attribute(  # noqa: PLR0911, PLR0912 - one case per attribute
    part: Sequence[Token], at: int, column: str, into: Attributes
) -> tuple[int, list[Token]]:
    """Read one attribute of a column.

    Returns:
        How many tokens it took, and what stays for PostgreSQL.

    Raises:
        SqlError: CHECK, COLLATE, or something that is no attribute.
    """
    token = part[at]
    if token.is_word("encode"):
        into.encodings[column] = encoding(_peek(part, at + 1))
        return 2, []
    if token.is_word("distkey"):
        into.distribute("key", column)
        return 1, []
    if token.is_word("sortkey"):
        into.sort("COMPOUND", [*(into.sortkeys or []), column])
        return 1, []
    if token.is_word("not", "null"):
        return (2, words("NOT NULL")) if token.is_word("not") else (1, words("NULL"))
    if token.is_word("default"):
        return _default(part, at)
    if token.is_word("identity"):
        return _identity(part, at, "ALWAYS")
    if token.is_word("generated"):
        if [t.value for t in part[at : at + 5]] != ["generated", "by", "default", "as", "identity"]:
            raise syntax_error(_peek(part, at + 1).text)
        used, kept = _identity(part, at + 4, "BY DEFAULT")
        return used + 4, kept
    if token.is_word("constraint"):
        into.called = _peek(part, at + 1).value
        return 2, []
    if token.is_word("primary", "unique"):
        into.keys.append((token.value[0], [column], into.called))
        into.called = ""
        return (2, words("NOT NULL")) if token.is_word("primary") else (1, [])
    if token.is_word("references"):
        into.keys.append(("f", [column], into.called))
        into.called = ""
        end = name_end(part, at + 1)
        if end < len(part) and part[end].is_op("("):
            end = closing(part, end) + 1
        return end - at, []
    if token.is_word("check"):
        raise SqlError("0A000", "CHECK constraints are not supported")
    if token.is_word("collate"):
        raise not_here("COLLATE")
    raise syntax_error(token.text)


def _default(part: Sequence[Token], at: int) -> tuple[int, list[Token]]:
    end, depth = at + 1, 0
    while end < len(part):
        depth += part[end].is_op("(") - part[end].is_op(")")
        if depth == 0 and end > at + 1 and part[end].is_word(*_STARTS):
            break
        if end == at + 1 and part[end].is_word("null"):
            end += 1
            break
        end += 1
    return end - at, [part[at], *rewrite(part[at + 1 : end])]


def _identity(part: Sequence[Token], at: int, when: str) -> tuple[int, list[Token]]:
    numbers = part[at + 2 : at + 5]
    if not _peek(part, at + 1).is_op("(") or len(numbers) < 3 or not numbers[1].is_op(","):
        raise syntax_error(part[at].text)
    end = closing(part, at + 1)
    seed, step = (
        "".join(token.text for token in half) for half in split_commas(part[at + 2 : end])
    )
    low = f" MINVALUE {seed}" if int(step) > 0 and int(seed) < 1 else ""
    sql = f"GENERATED {when} AS IDENTITY (START WITH {seed} INCREMENT BY {step}{low})"
    return end + 1 - at, words(sql)
