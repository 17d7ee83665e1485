"""The files that records name, in order of key, whatever their number: kept in a temporary database.

A list of the lake comes by key, records come by offset. To compare the two at bounded memory the
names are sorted on disk, about 200 bytes each, and the two streams are merged.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from loader.lake.store import ObjectInfo


@dataclass(frozen=True, slots=True)
class Expected:
    """A file as its record names it; ``record`` is the record's key."""

    key: str
    bytes: int
    partition: int
    record: str


@dataclass(frozen=True, slots=True)
class Compared:
    """One key of either side: a file that is named, stands in the store, or both."""

    expected: Expected | None
    object: ObjectInfo | None


class ExpectedFiles:
    """Named files. For one thread; made by :func:`expected_files`."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def add(self, file: Expected) -> str | None:
        """Take a file.

        Returns:
            The key of the record that named it before; None if none did.
        """
        added = self._database.execute(
            "INSERT OR IGNORE INTO files VALUES (?, ?, ?, ?)",
            (file.key, file.bytes, file.partition, file.record),
        )
        if added.rowcount:
            return None
        found = self._database.execute("SELECT record FROM files WHERE key = ?", (file.key,))
        (record,) = found.fetchone()
        return str(record)

    def compare(self, prefix: str, objects: Iterator[ObjectInfo]) -> Iterator[Compared]:
        """Merge the named files under ``prefix`` with a list of the store, both by UTF-8 bytes."""
        named = self._under(prefix)
        expected, object_ = next(named, None), next(objects, None)
        while expected is not None or object_ is not None:
            if object_ is None or (
                expected is not None and expected.key.encode() < object_.key.encode()
            ):
                yield Compared(expected, None)
                expected = next(named, None)
            elif expected is None or object_.key.encode() < expected.key.encode():
                yield Compared(None, object_)
                object_ = next(objects, None)
            else:
                yield Compared(expected, object_)
                expected, object_ = next(named, None), next(objects, None)

    def _under(self, prefix: str) -> Iterator[Expected]:
        # SQLite compares text by memcmp of its UTF-8 unless told otherwise, as S3 does.
        rows = self._database.execute(
            "SELECT key, bytes, partition, record FROM files WHERE key >= ? AND key < ? ORDER BY key",
            (prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1)),
        )
        for row in rows:
            yield Expected(*row)


@contextmanager
def expected_files() -> Iterator[ExpectedFiles]:
    """An empty set of files, forgotten at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="heap-loader-verify-") as folder,
        closing(sqlite3.connect(Path(folder) / "files.db", isolation_level=None)) as database,
    ):
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute(
            "CREATE TABLE files (key TEXT PRIMARY KEY, bytes INTEGER, partition INTEGER, "
            "record TEXT) WITHOUT ROWID"
        )
        database.execute("BEGIN")
        yield ExpectedFiles(database)
