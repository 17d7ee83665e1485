"""The files of an UNLOAD: rows of a query cut into slices, partitions and parts. Blocks; for a thread.

Rows come as lines of PostgreSQL's CSV, where NULL is nothing and an empty text is ``""``.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Protocol
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from loader.local.redshift.unload_grammar import UnloadStatement
from loader.local.redshift.unload_types import Output

SLICES = 2
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_SUFFIXES = {"gzip": ".gz", "bz2": ".bz2", "zstd": ".zst"}

Put = Callable[[str, IO[bytes]], int]  # key and content to bytes written


@dataclass(frozen=True, slots=True)
class Written:
    """One file of an UNLOAD: its key, the slice that wrote it, rows and bytes."""

    key: str
    slice: int
    rows: int
    bytes: int


class _Format(Protocol):
    """Writes tables to one file."""

    def write(self, table: pa.Table) -> None:
        """Add rows."""

    def close(self) -> None:
        """Write what is left."""


@dataclass(slots=True)
class _Part:
    """One file being written."""

    folder: str
    slice: int
    number: int
    local: IO[bytes]
    format: _Format
    rows: int = 0


@dataclass(slots=True)
class Files:
    """Takes the rows and writes the files.

    Attributes:
        prefix: of the keys.
        put: uploads one file.
        written: the files that are complete.
    """

    statement: UnloadStatement
    outputs: Sequence[Output]
    prefix: str
    put: Put
    written: list[Written] = field(default_factory=list)
    _open: dict[tuple[str, int], _Part] = field(default_factory=dict)
    _numbers: dict[tuple[str, int], int] = field(default_factory=dict)
    _turn: int = 0

    def add(self, lines: bytes) -> None:
        """Write rows, given as whole lines of CSV."""
        table = _table(lines, self.outputs)
        slice_ = self._turn % SLICES if self.statement.parallel else 0
        self._turn += 1
        for folder, rows in self._folders(table):
            part = self._open.get((folder, slice_)) or self._begin(folder, slice_, rows.schema)
            part.format.write(rows)
            part.rows += rows.num_rows
            if part.local.tell() >= self.statement.max_size:
                self._end(part)

    def close(self) -> None:
        """Finish all files."""
        for part in list(self._open.values()):
            self._end(part)

    def abandon(self) -> None:
        """Close what is open without keeping it."""
        for part in self._open.values():
            part.local.close()
        self._open.clear()

    def _folders(self, table: pa.Table) -> list[tuple[str, pa.Table]]:
        """Rows by the folder that their partition columns name, in the order of first meeting."""
        names = self.statement.partition
        if not names:
            return [("", table)]
        shown = [_shown(table.column(name)) for name in names]
        keys = pa.table(shown, names=[str(n) for n in range(len(shown))])
        places: dict[tuple[str, ...], list[int]] = {}
        for row, values in enumerate(zip(*(c.to_pylist() for c in keys.columns), strict=True)):
            places.setdefault(values, []).append(row)
        kept = table if self.statement.include else table.drop_columns(list(names))
        return [(_folder(names, values), kept.take(rows)) for values, rows in places.items()]

    def _begin(self, folder: str, slice_: int, schema: pa.Schema) -> _Part:
        place = (folder, slice_)
        number = self._numbers.get(place, 0)
        self._numbers[place] = number + 1
        local = tempfile.TemporaryFile()  # noqa: SIM115 - closed by _end or abandon
        part = _Part(folder, slice_, number, local, _format(self.statement, local, schema))
        self._open[place] = part
        return part

    def _end(self, part: _Part) -> None:
        part.format.close()
        part.local.seek(0)
        key = self._key(part)
        size = self.put(key, part.local)
        part.local.close()
        del self._open[part.folder, part.slice]
        self.written.append(Written(key, part.slice, part.rows, size))

    def _key(self, part: _Part) -> str:
        prefix = self.prefix
        if part.folder:
            prefix = prefix.removesuffix("/") + "/" + part.folder
        parallel = f"{part.slice:04d}_part_{part.number:02d}"
        name = parallel if self.statement.parallel else f"{part.number:03d}"
        own = ".parquet" if self.statement.format == "parquet" else ""
        suffix = self.statement.extension or own + _SUFFIXES.get(self.statement.compression, "")
        return f"{prefix}{name}{suffix}"


def _folder(names: Sequence[str], values: Sequence[str]) -> str:
    pairs = zip(names, values, strict=True)
    return "".join(f"{name}={quote(value, safe='')}/" for name, value in pairs)


def _table(lines: bytes, outputs: Sequence[Output]) -> pa.Table:
    """Rows as Arrow columns."""
    names = [output.name for output in outputs]
    return pa_csv.read_csv(
        pa.BufferReader(lines),
        pa_csv.ReadOptions(column_names=names, use_threads=False, block_size=len(lines) + 1),
        pa_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        pa_csv.ConvertOptions(
            column_types={output.name: output.arrow for output in outputs},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )


def _shown(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A partition column's values as they stand in a folder's name."""
    if pa.types.is_timestamp(column.type):
        text = pc.strftime(column, "%Y-%m-%d %H:%M:%S")
    elif pa.types.is_boolean(column.type):
        text = pc.if_else(column, "t", "f")
    else:
        text = column.cast(pa.string())
    return pc.fill_null(text, _NO_VALUE)


