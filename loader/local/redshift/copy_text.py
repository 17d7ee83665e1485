"""Text and JSON files to PostgreSQL's binary COPY, row by row, with errors counted by MAXERROR.

Blocks; runs in a thread. A row that cannot be loaded is kept for ``stl_load_errors``, with its fields
for ``stl_loaderror_detail``.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import IO

import pyarrow as pa

from loader.local.redshift import copy_json, copy_records, pg_binary
from loader.local.redshift.copy_records import Field, Record
from loader.local.redshift.copy_statement import CopyStatement
from loader.local.redshift.copy_text_values import FieldError, Value, can_load, convert
from loader.local.redshift.copy_types import Target, arrow_type
from loader.local.redshift.downloads import Progress, Scanned, downloads
from loader.local.redshift.errors import not_here
from loader.local.redshift.s3 import Bucket, Source

_BATCH_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that was not loaded.

    Attributes:
        file: URL of the file.
        record: the row.
        column: the column at fault; none where the row could not be cut.
        value: the field's text.
        position: of the field in the line.
        error: what is wrong.
        fields: all fields with their columns, as far as both are there.
    """

    file: str
    record: Record
    column: Target | None
    value: str
    position: int
    error: FieldError
    fields: list[tuple[Target, Field]]


@dataclass(slots=True)
class Failures:
    """The rows that were not loaded so far."""

    rows: list[RowError] = field(default_factory=list)


class TooManyErrors(Exception):
    """MAXERROR is reached; the rows at fault are in :class:`Failures`."""


def chunks(
    bucket: Bucket,
    sources: Sequence[Source],
    targets: Sequence[Target],
    statement: CopyStatement,
    progress: Progress,
    failures: Failures,
) -> Generator[memoryview, None, None]:
    """Read all files in order; the pieces together are the input of one binary COPY.

    Args:
        bucket: where the files are.
        sources: the files.
        targets: table columns in the order of the files' columns.
        statement: the COPY.
        progress: counted up as files are read.
        failures: takes the rows that cannot be loaded.

    Raises:
        TooManyErrors: MAXERROR rows failed.
        LoadError: a JSONPaths file cannot be used.
        SqlError: a column's type cannot be loaded here.
    """
    for target in targets:
        if not can_load(target):
            raise not_here(f"COPY of text into {target.type_name.upper()}")
    read = _reader(bucket, targets, statement)
    limit = None if "ignoreallerrors" in statement.rules.flags else statement.max_errors
    types = [target.type_name for target in targets]
    yield memoryview(pg_binary.HEADER)
    batch: list[list[Value]] = []
    with closing(downloads(bucket, sources)) as files:
        for source, local in zip(sources, files, strict=True):
            with local:
                scanned = Scanned(source)
                progress.files.append(scanned)
                for record in read(local):
                    scanned.lines += 1
                    try:
                        batch.append(_row(source.url, record, targets, statement))
                    except _Bad as bad:
                        scanned.errors += 1
                        failures.rows.append(bad.row)
                        if limit is not None and len(failures.rows) >= limit:
                            raise TooManyErrors from None
                    if len(batch) >= _BATCH_ROWS:
                        yield _encoded(batch, targets, types, statement, progress)
    yield _encoded(batch, targets, types, statement, progress)
    yield memoryview(pg_binary.TRAILER)


class _Bad(Exception):
    def __init__(self, row: RowError) -> None:
        super().__init__(row.error.reason)
        self.row = row


def _encoded(
    batch: list[list[Value]],
    targets: Sequence[Target],
    types: Sequence[str],
    statement: CopyStatement,
    progress: Progress,
) -> memoryview:
    """The batch's rows, and the batch emptied."""
    if not batch or "noload" in statement.flags:
        batch.clear()
        return memoryview(b"")
    progress.rows += len(batch)
    columns = [
        pa.array([row[index] for row in batch], arrow_type(target))
        for index, target in enumerate(targets)
    ]
    batch.clear()
    return pg_binary.rows(columns, types)


def _reader(bucket: Bucket, targets: Sequence[Target], statement: CopyStatement) -> _Reader:
    if statement.format != "json":
        return _Reader(statement, None)
    kind = statement.json.lower()
    if kind == "noshred":
        return _Reader(statement, copy_json.whole(targets))
    paths = None
    if kind.startswith("s3://"):
        paths = copy_json.read_paths(bucket.read(statement.json))
    elif kind not in ("", "auto", "auto ignorecase"):
        raise not_here(f"COPY JSON '{statement.json}'")
    if paths is not None:
        return _Reader(statement, copy_json.by_path(paths, targets))
    return _Reader(statement, copy_json.by_key(targets, ignore_case=kind == "auto ignorecase"))


class _Reader:
    """Cuts a file into records."""

    def __init__(self, statement: CopyStatement, json: copy_json.Fields | None) -> None:
        self._rules = statement.rules
        self._json = json

    def __call__(self, local: IO[bytes]) -> Iterator[Record]:
        text = copy_records.open_text(local, self._rules)
        if self._json is None:
            return copy_records.records(text, self._rules)
        return copy_json.records(text.read(), self._json)


def _row(
    file: str, record: Record, targets: Sequence[Target], statement: CopyStatement
) -> list[Value]:
    fields = record.fields
    if record.error is not None:
        raise _Bad(RowError(file, record, None, "", 0, record.error, []))
    if statement.format != "json":
        fields = _counted(file, record, targets, statement)
    out = []
    for given, target in zip(fields, targets, strict=True):
        try:
            out.append(convert(given.text, target, statement.rules, quoted=given.quoted))
        except FieldError as error:
            known = list(zip(targets, fields, strict=True))
            value = given.text or ""
            raise _Bad(
                RowError(file, record, target, value, given.position, error, known)
            ) from None
    return out


def _counted(
    file: str, record: Record, targets: Sequence[Target], statement: CopyStatement
) -> list[Field]:
    """As many fields as columns."""
    fields = record.fields
    if len(fields) == len(targets) + 1 and not fields[-1].text and statement.format == "text":
        fields = fields[:-1]  # a delimiter may stand at the line's end
    if len(fields) > len(targets):
        error = FieldError(1202, "Extra column(s) found")
    elif len(fields) < len(targets) and "fillrecord" not in statement.flags:
        error = FieldError(1214, "Delimiter not found")
    else:
        # Missing text is empty, not NULL, unless EMPTYASNULL says so (AWS docs: FILLRECORD).
        return [*fields, *(_filler(target) for target in targets[len(fields) :])]
    known = list(zip(targets, fields, strict=False))
    column = targets[min(len(fields), len(targets)) - 1]
    raise _Bad(RowError(file, record, column, "", len(record.raw), error, known))


def _filler(target: Target) -> Field:
    text = target.type_name in ("character varying", "character")
    return Field("" if text else None, quoted=True)
