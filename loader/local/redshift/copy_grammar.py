"""The grammar of COPY: where from, by which right, and which options go with which format.

Options may come in any order (AWS docs: COPY; COPY from columnar data formats; Data conversion
parameters).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from loader.local.redshift.copy_statement import CopyStatement, TextRules
from loader.local.redshift.errors import SqlError, not_here, syntax_error
from loader.local.redshift.refs import dotted, name_end
from loader.local.redshift.s3_clause import Authorization, Words
from loader.local.redshift.tokens import Kind, Token, closing, render, split_commas

_COLUMNAR_FLAGS = ("fillrecord", "acceptinvchars", "serializetojson", "explicit_ids", "manifest")
_TEXT_FLAGS = (
    "truncatecolumns", "acceptanydate", "ignoreallerrors", "noload", "escape", "emptyasnull",
    "blanksasnull", "roundec", "trimblanks", "removequotes", "ignoreblanklines",
)  # fmt: skip
_COMPRESSIONS = {"gzip": "gzip", "bzip2": "bz2", "zstd": "zstd"}
_ABSENT = {
    "lzop": "COPY ... LZOP", "encrypted": "COPY of encrypted files", "ssh": "COPY over SSH",
    "master_symmetric_key": "COPY of encrypted files", "job": "COPY JOB",
    "readratio": "COPY from DynamoDB",
}  # fmt: skip
_ABSENT_FORMATS = ("avro", "orc", "shapefile")
_ENCODINGS = {
    "utf8": "utf-8", "utf-8": "utf-8", "utf16": "utf-16", "utf16le": "utf-16-le",
    "utf16be": "utf-16-be", "iso88591": "iso-8859-1",
}  # fmt: skip
# What a format does not go with, by the names under which _Options notes them.
_CLASHES = {
    "csv": frozenset(("FIXEDWIDTH", "REMOVEQUOTES", "ESCAPE")),
    "json": frozenset((
        "CSV", "DELIMITER", "ESCAPE", "FILLRECORD", "FIXEDWIDTH", "IGNOREBLANKLINES", "NULL AS",
        "READRATIO", "REMOVEQUOTES", "QUOTE", "IGNOREHEADER",
    )),
    "fixedwidth": frozenset(("DELIMITER", "REMOVEQUOTES", "ESCAPE", "QUOTE")),
    "text": frozenset(("QUOTE",)),
}  # fmt: skip
_OWN_WAY = ("delimiter", "maxerror", "comprows", "ignoreheader", "encoding")
_MAX_ERRORS = 100_000
_ESCAPE = re.compile(r"\\([0-7]{1,3}|.)", re.DOTALL)


def parse_copy(tokens: Sequence[Token]) -> CopyStatement:
    """Read a COPY statement.

    Raises:
        SqlError: 42601 outside the grammar, 0A000 for an option that the format does not take or
            that the stand-in does not have.
    """
    if len(tokens) > 1 and tokens[1].is_op("("):
        raise syntax_error("(")
    at = name_end(tokens, 1)
    if at == 1:
        raise SqlError("42601", "syntax error at end of input")
    parts, table = dotted(tokens[1:at]), render(tokens[1:at])
    columns: tuple[str, ...] = ()
    if at < len(tokens) and tokens[at].is_op("("):
        end = closing(tokens, at)
        listed = split_commas(tokens[at + 1 : end])
        if not listed or any(len(part) != 1 or not part[0].is_name for part in listed):
            raise syntax_error(tokens[at + 1].text)
        columns, at = tuple(part[0].value for part in listed), end + 1
    words = Words(tokens, at, "COPY")
    if not words.take("from"):
        raise words.bad()
    url = words.string()
    if not url.startswith("s3://"):
        raise not_here("COPY from anything but S3")
    options = _Options(words)
    options.read_all()
    return CopyStatement(
        table=table,
        parts=parts,
        columns=columns,
        url=url,
        format=options.format,
        credentials=options.rights.credentials(),
        flags=frozenset(options.flags),
        statupdate=options.stat,
        json=options.json,
        max_errors=options.max_errors,
        rules=options.rules(),
    )


class _Options:
    """Reads what follows FROM 's3://...', then judges it together."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self.rights = Authorization(words, "COPY")
        self.format = "text"
        self._named_format = False
        self.flags: set[str] = set()
        self.stat: bool | None = None
        self.json = "auto"
        self.max_errors = 1
        self._text = TextRules()
        self._delimiter = ""
        self._noted: dict[str, None] = {}  # options that not every format takes, in their order

    def read_all(self) -> None:
        """Read options up to the end, then judge them.

        Raises:
            SqlError: one is unknown, or does not go with the format.
        """
        while not self._words.over:
            if not self.rights.read():
                self._one()
        if self.format == "parquet":
            for name in self._noted:
                text = f"{name} argument is not supported for PARQUET based COPY"
                raise SqlError("0A000", text)
        clashes = _CLASHES.get(self.format, frozenset())
        for name in self._noted:
            if name in clashes:
                text = f"{name} is not supported for {self.format.upper()} based COPY"
                raise SqlError("0A000", text)
        if "fillrecord" in self.flags and self.format == "json":
            raise SqlError("0A000", "FILLRECORD is not supported for JSON based COPY")
        if "serializetojson" in self.flags and self.format != "parquet":
            raise SqlError("0A000", "SERIALIZETOJSON is only supported for columnar based COPY")

    def rules(self) -> TextRules:
        """How text is read."""
        csv = self.format == "csv"
        delimiter = self._delimiter or ("," if csv else "|")
        flags = frozenset(self.flags)
        return replace(self._text, csv=csv, delimiter=delimiter, flags=flags)

    def _note(self, name: str) -> None:
        self._noted.setdefault(name)

    def _one(self) -> None:
        words = self._words
        if words.take("format"):
            words.take("as")
            if not self._format():
                raise words.bad()
        elif words.take("with") or self._format() or self._absent():
            pass
        elif word := words.take(*_COLUMNAR_FLAGS):
            self.flags.add(word)
            if word == "acceptinvchars":
                self._text = replace(self._text, invalid=self._one_character("?"))
        elif word := words.take(*_TEXT_FLAGS):
            self._note(word.upper())
            self.flags.add(word)
        elif word := words.take(*_COMPRESSIONS):
            self._note(word.upper())
            self._text = replace(self._text, compression=_COMPRESSIONS[word])
        elif words.take("statupdate"):
            self.stat = words.take("on", "true", "off", "false") not in ("off", "false")
        elif words.take("compupdate"):
            self._note("COMPUPDATE")
            words.take("preset", "on", "true", "off", "false")
        else:
            self._valued()

    def _format(self) -> bool:
        """Take a format with its argument."""
        words = self._words
        if word := words.take("parquet", "csv", "json", "fixedwidth", *_ABSENT_FORMATS):
            if self._named_format and word != self.format:
                raise SqlError("42601", "conflicting or redundant options")
            self._named_format = True
            self.format = word
            if word == "json":
                words.take("as")
                self.json = words.take_kind(Kind.STRING) or "auto"
            elif word == "fixedwidth":
                words.take("as")
                self._text = replace(self._text, widths=_widths(words.string()))
            elif word in _ABSENT_FORMATS:
                raise not_here(f"COPY of format {word.upper()}")
        return bool(word)

    def _absent(self) -> bool:
        word = self._words.take(*_ABSENT)
        if word and self.format != "parquet":
            raise not_here(_ABSENT[word])
        if word:
            self._note(word.upper())
            self._words.take_kind(Kind.STRING, Kind.NUMBER)
        return bool(word)

    def _valued(self) -> None:
        """Options with a value."""
        words = self._words
        word = words.take(*_OWN_WAY, *_VALUED)
        if not word:
            raise words.bad()
        self._note("NULL AS" if word == "null" else word.upper())
        if word == "comprows":
            words.number()
        elif word == "maxerror":
            count = words.number()
            if count > _MAX_ERRORS:
                text = f"MAXERROR must be between 0 and {_MAX_ERRORS}"
                raise SqlError("22023", text)
            self.max_errors = max(1, count)
        elif word == "ignoreheader":
            self._text = replace(self._text, header=words.number())
        elif word == "encoding":
            words.take("as")
            given = words.take_kind(Kind.WORD, Kind.STRING) or ""
            self._text = replace(self._text, encoding=_encoding(given))
        else:
            words.take("as")
            value = words.raw_string() if word in ("delimiter", "null") else words.string()
            if word == "delimiter":
                self._delimiter = characters(value)
                if not self._delimiter:
                    raise SqlError("22023", "COPY delimiter must be a single ASCII character")
            else:
                self._text = _VALUED[word](self._text, value)

    def _one_character(self, default: str) -> str:
        self._words.take("as")
        value = self._words.take_kind(Kind.STRING)
        if value is not None and (len(value) != 1 or value == "\0" or not value.isascii()):
            text = "ACCEPTINVCHARS replacement must be a single ASCII character"
            raise SqlError("22023", text)
        return value or default