def _format(statement: UnloadStatement, local: IO[bytes], schema: pa.Schema) -> _Format:
    if statement.format == "parquet":
        return _Parquet(local, schema)
    return _Text(local, schema, statement)


class _Parquet:
    """Parquet as Redshift writes it: version 1, Snappy, times as INT96."""

    def __init__(self, local: IO[bytes], schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(
            local, schema, version="1.0", compression="snappy", use_deprecated_int96_timestamps=True
        )

    def write(self, table: pa.Table) -> None:
        """Add rows."""
        self._writer.write_table(table)

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()


class _Kept(io.RawIOBase):
    """Writes to a file and does not close it: Arrow closes whatever is below a compressed stream."""

    def __init__(self, local: IO[bytes]) -> None:
        self._local = local

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Write all of it."""
        return self._local.write(data)


class _Text:
    """CSV, or fields between delimiters."""

    def __init__(self, local: IO[bytes], schema: pa.Schema, statement: UnloadStatement) -> None:
        self._statement = statement
        self._sink: Any = pa.PythonFile(_Kept(local), mode="w")
        if statement.compression:
            self._sink = pa.CompressedOutputStream(self._sink, statement.compression)
        if "header" in statement.flags:
            self._lines([list(schema.names)])

    def write(self, table: pa.Table) -> None:
        """Add rows."""
        columns = [_texts(column) for column in table.columns]
        self._lines([list(row) for row in zip(*columns, strict=True)])

    def close(self) -> None:
        """Finish the compressed stream."""
        if self._statement.compression:
            self._sink.close()

    def _lines(self, rows: list[list[str | None]]) -> None:
        statement = self._statement
        if statement.format == "csv":
            text = io.StringIO()
            writer = csv.writer(text, delimiter=statement.delimiter, lineterminator="\n")
            writer.writerows([[statement.null_as if v is None else v for v in r] for r in rows])
            self._sink.write(text.getvalue().encode())
            return
        lines = [statement.delimiter.join(map(self._field, row)) for row in rows]
        self._sink.write("".join(f"{line}\n" for line in lines).encode())

    def _field(self, value: str | None) -> str:
        if value is None:
            return self._statement.null_as
        flags = self._statement.flags
        if "escape" in flags:
            special = ["\\", "\n", "\r", self._statement.delimiter]
            special += ['"', "'"] if "addquotes" in flags else []
            for each in special:
                value = value.replace(each, f"\\{each}")
        return f'"{value}"' if "addquotes" in flags else value


def _texts(column: pa.ChunkedArray) -> list[str | None]:
    kind = column.type
    if pa.types.is_boolean(kind):
        return [None if v is None else "t" if v else "f" for v in column.to_pylist()]
    if pa.types.is_timestamp(kind):
        zone = "+00" if kind.tz else ""
        return [
            None if v is None else f"{v:%Y-%m-%d %H:%M:%S}{_fraction(v.microsecond)}{zone}"
            for v in column.to_pylist()
        ]
    if pa.types.is_floating(kind):
        return [None if v is None else f"{v:.17g}" for v in column.to_pylist()]
    return [None if v is None else str(v) for v in column.to_pylist()]


def _fraction(micros: int) -> str:
    return f".{micros:06d}".rstrip("0") if micros else ""
