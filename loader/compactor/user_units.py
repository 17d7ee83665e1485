"""Compaction of users: the folded state of each bucket, and from it the rows that changed.

Two steps, each split by bucket. *Fold* brings new messages into a bucket's state, which is kept by
raw id, and hands over what belongs to persons of other buckets since ids were merged. *Render*
makes the table's rows of the persons of one bucket.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import tee
from typing import Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from loader.compactor.copy_files import CopyWriter
from loader.compactor.event_units import TableOutput
from loader.compactor.properties import Naming, columns_of, decoded, pivot
from loader.compactor.reading import read_all, read_verified
from loader.compactor.text import fit
from loader.compactor.user_maps import UserMapFile, read_user_map
from loader.errors import NeedsOperator
from loader.lake import layout
from loader.lake.commit_log import DataFile
from loader.lake.store import ObjectStore
from loader.model.buckets import buckets_of
from loader.model.events import USER_UPDATE_COLUMNS
from loader.model.migrations import UserMap
from loader.model.tables import CUSTOM_BYTES, USERS
from loader.model.users import STATE_SCHEMA, fold, people, sightings, writes

STATE_VERSION: Final = 1
_UPDATE_COLUMNS: Final = (*USER_UPDATE_COLUMNS.names, "_partition", "_offset")


@dataclass(frozen=True, slots=True)
class StateFile:
    """A table of :data:`~loader.model.users.STATE_SCHEMA` in the lake, or one of ids."""

    bucket: int
    key: str
    bytes: int
    sha256: str
    rows: int


@dataclass(frozen=True, slots=True)
class FoldUnit:
    """Brings new messages into the state of one bucket, or of several that share files.

    Attributes:
        sync_id: the sync.
        states: the buckets of this unit, each with its state so far.
        buckets: how many the lake has.
        events: raw event files that may hold their users.
        updates: raw files of user updates that may hold their users.
        users: the merges of users.
    """

    sync_id: str
    states: tuple[tuple[int, StateFile | None], ...]
    buckets: int
    events: tuple[DataFile, ...]
    updates: tuple[DataFile, ...]
    users: UserMapFile | None

    @property
    def rows(self) -> int:
        """Rows that it reads."""
        files = sum(file.rows for file in (*self.events, *self.updates))
        return files + sum(state.rows for _, state in self.states if state is not None)


@dataclass(frozen=True, slots=True)
class FoldOutput:
    """What a fold left.

    Attributes:
        bucket: the user bucket.
        state: its state now; None where it has no user.
        moved: the part of it that belongs to persons of other buckets.
        changed: present ids of the persons that changed.
    """

    bucket: int
    state: StateFile | None
    moved: StateFile | None
    changed: StateFile | None


@dataclass(frozen=True, slots=True)
class RenderUnit:
    """Makes the rows of the persons of one bucket.

    Attributes:
        number: part of its files' names.
        sync_id: the sync.
        bucket: the bucket of the persons' present ids.
        buckets: how many the lake has.
        state: the bucket's state.
        moved: what other buckets hold that may belong to its persons.
        changed: ids of changed persons; None makes every row.
        users: the merges of users.
        merge_times: latest merge of each person that has one: ``(user_id, microseconds)``.
        keep: the only custom columns that the table takes; None takes all.
    """

    number: str
    sync_id: str
    bucket: int
    buckets: int
    state: StateFile | None
    moved: tuple[StateFile, ...]
    changed: tuple[StateFile, ...] | None
    users: UserMapFile | None
    merge_times: StateFile | None
    keep: frozenset[str] | None = None

    @property
    def rows(self) -> int:
        """Rows that it reads."""
        return sum(file.rows for file in (*self.moved, *filter(None, [self.state])))


def run_fold_unit(unit: FoldUnit, store: ObjectStore) -> tuple[FoldOutput, ...]:
    """Fold, and write state, hand-over and changed ids beside what stands; a result a bucket.

    Raises:
        NeedsOperator: a raw file or the state is missing or altered.
    """
    news = _news(unit, store)
    if len(unit.states) > 1:
        # Files of several buckets are read once for all of them; the unit is small then.
        news = iter([pa.concat_tables([STATE_SCHEMA.empty_table(), *news])])
    users = read_user_map(store, unit.users)
    return tuple(
        _fold_bucket(unit, bucket, state, rows, users, store)
        for (bucket, state), rows in zip(unit.states, tee(news, len(unit.states)), strict=True)
    )


def _fold_bucket(
    unit: FoldUnit,
    bucket: int,
    file: StateFile | None,
    news: Iterator[pa.Table],
    users: UserMap,
    store: ObjectStore,
) -> FoldOutput:
    own = (_of_bucket(rows, unit.buckets, bucket) for rows in news)
    state, changed = fold(read_state(store, file), own)
    if len(changed):
        folder = layout.state_folder("users", unit.sync_id)
        file = write_table(store, f"{folder}bucket={bucket:02d}.parquet", bucket, state)
    folder = layout.sync_folder(unit.sync_id, "_users")
    resolved = users.resolve(state.column("user_id").to_numpy())
    away = buckets_of(resolved, unit.buckets) != bucket
    moved = state.filter(pa.array(away))
    ids = pa.table({"user_id": np.unique(users.resolve(changed))})
    return FoldOutput(
        bucket,
        file,
        write_table(store, f"{folder}moved-{bucket:02d}.parquet", bucket, moved),
        write_table(store, f"{folder}changed-{bucket:02d}.parquet", bucket, ids),
    )


def _news(unit: FoldUnit, store: ObjectStore) -> Iterator[pa.Table]:
    """State rows of the new messages, one raw file at a time."""
    for rows in read_all(store, unit.events, ("user_id", "time")):
        yield sightings(rows)
    for rows in read_all(store, unit.updates, _UPDATE_COLUMNS):
        yield writes(rows)


def _of_bucket(rows: pa.Table, buckets: int, bucket: int) -> pa.Table:
    """The bucket's rows: a file may hold several."""
    own = buckets_of(rows.column("user_id").to_numpy(), buckets) == bucket
    return rows.filter(pa.array(own))


