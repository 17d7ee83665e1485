"""A COPY or UNLOAD statement taken apart: what it says, with every secret kept out of its ``repr``."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """Access keys given in the statement. Never shown."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class TextRules:
    """How text and JSON files are read (AWS docs: Data format parameters, Data conversion parameters).

    Attributes:
        delimiter: between fields.
        csv: fields may stand in quotes, and quotes are doubled.
        quote: the quotation mark of CSV.
        header: lines to leave out at the start of each file.
        null_as: text that means NULL.
        date_format: ``auto`` or a datetime format string.
        time_format: ``auto``, ``epochsecs``, ``epochmillisecs`` or a datetime format string.
        invalid: replaces each byte that is not UTF-8; empty = such rows are errors.
        compression: as Arrow names it; empty = none.
        encoding: of the files, as Python names it.
        widths: of the fields of FIXEDWIDTH, in characters; empty = delimited.
        flags: bare options in lower case, such as ``escape`` or ``truncatecolumns``.
    """

    delimiter: str = "|"
    csv: bool = False
    quote: str = '"'
    header: int = 0
    null_as: str = "\\N"
    date_format: str = "YYYY-MM-DD"
    time_format: str = "YYYY-MM-DD HH:MI:SS"
    invalid: str = ""
    compression: str = ""
    encoding: str = "utf-8"
    widths: tuple[int, ...] = ()
    flags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CopyStatement:
    """A COPY from S3.

    Attributes:
        table: the target as SQL.
        parts: the target's schema (if given) and name.
        columns: the column list; empty = all columns of the table.
        url: ``s3://bucket/key`` of the manifest, or a key prefix without ``manifest``.
        format: ``parquet``, ``csv``, ``json``, ``text`` or ``fixedwidth``.
        credentials: keys, or none for an IAM role.
        flags: bare options that were given.
        statupdate: ON, OFF, or none where not said.
        json: ``auto``, ``auto ignorecase``, ``noshred`` or the URL of a JSONPaths file.
        max_errors: rows that may fail before the load does; at least 1 failing row ends it.
        rules: how text is read.
    """

    table: str
    parts: tuple[str, ...]
    columns: tuple[str, ...]
    url: str
    format: str
    credentials: Credentials | None
    flags: frozenset[str]
    statupdate: bool | None
    json: str = "auto"
    max_errors: int = 1
    rules: TextRules = TextRules()
