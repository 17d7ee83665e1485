"""COPY files: Parquet that Redshift reads as it stands, and manifests that name each file.

zstd, pages of version 1, microseconds without a zone; a file is closed at 64 MiB, which lies inside
the 1 to 125 MB that load best, and a manifest says each file's exact size (AWS docs: COPY from
columnar formats; loading data files; using a manifest).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from loader.lake import layout
from loader.lake.store import ObjectStore

#: A file is closed after the row group that reaches this many bytes.
FILE_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class CopyFile:
    """One Parquet file for COPY: its key, its exact size in bytes, its rows."""

    key: str
    bytes: int
    rows: int


class CopyWriter:
    """Writes row groups into as many files as it takes.

    Args:
        store: the lake.
        sync_id: the sync.
        table: the table's name.
        part: number of the unit of work; makes the names unique and the same on every try.
    """

    def __init__(self, store: ObjectStore, sync_id: str, table: str, part: str) -> None:
        self._store = store
        self._prefix = f"{layout.sync_folder(sync_id, table)}{part}-"
        self._files: list[CopyFile] = []
        self._writer: pq.ParquetWriter | None = None
        self._sink = pa.BufferOutputStream()
        self._rows = 0

    def write(self, rows: pa.Table) -> None:
        """Add a row group; every call of one writer has the same schema."""
        if not rows.num_rows:
            return
        if self._writer is None:
            self._sink = pa.BufferOutputStream()
            self._writer = pq.ParquetWriter(
                self._sink, rows.schema, compression="zstd", data_page_version="1.0"
            )
        self._writer.write_table(rows, row_group_size=rows.num_rows)
        self._rows += rows.num_rows
        if self._sink.tell() >= FILE_BYTES:
            self._close()

    def finish(self) -> tuple[CopyFile, ...]:
        """Close the last file; all files, in order."""
        self._close()
        return tuple(self._files)

    def _close(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        self._writer = None
        body = self._sink.getvalue().to_pybytes()
        key = f"{self._prefix}{len(self._files):03d}.parquet"
        self._store.put(key, body)
        self._files.append(CopyFile(key, len(body), self._rows))
        self._rows = 0


def write_manifest(
    store: ObjectStore, sync_id: str, table: str, number: int, files: Iterable[CopyFile]
) -> str:
    """Write a manifest that names ``files`` as mandatory, with their sizes; gives its key."""
    entries = [
        {
            "url": f"{store.url}/{file.key}",
            "mandatory": True,
            "meta": {"content_length": file.bytes},
        }
        for file in files
    ]
    key = f"{layout.sync_folder(sync_id, table)}manifest-{number:03d}.json"
    store.put(key, orjson.dumps({"entries": entries}, option=orjson.OPT_INDENT_2))
    return key
