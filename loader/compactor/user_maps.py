"""The merges of users as units of work see them: one small file of the sync, read once a process."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loader.compactor.reading import read_verified
from loader.lake import layout
from loader.lake.store import ObjectStore
from loader.model.migrations import UserMap


@dataclass(frozen=True, slots=True)
class UserMapFile:
    """Where it stands: key, exact bytes, digest."""

    key: str
    bytes: int
    sha256: str


def write_user_map(store: ObjectStore, sync_id: str, users: UserMap) -> UserMapFile | None:
    """Write the map beside the sync's files; None where nobody was merged."""
    if not len(users):
        return None
    sink = pa.BufferOutputStream()
    pq.write_table(users.rows(), sink, compression="zstd")
    body = sink.getvalue().to_pybytes()
    key = f"{layout.sync_folder(sync_id, '_users')}map.parquet"
    store.put(key, body)
    return UserMapFile(key, len(body), hashlib.sha256(body).hexdigest())


def read_user_map(store: ObjectStore, file: UserMapFile | None) -> UserMap:
    """Read the map back; empty for None."""
    if file is None:
        return UserMap.empty()
    return _decode(read_verified(store, file.key, file.bytes, file.sha256))


@lru_cache(maxsize=1)
def _decode(body: bytes) -> UserMap:
    table = pq.read_table(pa.BufferReader(body))
    from_ids = table.column("from_user_id").to_numpy()
    to_ids = table.column("to_user_id").to_numpy()
    return UserMap.of_arrays(from_ids, to_ids, np.zeros(len(from_ids), np.int64))
