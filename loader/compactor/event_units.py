"""Compaction of events: raw files of some buckets become COPY files of several tables at once.

A unit is pure data, so it runs in a process of this machine or on another one alike. What it gives
depends on its input alone, and running it twice writes the same objects again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loader.compactor.copy_files import CopyFile, CopyWriter
from loader.compactor.projection import Projection, table_schema
from loader.compactor.reading import read_all
from loader.compactor.user_maps import UserMapFile, read_user_map
from loader.lake.commit_log import DataFile
from loader.lake.store import ObjectStore
from loader.model.events import EVENT_COLUMNS
from loader.model.labelled_events import Definition
from loader.model.migrations import UserMap
from loader.model.predicates import matches
from loader.model.tables import TableKind, TableSpec

#: Cells (rows times columns) of one row group: bounds the memory of wide tables.
GROUP_CELLS: Final = 8_000_000
GROUP_ROWS: Final = 100_000

_COLUMNS: Final = (*EVENT_COLUMNS.names, "_partition", "_offset")


@dataclass(frozen=True, slots=True)
class TableTask:
    """One table that a unit makes rows for.

    Attributes:
        key: the table's key.
        spec: its built-in columns.
        definition: what its rows match; None for built-in tables.
        keep: the only custom columns that it takes; None takes all.
    """

    key: str
    spec: TableSpec
    definition: Definition | None = None
    keep: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class EventUnit:
    """A piece of compaction that fits in memory.

    Attributes:
        number: its place in the sync, part of its files' names.
        sync_id: the sync.
        files: raw files; together at most ``sync.group_rows`` rows, or one file.
        tables: every table that reads these files.
        users: where the merges of users stand; None where there are none.
    """

    number: str
    sync_id: str
    files: tuple[DataFile, ...]
    tables: tuple[TableTask, ...]
    users: UserMapFile | None

    @property
    def rows(self) -> int:
        """Rows that it reads."""
        return sum(file.rows for file in self.files)


@dataclass(frozen=True, slots=True)
class TableOutput:
    """What a unit made for one table.

    Attributes:
        key: the table's key.
        custom: its custom columns in these files, ascending.
        files: COPY files.
        rows: rows in them.
        copies: rows left out because an earlier copy of the event was in the unit.
        cut: how many values were cut to their column's length, by column.
        used: how many values each custom column has.
    """

    key: str
    custom: tuple[str, ...]
    files: tuple[CopyFile, ...]
    rows: int
    copies: int
    cut: dict[str, int]
    used: dict[str, int] = field(default_factory=dict)


def group_files(files: Iterable[DataFile], group_rows: int) -> list[tuple[DataFile, ...]]:
    """Split files into groups of at most ``group_rows`` rows (or one file), bucket by bucket."""
    groups: list[tuple[DataFile, ...]] = []
    current: list[DataFile] = []
    rows = 0
    for file in sorted(files, key=lambda file: (file.buckets, file.date, file.key)):
        if current and rows + file.rows > group_rows:
            groups.append(tuple(current))
            current, rows = [], 0
        current.append(file)
        rows += file.rows
    if current:
        groups.append(tuple(current))
    return groups


def run_event_unit(unit: EventUnit, store: ObjectStore) -> tuple[TableOutput, ...]:
    """Make the COPY files of every table of the unit.

    Raises:
        NeedsOperator: a raw file is missing or altered.
    """
    users = read_user_map(store, unit.users)
    chosen: dict[str, list[pa.RecordBatch]] = {task.key: [] for task in unit.tables}
    for table in read_all(store, unit.files, _COLUMNS):
        for batch in table.to_batches():
            for task in unit.tables:
                rows = batch.filter(_predicate(task)(batch))
                if rows.num_rows:
                    chosen[task.key].append(rows)
    return tuple(
        _table_output(unit, task, chosen.pop(task.key), users, store) for task in unit.tables
    )


def _predicate(task: TableTask) -> Callable[[pa.RecordBatch], pa.Array]:
    definition = task.definition
    if definition is not None:
        return lambda rows: matches(definition, rows)
    kind = "session" if task.spec.kind is TableKind.SESSIONS else "pageview"
    return lambda rows: pc.equal(rows.column("type"), kind)


def _table_output(
    unit: EventUnit,
    task: TableTask,
    batches: Sequence[pa.RecordBatch],
    users: UserMap,
    store: ObjectStore,
) -> TableOutput:
    if not batches:
        return TableOutput(task.key, (), (), 0, 0, {})
    rows = _resolve(pa.Table.from_batches(batches), users)
    order = first_copies(rows)
    projection = Projection(task.spec, rows, task.keep)
    custom = projection.custom
    width = len(task.spec.columns) + len(custom)
    step = max(1, min(GROUP_ROWS, GROUP_CELLS // width))
    writer = CopyWriter(store, unit.sync_id, task.spec.name, unit.number)
    schema = table_schema(task.spec, custom)
    for start in range(0, len(order), step):
        writer.write(projection.table(rows.take(pa.array(order[start : start + step])), schema))
    return TableOutput(
        task.key,
        custom,
        writer.finish(),
        len(order),
        rows.num_rows - len(order),
        projection.cut,
        projection.used,
    )


def _resolve(rows: pa.Table, users: UserMap) -> pa.Table:
    """The same rows under the ids that users have now."""
    ids = users.resolve(rows.column("user_id").to_numpy())
    place = rows.schema.get_field_index("user_id")
    return rows.set_column(place, rows.schema.field(place), pa.array(ids))


def first_copies(rows: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Indices of the rows that stand, by time: of copies of one event the earliest.

    Copies have equal ``user_id`` and ``event_id``; of equal times the smallest partition and offset
    stands, so the choice does not depend on how the rows are ordered or split.
    """
    user, event, partition, offset = (
        rows.column(name).to_numpy() for name in ("user_id", "event_id", "_partition", "_offset")
    )
    time = rows.column("time").cast(pa.int64()).to_numpy()
    order = np.lexsort((offset, partition, time, event, user))
    user, event = user[order], event[order]
    first = np.ones(len(order), bool)
    first[1:] = (user[1:] != user[:-1]) | (event[1:] != event[:-1])
    kept = order[first]
    return kept[np.lexsort((event[first], user[first], time[kept]))]
