"""The grammar of UNLOAD (AWS docs: UNLOAD)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loader.local.redshift.copy_grammar import characters
from loader.local.redshift.copy_statement import Credentials
from loader.local.redshift.errors import SqlError, not_here, syntax_error
from loader.local.redshift.s3_clause import Authorization, Words
from loader.local.redshift.tokens import Kind, Token, tokenize

_FLAGS = ("header", "addquotes", "escape", "allowoverwrite", "cleanpath")
_COMPRESSIONS = {"gzip": "gzip", "bzip2": "bz2", "zstd": "zstd"}
_NOT_PARQUET = frozenset((
    "DELIMITER", "FIXEDWIDTH", "ADDQUOTES", "ESCAPE", "NULL AS", "HEADER", "GZIP", "BZIP2", "ZSTD",
))  # fmt: skip
_NOT_CSV = frozenset(("FIXEDWIDTH", "ADDQUOTES", "ESCAPE"))
_MB = 1 << 20
_SMALLEST, _LARGEST = 5 * _MB, int(6.2 * 1024 * _MB)


@dataclass(frozen=True, slots=True)
class UnloadStatement:
    """An UNLOAD to S3.

    Attributes:
        query: its SELECT, as it stands in the literal.
        url: ``s3://bucket/prefix`` of the files' names.
        format: ``parquet``, ``csv`` or ``text``.
        credentials: keys, or none for an IAM role.
        flags: bare options that were given.
        partition: columns whose values name folders.
        include: those columns stay in the files, too.
        manifest: ``""``, ``plain`` or ``verbose``.
        parallel: slices write files of their own.
        max_size: bytes of a file, beyond which the next is begun.
        delimiter: between fields.
        null_as: what NULL is written as, in text.
        compression: as Arrow names it; empty = none (Parquet has its own).
        extension: of the files' names, with its point; empty = the format's own.
    """

    query: str
    url: str
    format: str
    credentials: Credentials | None
    flags: frozenset[str]
    partition: tuple[str, ...]
    include: bool
    manifest: str
    parallel: bool
    max_size: int
    delimiter: str
    null_as: str
    compression: str
    extension: str


def inner(tokens: Sequence[Token]) -> list[Token]:
    """The SELECT of an UNLOAD.

    Raises:
        SqlError: 42601 where none stands, or where it ends in LIMIT.
    """
    brackets = len(tokens) > 3 and tokens[1].is_op("(") and tokens[3].is_op(")")
    if not brackets or tokens[2].kind is not Kind.STRING:
        raise syntax_error(tokens[1].text if len(tokens) > 1 else ";")
    query = tokenize(tokens[2].value)
    while query and query[-1].is_op(";"):
        query.pop()
    if not query or not query[0].is_word("select", "with"):
        raise syntax_error(query[0].text if query else "'")
    depth = 0
    for token in query:
        depth += token.is_op("(") - token.is_op(")")
        if depth == 0 and token.is_word("limit"):
            raise SqlError("42601", "Limit clause is not supported")
    return query


def parse_unload(tokens: Sequence[Token]) -> UnloadStatement:
    """Read an UNLOAD statement.

    Raises:
        SqlError: 42601 outside the grammar, 0A000 for options that exclude each other.
    """
    inner(tokens)
    words = Words(tokens, 4, "UNLOAD")
    if not words.take("to"):
        raise words.bad()
    url = words.string()
    if not url.startswith("s3://"):
        raise SqlError("XX000", f"Invalid S3 path: {url}")
    options = _Options(words)
    options.read_all()
    csv = options.format == "csv"
    return UnloadStatement(
        query=tokens[2].value,
        url=url,
        format=options.format,
        credentials=options.rights.credentials(),
        flags=frozenset(options.flags),
        partition=tuple(options.partition),
        include=options.include,
        manifest=options.manifest,
        parallel=options.parallel,
        max_size=options.max_size,
        delimiter=options.delimiter or ("," if csv else "|"),
        null_as=options.null_as,
        compression=options.compression,
        extension=options.extension,
    )


class _Options:
    """Reads what follows TO 's3://...', then judges it together."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self.rights = Authorization(words, "UNLOAD")
        self.format = "text"
        self.flags: set[str] = set()
        self.partition: list[str] = []
        self.include = False
        self.manifest = ""
        self.parallel = True
        self.max_size = _LARGEST
        self.delimiter = ""
        self.null_as = ""
        self.compression = ""
        self.extension = ""
        self._noted: dict[str, None] = {}

    def read_all(self) -> None:
        """Read options up to the end, then judge them.

        Raises:
            SqlError: one is unknown, or two exclude each other.
        """
        while not self._words.over:
            if not self.rights.read():
                self._one()
        refused = {"parquet": _NOT_PARQUET, "csv": _NOT_CSV}.get(self.format, frozenset())
        for name in self._noted:
            if name in refused:
                text = f"UNLOAD {self.format.upper()} does not support {name} option"
                raise SqlError("0A000", text)
        if {"allowoverwrite", "cleanpath"} <= self.flags:
            text = "ALLOWOVERWRITE and CLEANPATH options cannot be used together"
            raise SqlError("0A000", text)
        if self.partition and not self.parallel:
            raise SqlError("0A000", "PARTITION BY cannot be used with PARALLEL OFF")

    def _one(self) -> None:
        words = self._words
        if words.take("format"):
            words.take("as")
            if not self._format():
                raise words.bad()
        elif words.take("with") or self._format():
            pass
        elif word := words.take(*_FLAGS):
            self._noted.setdefault(word.upper())
            self.flags.add(word)
        elif word := words.take(*_COMPRESSIONS):
            self._noted.setdefault(word.upper())
            self.compression = _COMPRESSIONS[word]
        elif words.take("manifest"):
            self.manifest = "verbose" if words.take("verbose") else "plain"
        elif words.take("parallel"):
            said = words.take("on", "true", "off", "false")
            self.parallel = said not in ("off", "false")
        elif words.take("partition"):
            if not words.take("by"):
                raise words.bad()
            self.partition = words.columns()
            self.include = bool(words.take("include"))
        else:
            self._valued()

    def _format(self) -> bool:
        words = self._words
        if words.take("fixedwidth"):
            raise not_here("UNLOAD ... FIXEDWIDTH")
        if words.take("json"):
            raise not_here("UNLOAD of format JSON")
        word = words.take("parquet", "csv")
        if word and self.format not in ("text", word):
            raise SqlError("42601", "conflicting or redundant options")
        self.format = word or self.format
        return bool(word)

    def _valued(self) -> None:
        words = self._words
        word = words.take("delimiter", "null", "maxfilesize", "rowgroupsize", "region",
                          "extension", "encrypted", "kms_key_id", "master_symmetric_key")  # fmt: skip
        if not word:
            raise words.bad()
        if word == "encrypted":
            words.take("auto")
            return  # on the server's side: whoever reads by S3 sees the plain file
        if word in ("encrypted", "kms_key_id", "master_symmetric_key"):
            raise not_here("UNLOAD of files encrypted with a key of the user's")
        self._noted.setdefault("NULL AS" if word == "null" else word.upper())
        words.take("as")
        if word == "maxfilesize":
            self.max_size = self._size()
        elif word == "rowgroupsize":
            self._size()
        elif word == "region":
            words.string()
        elif word == "extension":
            self.extension = "." + words.string().lstrip(".")
        elif word == "delimiter":
            self.delimiter = characters(words.raw_string())
        else:
            self.null_as = characters(words.raw_string())

    def _size(self) -> int:
        """A size with its unit, MB where none is said."""
        value = self._words.take_kind(Kind.NUMBER)
        try:
            number = float(value or "")
        except ValueError:
            raise self._words.bad() from None
        unit = {"gb": 1024 * _MB}.get(self._words.take("mb", "gb"), _MB)
        size = int(number * unit)
        if not _SMALLEST <= size <= _LARGEST:
            raise SqlError("22023", "MAXFILESIZE must be between 5 MB and 6.2 GB")
        return size
