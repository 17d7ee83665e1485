"""Files of a COPY, brought to this machine one ahead of the one that is read."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO

from loader.local.redshift.s3 import Bucket, Source


@dataclass(slots=True)
class Scanned:
    """A file that was read, or begun.

    Attributes:
        source: the file.
        lines: rows or lines read.
        errors: of them not loaded.
    """

    source: Source
    lines: int = 0
    errors: int = 0


@dataclass(slots=True)
class Progress:
    """How far a COPY is.

    Attributes:
        rows: rows handed to the table.
        files: files begun, in order.
    """

    rows: int = 0
    files: list[Scanned] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """Size of the files begun."""
        return sum(file.source.size for file in self.files)


def downloads(bucket: Bucket, sources: Sequence[Source]) -> Generator[IO[bytes], None, None]:
    """The files as temporary local ones, the next on its way while one is used.

    Whoever gets one closes it. At most two are on disk at once.

    Raises:
        LoadError: one vanished, or changed its size.
    """

    def download(source: Source) -> IO[bytes]:
        local = tempfile.TemporaryFile()  # noqa: SIM115 - closed by whoever gets it
        try:
            bucket.download(source, local)
            local.seek(0)
        except BaseException:
            local.close()
            raise
        return local

    with ThreadPoolExecutor(1, thread_name_prefix="copy-download") as pool:
        ahead = None
        try:
            for index in range(len(sources)):
                current = ahead or pool.submit(download, sources[index])
                ahead = None
                local = current.result()
                if index + 1 < len(sources):
                    ahead = pool.submit(download, sources[index + 1])
                yield local
        finally:
            if ahead is not None and not ahead.cancel() and ahead.exception() is None:
                ahead.result().close()
