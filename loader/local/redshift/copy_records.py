"""Text files cut into records and fields: delimited, CSV, or of fixed width.

Bytes that are not UTF-8 come through as surrogates, so that only the field that holds them is at fault.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import pyarrow as pa

from loader.local.redshift.copy_statement import TextRules
from loader.local.redshift.copy_text_values import FieldError

_BAD_QUOTES = "Invalid quote formatting for CSV"


@dataclass(frozen=True, slots=True)
class Field:
    """One field.

    Attributes:
        text: its text; None = NULL already.
        position: of its first character in the line, from 0.
        quoted: it stood in quotes, so it is no NULL marker.
    """

    text: str | None
    position: int = 0
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """One record.

    Attributes:
        line: where it starts, from 1.
        raw: its text.
        fields: in the order of the columns.
        error: why it could not be cut; ``fields`` is empty then.
    """

    line: int
    raw: str
    fields: list[Field]
    error: FieldError | None = None


def open_text(local: IO[bytes], rules: TextRules) -> io.TextIOWrapper:
    """The file's text, decompressed."""
    stream: Any = local
    if rules.compression:
        stream = io.BufferedReader(
            pa.CompressedInputStream(pa.PythonFile(local), rules.compression)
        )
    errors = "surrogateescape" if rules.encoding == "utf-8" else "replace"
    return io.TextIOWrapper(stream, rules.encoding, errors=errors, newline="\n")


def records(text: io.TextIOBase, rules: TextRules) -> Iterator[Record]:
    """Cut a file.

    Args:
        text: the file, with lines ended by LF or CR LF.
        rules: how it is read.
    """
    cut = _cutter(rules)
    for number, line in _logical_lines(text, rules):
        if number <= rules.header:
            continue
        if not line and "ignoreblanklines" in rules.flags:
            continue
        try:
            yield Record(number, line, cut(line))
        except FieldError as error:
            yield Record(number, line, [], error)


def _logical_lines(text: io.TextIOBase, rules: TextRules) -> Iterator[tuple[int, str]]:
    """Lines, joined where a quoted or escaped newline belongs to a field."""
    held, first = "", 0
    escape = "escape" in rules.flags
    for number, read in enumerate(text, 1):
        line = read.removesuffix("\n").removesuffix("\r")
        if not held:
            first = number
        held += line
        # An escaped newline ends in an odd number of backslashes.
        open_escape = escape and (len(held) - len(held.rstrip("\\"))) % 2 == 1
        open_quote = rules.csv and held.count(rules.quote) % 2 == 1
        if (open_escape or open_quote) and first > rules.header:
            held += "\n"
            continue
        yield first, held
        held = ""
    if held:
        yield first, held.removesuffix("\n")


def _cutter(rules: TextRules) -> Callable[[str], list[Field]]:
    if rules.widths:
        return lambda line: _fixed_width(line, rules)
    if rules.csv:
        return _csv(rules)
    if "escape" in rules.flags or "removequotes" in rules.flags:
        return _escaped(rules)
    return lambda line: _plain(line, rules.delimiter)


def _plain(line: str, delimiter: str) -> list[Field]:
    fields, at = [], 0
    for text in line.split(delimiter):
        fields.append(Field(text, at))
        at += len(text) + len(delimiter)
    return fields


def _fixed_width(line: str, rules: TextRules) -> list[Field]:
    fields, at = [], 0
    for width in rules.widths:
        if at >= len(line):
            break
        fields.append(Field(line[at : at + width].rstrip(" "), at))
        at += width
    if len(line) > at:
        raise FieldError(1202, "Extra column(s) found")
    return fields


def _csv(rules: TextRules) -> Callable[[str], list[Field]]:
    quote, delimiter = re.escape(rules.quote), re.escape(rules.delimiter)
    quoted = f"{quote}((?:[^{quote}]|{quote}{quote})*){quote}"
    piece = re.compile(f"(?:{quoted}|((?:(?!{delimiter})[^{quote}])*))({delimiter}|\\Z)", re.DOTALL)

    def cut(line: str) -> list[Field]:
        if rules.quote not in line:
            return _plain(line, rules.delimiter)
        fields, at = [], 0
        while True:
            match = piece.match(line, at)
            if match is None:
                raise FieldError(1216, _BAD_QUOTES)
            inside, bare, end = match.groups()
            text = bare if inside is None else inside.replace(rules.quote * 2, rules.quote)
            fields.append(Field(text, at, quoted=inside is not None))
            at = match.end()
            if not end:
                return fields

    return cut


def _escaped(rules: TextRules) -> Callable[[str], list[Field]]:
    """ESCAPE: a backslash takes the next character as it is. REMOVEQUOTES: quotes around are dropped."""
    delimiter = re.escape(rules.delimiter)
    escape, remove = "escape" in rules.flags, "removequotes" in rules.flags
    plain = rf"(?:\\.|(?!{delimiter})[^\\])*" if escape else f"(?:(?!{delimiter}).)*"
    inside = r"(?:\\.|[^\\{q}])*" if escape else "[^{q}]*"
    forms = [plain]
    if remove:
        forms = [f"{q}{inside.replace('{q}', q)}{q}" for q in ('"', "'")] + forms
    piece = re.compile(f"({'|'.join(forms)})({delimiter}|\\Z)", re.DOTALL)

    def cut(line: str) -> list[Field]:
        fields, at = [], 0
        while True:
            match = piece.match(line, at)
            if match is None:
                raise FieldError(1216, "Invalid escape sequence at end of line")
            text, end = match.groups()
            null = text == rules.null_as
            quoted = remove and len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
            if remove and not quoted and text[:1] in ("'", '"'):
                raise FieldError(1216, "Delimited value missing end quote")
            if quoted:
                text = text[1:-1]
            if escape:
                text = re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
            fields.append(Field(None if null else text, at, quoted=True))
            at = match.end()
            if not end:
                return fields

    return cut