def characters(value: str) -> str:
    r"""Resolve the escapes of DELIMITER and NULL AS: ``\t``, octal numbers, and ``\N``, which stays."""

    def one(match: re.Match[str]) -> str:
        escaped = match[1]
        if escaped[0] in "01234567":
            return chr(int(escaped, 8))
        return {"N": "\\N", "t": "\t", "n": "\n", "r": "\r"}.get(escaped, escaped)

    return _ESCAPE.sub(one, value)


def _encoding(value: str) -> str:
    known = _ENCODINGS.get(value.lower())
    if known is None:
        raise SqlError("22023", f'invalid encoding "{value}" in COPY')
    return known


def _quote(value: str) -> str:
    if len(value) != 1 or not value.isascii():
        raise SqlError("22023", "COPY quote must be a single ASCII character")
    return value


def _widths(value: str) -> tuple[int, ...]:
    found = [part.rpartition(":")[2].strip() for part in value.split(",")]
    if not all(width.isdigit() and int(width) for width in found):
        raise SqlError("22023", "Invalid fixed width specification")
    return tuple(int(width) for width in found)


_VALUED: Mapping[str, Callable[[TextRules, str], TextRules]] = {
    "quote": lambda rules, value: replace(rules, quote=_quote(value)),
    "null": lambda rules, value: replace(rules, null_as=characters(value)),
    "dateformat": lambda rules, value: replace(rules, date_format=value),
    "timeformat": lambda rules, value: replace(rules, time_format=value),
    "region": lambda rules, _value: rules,  # there is one S3 here
}
