"""The grammar of COPY: where from, by which right, and the options that Parquet takes.

Options may come in any order (AWS docs: COPY; COPY from columnar data formats).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from loader.local.redshift.errors import SqlError, not_here, syntax_error
from loader.local.redshift.refs import dotted, name_end
from loader.local.redshift.tokens import Kind, Token, closing, render, split_commas

_FLAGS = ("fillrecord", "acceptinvchars", "serializetojson", "explicit_ids", "manifest")
# Option to the number of words or literals it may bring along.
_TEXT_OPTIONS = frozenset((
    "region", "truncatecolumns", "maxerror", "acceptanydate", "ignoreallerrors", "compupdate",
    "noload", "delimiter", "quote", "escape", "ignoreheader", "null", "emptyasnull",
    "blanksasnull", "dateformat", "timeformat", "roundec", "trimblanks", "encoding", "readratio",
    "comprows", "gzip", "bzip2", "lzop", "zstd", "encrypted", "removequotes", "ignoreblanklines",
    "fixedwidth", "master_symmetric_key", "ssh", "job",
))  # fmt: skip
_OTHER_FORMATS = ("csv", "json", "avro", "orc", "shapefile", "text")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Access keys given in the statement. Never shown."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class CopyStatement:
    """A COPY of Parquet files.

    Attributes:
        table: the target as SQL.
        parts: the target's schema (if given) and name.
        columns: the column list; empty = all columns of the table.
        url: ``s3://bucket/key`` of the manifest, or a key prefix without ``manifest``.
        credentials: keys, or none for an IAM role.
        flags: bare options that were given.
        statupdate: ON, OFF, or none where not said.
    """

    table: str
    parts: tuple[str, ...]
    columns: tuple[str, ...]
    url: str
    credentials: Credentials | None
    flags: frozenset[str]
    statupdate: bool | None


def parse_copy(tokens: Sequence[Token]) -> CopyStatement:
    """Read a COPY statement.

    Raises:
        SqlError: 42601 outside the grammar, 0A000 for an option that Parquet does not take.
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
        columns = tuple(part[0].value for part in split_commas(tokens[at + 1 : end]))
        at = end + 1
    options = _Options(tokens, at)
    if not options.take("from"):
        raise syntax_error(options.near())
    url = options.string()
    if not url.startswith("s3://"):
        raise not_here("COPY from anything but S3")
    options.read_all()
    return CopyStatement(
        table, parts, columns, url, options.credentials(), frozenset(options.flags), options.stat
    )


class _Options:
    """Walks over what follows the column list."""

    def __init__(self, tokens: Sequence[Token], at: int) -> None:
        self._tokens = tokens
        self._at = at
        self.flags: set[str] = set()
        self.stat: bool | None = None
        self._format = ""
        self._role = False
        self._keys: dict[str, str] = {}
        self._rejected = ""

    def near(self) -> str:
        """The current token's text."""
        if self._at >= len(self._tokens):
            return ";"
        return self._tokens[self._at].text

    def take(self, *words: str) -> str:
        """Take the current word if it is one of these."""
        if self._at < len(self._tokens) and self._tokens[self._at].is_word(*words):
            self._at += 1
            return self._tokens[self._at - 1].value
        return ""

    def string(self) -> str:
        """Take a string literal.

        Raises:
            SqlError: 42601 where none stands.
        """
        if self._at >= len(self._tokens) or self._tokens[self._at].kind is not Kind.STRING:
            # A secret may stand here: say where, never what.
            raise SqlError("42601", "syntax error: a string literal is expected in COPY")
        self._at += 1
        return self._tokens[self._at - 1].value

    def read_all(self) -> None:
        """Read options up to the end, then judge them together."""
        while self._at < len(self._tokens):
            self._one()
        if self._format != "parquet":
            raise not_here(f"COPY of format {self._format.upper() or 'TEXT'}")
        if self._rejected:
            text = f"{self._rejected} argument is not supported for PARQUET based COPY"
            raise SqlError("0A000", text)
        if not self._role and not self._keys:
            raise SqlError("42601", "COPY needs an authorization: IAM_ROLE or access keys")
        if self._role and self._keys:
            raise SqlError("42601", "conflicting or redundant options")

    def _one(self) -> None:
        if self.take("format"):
            self.take("as")
            self._format = self.take("parquet", *_OTHER_FORMATS) or self._bad()
            self._skip_argument()
        elif word := self.take("parquet", *_OTHER_FORMATS):
            self._format = word
            self._skip_argument()
        elif word := self.take(*_FLAGS):
            self.flags.add(word)
        elif self.take("statupdate"):
            self.stat = self.take("on", "true", "off", "false") not in ("off", "false")
        elif self.take("with"):
            pass
        elif self.take("iam_role"):
            self._role = True
            if not self.take("default"):
                self.string()
        elif word := self.take("access_key_id", "secret_access_key", "session_token"):
            self.take("as")
            self._keys[word] = self.string()
        elif self.take("credentials"):
            self.take("as")
            self._legacy(self.string())
        elif word := self.take(*_TEXT_OPTIONS):
            self._rejected = self._rejected or word.upper()
            self._skip_argument()
        else:
            self._bad()

    def _bad(self) -> str:
        raise syntax_error(self.near())

    def _skip_argument(self) -> None:
        while self.take("as", "on", "off", "preset", "auto", "true", "false"):
            pass
        if self._at < len(self._tokens) and self._tokens[self._at].kind in (
            Kind.STRING,
            Kind.NUMBER,
        ):
            self._at += 1

    def _legacy(self, text: str) -> None:
        """CREDENTIALS 'aws_access_key_id=...;aws_secret_access_key=...[;token=...]'."""
        pairs = dict(part.partition("=")[::2] for part in text.split(";") if part)
        if "aws_iam_role" in pairs:
            self._role = True
        elif "aws_access_key_id" in pairs:
            self._keys = {
                "access_key_id": pairs["aws_access_key_id"],
                "secret_access_key": pairs.get("aws_secret_access_key", ""),
                "session_token": pairs.get("token", ""),
            }
        else:
            raise SqlError("XX000", "Invalid credentials. Must be of the format: credentials '...'")

    def credentials(self) -> Credentials | None:
        """The keys that were given."""
        if not self._keys:
            return None
        if "access_key_id" not in self._keys or "secret_access_key" not in self._keys:
            raise SqlError("42601", "ACCESS_KEY_ID and SECRET_ACCESS_KEY belong together")
        return Credentials(
            self._keys["access_key_id"],
            self._keys["secret_access_key"],
            self._keys.get("session_token", ""),
        )
