"""Reading raw files of the lake: whole, and only if they are what the commit log says."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from loader.errors import NeedsOperator
from loader.lake.commit_log import DataFile
from loader.lake.store import ObjectStore
from loader.model.events import RAW_TYPES

#: Files in memory beyond the one in use: hides the store's latency, bounds what is held.
READ_AHEAD: Final = 4


def read_verified(store: ObjectStore, key: str, size: int, sha256: str) -> bytes:
    """An object's bytes.

    Raises:
        NeedsOperator: it is missing, or its size or its digest is another one than recorded.
    """
    try:
        body = store.get(key)
    except KeyError:
        raise NeedsOperator(
            f"{store.url}/{key} is missing; the commit log says it holds {size} bytes.",
            hint="Restore it from the bucket's versions or backups, then run the sync again.",
        ) from None
    if len(body) != size or hashlib.sha256(body).hexdigest() != sha256:
        raise NeedsOperator(
            f"{store.url}/{key} was altered: {len(body)} bytes stand there, {size} were recorded"
            + (", and its digest is another one." if len(body) == size else "."),
            hint="Restore the object from the bucket's versions, then run the sync again.",
        )
    return body


def read_all(
    store: ObjectStore, files: Sequence[DataFile], columns: Sequence[str]
) -> Iterator[pa.Table]:
    """:func:`read_raw` of each file, in order, with a few files fetched ahead."""
    waiting: deque[Future[pa.Table]] = deque()
    with ThreadPoolExecutor(READ_AHEAD) as pool:
        try:
            for file in files:
                waiting.append(pool.submit(read_raw, store, file, columns))
                if len(waiting) > READ_AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def read_raw(store: ObjectStore, file: DataFile, columns: Sequence[str]) -> pa.Table:
    """Columns of a raw file, in the order asked for; one that the file leaves out is null throughout.

    Raises:
        NeedsOperator: the file is missing or altered, or its rows are not those recorded.
    """
    body = read_verified(store, file.key, file.bytes, file.sha256)
    try:
        parquet = pq.ParquetFile(pa.BufferReader(body))
        present = set(parquet.schema_arrow.names)
        table = parquet.read([name for name in columns if name in present], use_threads=False)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise NeedsOperator(
            f"{store.url}/{file.key} is not a raw file of this lake: {error}."
        ) from None
    if table.num_rows != file.rows:
        raise NeedsOperator(
            f"{store.url}/{file.key} holds {table.num_rows} rows; the commit log says {file.rows}.",
            hint="Restore the object from the bucket's versions, then run the sync again.",
        )
    return pa.table(
        [
            table.column(name) if name in present else pa.nulls(file.rows, RAW_TYPES[name])
            for name in columns
        ],
        names=list(columns),
    )
