"""A tokenizer for Redshift SQL: enough to find words, names, literals and brackets with certainty.

Comments are dropped. Plain literals take backslash escapes, as Redshift's do (PostgreSQL with
``standard_conforming_strings = off``). Nothing here knows grammar.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from loader.local.redshift.errors import SqlError


class Kind(Enum):
    """What a token is."""

    WORD = "word"  # unquoted identifier or keyword
    QUOTED = "quoted"  # "identifier"
    STRING = "string"  # '...', E'...', $$...$$
    NUMBER = "number"
    PARAM = "param"  # $1
    OP = "op"


@dataclass(frozen=True, slots=True)
class Token:
    """One token.

    Attributes:
        kind: what it is.
        text: as it is sent to the backend.
        value: a word in lower case; a quoted name or a literal without quotes and escapes.
        start: offset of its first character in the source.
        end: offset behind its last character in the source.
    """

    kind: Kind
    text: str
    value: str
    start: int = 0
    end: int = 0

    def is_word(self, *words: str) -> bool:
        """Whether this is an unquoted word and one of ``words`` (lower case)."""
        return self.kind is Kind.WORD and self.value in words

    def is_op(self, op: str) -> bool:
        """Whether this is the operator or bracket ``op``."""
        return self.kind is Kind.OP and self.text == op

    @property
    def is_name(self) -> bool:
        """Whether this can stand where an identifier stands."""
        return self.kind in (Kind.WORD, Kind.QUOTED)


_SPACE = re.compile(r"[\s\x00]+|--[^\n]*")
_WORD = re.compile(r"[A-Za-z_\u0080-\U0010ffff#][A-Za-z0-9_$\u0080-\U0010ffff#]*")
_NUMBER = re.compile(r"(?:\d+(?:\.(?!\.)\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_DOLLAR = re.compile(r"\$(?:[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff]*)?\$")
_PARAM = re.compile(r"\$\d+")
_OPS = re.compile(r"::|<=|>=|<>|!=|\|\||:=|=>|!~~?\*?|~~?\*?|->>|->|@>|<@|[-+*/<>=@&|^%?!`]")
_STRING = re.compile(r"'(?:[^'\\]|''|\\.)*'", re.DOTALL)
_QUOTED = re.compile(r'"(?:[^"]|"")*"', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)|''", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def _unescape(body: str) -> str:
    if "\\" not in body and "''" not in body:
        return body

    def one(match: re.Match[str]) -> str:
        char = match.group(1)
        return "'" if char is None else _ESCAPED.get(char, char)

    return _ESCAPE.sub(one, body)


def tokenize(sql: str) -> list[Token]:
    """Split a string into tokens.

    Raises:
        SqlError: 42601 for an unterminated literal, name or comment.
    """
    out: list[Token] = []
    at, size = 0, len(sql)
    while at < size:
        match = _SPACE.match(sql, at)
        if match:
            at = match.end()
        elif sql.startswith("/*", at):
            at = _comment_end(sql, at)
        else:
            token = _one(sql, at)
            out.append(token)
            at = token.end
    return out


def _comment_end(sql: str, start: int) -> int:
    depth, at = 1, start + 2
    while depth:
        opening, closing = sql.find("/*", at), sql.find("*/", at)
        if closing < 0:
            raise SqlError("42601", 'unterminated /* comment at or near "/*"')
        if 0 <= opening < closing:
            depth, at = depth + 1, opening + 2
        else:
            depth, at = depth - 1, closing + 2
    return at


def _one(sql: str, at: int) -> Token:  # noqa: PLR0911 - one case per kind
    char = sql[at]
    if char == "'" or (char in "eE" and sql.startswith("'", at + 1)):
        start = at if char == "'" else at + 1
        match = _STRING.match(sql, start)
        if not match:
            raise SqlError("42601", f'unterminated quoted string at or near "{sql[at : at + 20]}"')
        text = sql[at : match.end()]
        return Token(Kind.STRING, text, _unescape(match.group()[1:-1]), at, match.end())
    if char == '"':
        match = _QUOTED.match(sql, at)
        if not match:
            near = sql[at : at + 20]
            raise SqlError("42601", f'unterminated quoted identifier at or near "{near}"')
        value = match.group()[1:-1].replace('""', '"')
        return Token(Kind.QUOTED, match.group(), value, at, match.end())
    if char == "$":
        if match := _DOLLAR.match(sql, at):
            tag = match.group()
            end = sql.find(tag, match.end())
            if end < 0:
                raise SqlError("42601", f'unterminated dollar-quoted string at or near "{tag}"')
            stop = end + len(tag)
            return Token(Kind.STRING, sql[at:stop], sql[match.end() : end], at, stop)
        if match := _PARAM.match(sql, at):
            return Token(Kind.PARAM, match.group(), match.group(), at, match.end())
    if match := _WORD.match(sql, at):
        return Token(Kind.WORD, match.group(), ascii_lower(match.group()), at, match.end())
    if match := _NUMBER.match(sql, at):
        return Token(Kind.NUMBER, match.group(), match.group(), at, match.end())
    match = _OPS.match(sql, at)
    end = match.end() if match else at + 1
    return Token(Kind.OP, sql[at:end], sql[at:end], at, end)


_UPPER = str.maketrans({chr(c): chr(c + 32) for c in range(ord("A"), ord("Z") + 1)})


def ascii_lower(name: str) -> str:
    """Fold ASCII letters only: Redshift leaves other letters alone (AWS docs: Names)."""
    return name.translate(_UPPER)


def render(tokens: Iterable[Token]) -> str:
    """Write tokens back as SQL. Spacing is normalised; meaning is not touched."""
    parts: list[str] = []
    glue = True  # no space before the next token
    for token in tokens:
        text = token.text
        apart = token.kind is Kind.NUMBER and parts and parts[-1] == "."  # ". 1" is not ".1"
        if apart or (not glue and text not in (".", ",", ")", "::", ";", "]")):
            parts.append(" ")
        parts.append(text)
        glue = text in (".", "(", "::", "[")
    return "".join(parts)


def split(tokens: Sequence[Token]) -> list[list[Token]]:
    """Cut at semicolons; empty statements vanish."""
    out: list[list[Token]] = [[]]
    for token in tokens:
        if token.is_op(";"):
            out.append([])
        else:
            out[-1].append(token)
    return [statement for statement in out if statement]


def closing(tokens: Sequence[Token], opening: int) -> int:
    """Index of the bracket that closes the one at ``opening``.

    Raises:
        SqlError: 42601 when it is never closed.
    """
    depth = 0
    for at in range(opening, len(tokens)):
        if tokens[at].is_op("("):
            depth += 1
        elif tokens[at].is_op(")"):
            depth -= 1
            if depth == 0:
                return at
    raise SqlError("42601", "syntax error at end of input")


def split_commas(tokens: Sequence[Token]) -> list[list[Token]]:
    """Cut at commas outside brackets. No token gives no part."""
    out: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        if token.is_op("("):
            depth += 1
        elif token.is_op(")"):
            depth -= 1
        if depth == 0 and token.is_op(","):
            out.append([])
        else:
            out[-1].append(token)
    return out if len(out) > 1 or out[0] else []


def op(text: str) -> Token:
    """An operator token made here."""
    return Token(Kind.OP, text, text)


def word(text: str) -> Token:
    """A word token made here."""
    return Token(Kind.WORD, text, ascii_lower(text))


def words(text: str) -> list[Token]:
    """Tokens of a piece of SQL made here."""
    return tokenize(text)


def literal(value: str) -> Token:
    """A string literal that holds ``value`` whatever is in it."""
    body = value.replace("\\", "\\\\").replace("'", "''")
    return Token(Kind.STRING, f"'{body}'", value)


def name(value: str) -> Token:
    """A quoted identifier."""
    body = value.replace('"', '""')
    return Token(Kind.QUOTED, f'"{body}"', value)
