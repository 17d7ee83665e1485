"""``users`` as a fold: of every raw user id the first sighting and the latest write of each property.

The state is kept by *raw* id, before merges, so a merge can be applied to it at any time and none
is ever baked in. A write wins by its time, then by partition and offset, so the order in which
messages arrive or are batched decides nothing: an old update that comes late changes nothing.

A state is a table of :data:`STATE_SCHEMA`, one row per user and thing known, ascending by user,
kind and name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loader.model.events import TIME, USER_UPDATE_TEXT_FIELDS
from loader.model.migrations import UserMap

Ids = npt.NDArray[np.int64]

#: Kinds of rows: a sighting has no name and no value; a field's value is plain text, a property's
#: JSON. A null value was cleared.
SEEN: Final = 0
FIELD: Final = 1
PROPERTY: Final = 2

#: New rows that are worth a merge into the state.
_MERGE_ROWS: Final = 100_000

STATE_SCHEMA: Final = pa.schema(
    [
        pa.field("user_id", pa.int64(), nullable=False),
        pa.field("kind", pa.int8(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("value", pa.string()),
        pa.field("time", TIME, nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
    ]
)


def sightings(rows: pa.Table) -> pa.Table:
    """The first time at which each user of ``rows`` (``user_id``, ``time``) was seen, as state."""
    seen = rows.select(["user_id", "time"]).group_by("user_id").aggregate([("time", "min")])
    return _state(seen.column("user_id"), SEEN, None, None, seen.column("time_min"), None, None)


def writes(updates: pa.Table) -> pa.Table:
    """What user updates say, as state: one row a property written or cleared, and the sighting.

    Args:
        updates: raw rows of the user updates, with ``_partition`` and ``_offset``.
    """
    parts = [sightings(updates)]
    for name in USER_UPDATE_TEXT_FIELDS:
        parts.append(_pick(updates, FIELD, name, name, pc.is_valid(updates.column(name))))
        cleared = _listed(updates.column("cleared"), name)
        parts.append(_pick(updates, FIELD, name, None, cleared))
    parts += map(_properties, updates.to_batches())
    return pa.concat_tables(parts)


def _pick(rows: pa.Table, kind: int, name: str, value: str | None, mask: pa.Array) -> pa.Table:
    some = rows.filter(mask)
    values = None if value is None else some.column(value)
    names = pa.array([name]).take(pa.array(np.zeros(some.num_rows, np.int64)))
    return _state(
        some.column("user_id"),
        kind,
        names,
        values,
        some.column("time"),
        some.column("_partition"),
        some.column("_offset"),
    )


def _listed(lists: pa.ChunkedArray, name: str) -> pa.Array:
    """Which of the lists hold ``name``."""
    found = np.zeros(len(lists), bool)
    whole = lists.combine_chunks()
    hits = pc.equal(pc.list_flatten(whole), name).to_numpy(zero_copy_only=False)
    found[pc.list_parent_indices(whole).to_numpy()[hits]] = True
    return pa.array(found)


def _properties(batch: pa.RecordBatch) -> pa.Table:
    column = batch.column("properties")
    offsets = column.offsets.to_numpy()
    lengths = np.diff(offsets)
    if column.null_count:
        # A null map holds nothing, whatever its offsets say.
        lengths = np.where(column.is_valid().to_numpy(zero_copy_only=False), lengths, 0)
    parents = np.repeat(np.arange(len(column)), lengths)
    starts = np.repeat(offsets[:-1] - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
    places = pa.array(np.arange(len(parents)) + starts)
    source = pa.array(parents)
    values = column.items.take(places)
    values = pc.if_else(pc.equal(values, "null"), pa.scalar(None, pa.string()), values)
    return _state(
        batch.column("user_id").take(source),
        PROPERTY,
        column.keys.take(places),
        values,
        batch.column("time").take(source),
        batch.column("_partition").take(source),
        batch.column("_offset").take(source),
    )


def _state(
    users: pa.Array,
    kind: int,
    names: pa.Array | None,
    values: pa.Array | None,
    times: pa.Array,
    partitions: pa.Array | None,
    offsets: pa.Array | None,
) -> pa.Table:
    count = len(users)
    zeros = np.zeros(count, np.int64)
    return pa.table(
        [
            users,
            pa.array(np.full(count, kind, np.int8)),
            pa.array([""]).take(pa.array(zeros)) if names is None else names,
            pa.nulls(count, pa.string()) if values is None else values,
            times,
            pa.array(zeros.astype(np.int32)) if partitions is None else partitions,
            pa.array(zeros) if offsets is None else offsets,
        ],
        schema=STATE_SCHEMA,
    )


def fold(state: pa.Table, news: Iterable[pa.Table]) -> tuple[pa.Table, Ids]:
    """The state after ``news``, and the ids of the users that it changed (ascending, distinct)."""
    changed: list[Ids] = [np.empty(0, np.int64)]
    pending: list[pa.Table] = []
    waiting = 0
    for part in news:
        pending.append(part)
        waiting += part.num_rows
        # Each merge sorts the whole state, so it waits for enough that is new.
        if waiting >= max(state.num_rows, _MERGE_ROWS):
            state, users = _merge(state, pending)
            changed.append(users)
            pending, waiting = [], 0
    if waiting:
        state, users = _merge(state, pending)
        changed.append(users)
    return state, np.unique(np.concatenate(changed))


def _merge(state: pa.Table, news: list[pa.Table]) -> tuple[pa.Table, Ids]:
    """The state with new rows brought in, and the users of those that stand."""
    both = pa.concat_tables([state, *news])
    users = both.column("user_id").to_numpy()
    kept = _standing(both, users)
    return both.take(pa.array(kept)).combine_chunks(), users[kept[kept >= state.num_rows]]


def _standing(rows: pa.Table, users: Ids) -> Ids:
    """Indices of the rows that stand, by user, kind and name: first sightings and latest writes."""
    kind = rows.column("kind").to_numpy()
    name = _ranks(rows.column("name"))
    time = rows.column("time").cast(pa.int64()).to_numpy()
    partition, offset = rows.column("partition").to_numpy(), rows.column("offset").to_numpy()
    # Of a sighting the smallest time stands, of a write the largest: turn the sightings around.
    sign = np.where(kind == SEEN, -1, 1)
    # Of equal rows the first one stands, so that repeating a row changes nothing.
    place = -np.arange(len(users))
    order = np.lexsort((place, offset, partition, time * sign, name, kind, users))
    users, kind, name = users[order], kind[order], name[order]
    last = np.ones(len(order), bool)
    last[:-1] = (users[1:] != users[:-1]) | (kind[1:] != kind[:-1]) | (name[1:] != name[:-1])
    return order[last]


def _ranks(names: pa.ChunkedArray) -> Ids:
    """For each name its place among the distinct names, ascending."""
    encoded = names.combine_chunks().dictionary_encode()
    distinct = encoded.dictionary
    rank = np.empty(len(distinct), np.int64)
    rank[pc.array_sort_indices(distinct).to_numpy()] = np.arange(len(distinct))
    ranks: Ids = rank[encoded.indices.to_numpy()]
    return ranks


@dataclass(frozen=True, slots=True)
class People:
    """Users after merges.

    Attributes:
        built_in: one row a user, ascending by ``user_id``: the columns of the table ``users``.
        rows: for each property value, its user's row.
        names: the property's name.
        values: its JSON text; never null.
    """

    built_in: pa.Table
    rows: Ids
    names: pa.Array
    values: pa.Array


def people(state: pa.Table, users: UserMap, merge_times: pa.Table) -> People:
    """The rows of ``users``: of all ids of a person the earliest sighting and the latest writes.

    Args:
        state: everything known of every id of these persons.
        users: who each id is now.
        merge_times: ``user_id`` and ``time`` of the latest merge of each root.
    """
    resolved = users.resolve(state.column("user_id").to_numpy())
    kept = _standing(state, resolved)
    state, resolved = state.take(pa.array(kept)).combine_chunks(), resolved[kept]
    ids, row = np.unique(resolved, return_inverse=True)
    kind = state.column("kind").to_numpy()
    time = state.column("time").cast(pa.int64()).to_numpy()
    columns = [pa.array(ids)]
    for name in USER_UPDATE_TEXT_FIELDS:
        named = pc.equal(state.column("name"), name).to_numpy()
        columns.append(_spread(state.column("value"), row, (kind == FIELD) & named, len(ids)))
    columns.append(_spread(state.column("time"), row, kind == SEEN, len(ids)))
    columns.append(_last_modified(ids, row, time, kind != SEEN, merge_times))
    mask = (kind == PROPERTY) & pc.is_valid(state.column("value")).to_numpy()
    written = state.filter(pa.array(mask))
    return People(
        pa.table(
            columns,
            names=["user_id", *USER_UPDATE_TEXT_FIELDS, "joindate", "last_modified"],
        ),
        row[mask],
        written.column("name").combine_chunks(),
        written.column("value").combine_chunks(),
    )


def _spread(values: pa.ChunkedArray, row: Ids, mask: npt.NDArray[np.bool_], count: int) -> pa.Array:
    """The masked values at their rows, null elsewhere; at most one a row."""
    source = np.full(count, -1, np.int64)
    source[row[mask]] = np.flatnonzero(mask)
    return values.combine_chunks().take(pa.array(source, mask=source < 0))


def _last_modified(
    ids: Ids, row: Ids, time: Ids, wrote: npt.NDArray[np.bool_], merge_times: pa.Table
) -> pa.Array:
    never = np.iinfo(np.int64).min
    latest = np.full(len(ids), never)
    np.maximum.at(latest, row[wrote], time[wrote])
    merged = merge_times.filter(pc.is_valid(merge_times.column("time")))
    roots = merged.column("user_id").to_numpy()
    place = np.searchsorted(ids, roots)
    here = place < len(ids)
    here[here] = ids[place[here]] == roots[here]
    moments = merged.column("time").cast(pa.int64()).to_numpy()
    np.maximum.at(latest, place[here], moments[here])
    return pa.array(latest, mask=latest == never).cast(TIME)