def run_render_unit(unit: RenderUnit, store: ObjectStore) -> TableOutput:
    """Write the COPY files of one bucket's persons.

    Raises:
        NeedsOperator: a file of the state is missing or altered.
    """
    users = read_user_map(store, unit.users)
    state = _state_of(unit, users, store)
    if not state.num_rows:
        return TableOutput(USERS.name, (), (), 0, 0, {})
    times = pa.table({"user_id": pa.array([], pa.int64()), "time": pa.array([], "timestamp[us]")})
    if unit.merge_times is not None:
        times = _read(store, unit.merge_times)
    made = people(state, users, times)
    naming = Naming(frozenset(USERS.column_names))
    levels = [[decoded(made.rows, made.names, made.values)]]
    found = columns_of(levels, naming)
    custom = tuple(name for name in found if unit.keep is None or name in unit.keep)
    cut: dict[str, int] = {}
    used: dict[str, int] = {}

    def fitted(name: str, values: pa.Array, length: int) -> pa.Array:
        result, changed = fit(values, length)
        if changed:
            cut[name] = changed
        return result

    columns = {}
    for column in USERS.columns:
        values = made.built_in.column(column.name).combine_chunks()
        columns[column.name] = (
            fitted(column.name, values, column.length) if column.length else values
        )
    count = made.built_in.num_rows
    for name, values in zip(custom, pivot(levels, naming, custom, count), strict=True):
        used[name] = len(values) - values.null_count
        columns[name] = fitted(name, values, CUSTOM_BYTES)
    writer = CopyWriter(store, unit.sync_id, USERS.name, unit.number)
    writer.write(pa.table(columns))
    return TableOutput(USERS.name, custom, writer.finish(), count, 0, cut, used)


def _state_of(unit: RenderUnit, users: UserMap, store: ObjectStore) -> pa.Table:
    """The state of the bucket's persons, of the changed ones where only those are asked for."""
    parts = [read_state(store, unit.state), *(read_state(store, file) for file in unit.moved)]
    state = pa.concat_tables(parts)
    resolved = users.resolve(state.column("user_id").to_numpy())
    wanted = buckets_of(resolved, unit.buckets) == unit.bucket
    if unit.changed is not None:
        ids = [_read(store, file).column("user_id").to_numpy() for file in unit.changed]
        wanted &= np.isin(resolved, np.concatenate([np.empty(0, np.int64), *ids]))
    return state.filter(pa.array(wanted))


def write_table(store: ObjectStore, key: str, bucket: int, table: pa.Table) -> StateFile | None:
    """Write a table to the lake; None, and nothing is written, where it has no row."""
    if not table.num_rows:
        return None
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", row_group_size=1 << 18)
    body = sink.getvalue().to_pybytes()
    store.put(key, body)
    return StateFile(bucket, key, len(body), hashlib.sha256(body).hexdigest(), table.num_rows)


def read_state(store: ObjectStore, file: StateFile | None) -> pa.Table:
    """Read a state back; empty for None."""
    return STATE_SCHEMA.empty_table() if file is None else _read(store, file)


def _read(store: ObjectStore, file: StateFile) -> pa.Table:
    body = read_verified(store, file.key, file.bytes, file.sha256)
    return pq.read_table(pa.BufferReader(body), use_threads=False)


def write_index(store: ObjectStore, sync_id: str, files: list[StateFile]) -> str:
    """Write the list of a state's files; its key is what the ledger names."""
    key = f"{layout.state_folder('users', sync_id)}state.json"
    document = {
        "version": STATE_VERSION,
        "files": [
            {"bucket": f.bucket, "key": f.key, "bytes": f.bytes, "sha256": f.sha256, "rows": f.rows}
            for f in sorted(files, key=lambda file: file.bucket)
        ],
    }
    store.put(key, orjson.dumps(document, option=orjson.OPT_INDENT_2))
    return key


def read_index(store: ObjectStore, key: str) -> dict[int, StateFile]:
    """The files of a state by bucket; none for the empty key.

    Raises:
        NeedsOperator: the list is missing or of another version.
    """
    if not key:
        return {}
    try:
        document = orjson.loads(store.get(key))
    except KeyError:
        raise NeedsOperator(
            f"{store.url}/{key}, the state of users, is missing.",
            hint="Restore it from the bucket's versions or backups, then run the sync again.",
        ) from None
    if document.get("version") != STATE_VERSION:
        raise NeedsOperator(
            f"{store.url}/{key}: the state of users has version {document.get('version')}; this "
            f"loader knows {STATE_VERSION}.",
            hint="Run the loader that wrote it, or a newer one.",
        )
    return {file["bucket"]: StateFile(**file) for file in document["files"]}
