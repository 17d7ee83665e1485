"""User merges folded into one map from every id to the id that it is now known by.

The result is a function of the **set** of merges alone, never of their order or of repeats:

* Merges are edges; ids that hang together are one person. ``from == to`` says nothing.
* The root of a set is the id that never migrated away; of several, or where a cycle leaves none, the
  smallest.
* Every other id of the set maps to the root, so chains are collapsed and cycles do no harm.
* An id's time is the latest time at which it migrated away; an id that never did (a second id that
  others were merged into) takes the latest time at which others were merged into it. A time of 0 or
  None is unknown, and null where nothing else is known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loader.model.control import UserMigration
from loader.model.events import TIME

Ids = npt.NDArray[np.int64]

_UNKNOWN: Final = np.iinfo(np.int64).min

ROWS_SCHEMA: Final = pa.schema(
    [
        pa.field("from_user_id", pa.int64(), nullable=False),
        pa.field("to_user_id", pa.int64(), nullable=False),
        pa.field("time", TIME),
    ]
)


#: One merge: what was known as ``from_user_id`` is ``to_user_id`` from now on.
Migration = UserMigration


class UserMap:
    """Who each user id is now. Immutable; made by `fold`, `of_arrays` or `empty`."""

    def __init__(self, ids: Ids, roots: Ids, times: Ids, merged: Ids) -> None:
        # Ascending by id; roots are members too and map to themselves.
        moved = ids != roots
        self._ids, self._roots, self._times = ids[moved], roots[moved], times[moved]
        order = np.argsort(self._roots, kind="stable")
        self._by_root, self._by_root_roots = self._ids[order], self._roots[order]
        self._root_ids, self._root_times = ids[~moved], merged[~moved]

    @classmethod
    def empty(cls) -> UserMap:
        """No merges: everybody is who they are."""
        none = np.empty(0, np.int64)
        return cls(none, none, none, none)

    @classmethod
    def fold(cls, migrations: Iterable[Migration]) -> UserMap:
        """The map after ``migrations``, in any order, with any repeats."""
        listed = migrations if isinstance(migrations, list) else list(migrations)
        count = len(listed)
        from_ids = np.fromiter((m.from_user_id for m in listed), np.int64, count)
        to_ids = np.fromiter((m.to_user_id for m in listed), np.int64, count)
        times = np.fromiter((m.time_us or 0 for m in listed), np.int64, count)
        return cls.of_arrays(from_ids, to_ids, times)

    @classmethod
    def of_arrays(cls, from_ids: Ids, to_ids: Ids, times: Ids) -> UserMap:
        """`fold` over columns: int64 arrays of one length, times in microseconds, 0 for unknown."""
        real = from_ids != to_ids
        from_ids, to_ids = from_ids[real], to_ids[real]
        known = np.where(times[real] == 0, _UNKNOWN, times[real])
        ids, places = np.unique(np.concatenate([from_ids, to_ids]), return_inverse=True)
        left, right = places[: len(from_ids)], places[len(from_ids) :]
        labels = _components(len(ids), left, right)

        leaves = np.zeros(len(ids), bool)
        leaves[left] = True
        # The smallest id that never left, else the smallest: ids ascend, so the place is the rank.
        rank = np.arange(len(ids)) + np.where(leaves, len(ids), 0)
        best = np.full(len(ids), np.iinfo(np.int64).max)
        np.minimum.at(best, labels, rank)
        roots = ids[best[labels] % len(ids)] if len(ids) else ids

        away = np.full(len(ids), _UNKNOWN)
        np.maximum.at(away, left, known)
        into = np.full(len(ids), _UNKNOWN)
        np.maximum.at(into, right, known)
        merged = np.full(len(ids), _UNKNOWN)
        np.maximum.at(merged, labels[left], known)
        return cls(ids, roots, np.where(leaves, away, into), merged[labels])

    def __len__(self) -> int:
        """How many ids stand for another one: the rows of ``user_migrations``."""
        return len(self._ids)

    def resolve(self, ids: Ids) -> Ids:
        """The present id of each of ``ids``: int64, same shape; unmerged ids stand for themselves."""
        if not len(self._ids):
            return ids
        places = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        return np.where(self._ids[places] == ids, self._roots[places], ids)

    def rows(self) -> pa.Table:
        """The table ``user_migrations`` (`ROWS_SCHEMA`), ascending by ``from_user_id``.

        ``from_user_id`` is unique and never a ``to_user_id``.
        """
        return pa.table(
            [pa.array(self._ids), pa.array(self._roots), _timestamps(self._times)],
            schema=ROWS_SCHEMA,
        )

    def members(self, root: int) -> Ids:
        """Every id that ``root`` stands for, itself included, ascending.

        An id without merges has itself alone; ask with a resolved id.
        """
        first, last = np.searchsorted(self._by_root_roots, [root, root + 1])
        return np.sort(np.append(self._by_root[first:last], np.int64(root)))

    def merge_time(self, root: int) -> int | None:
        """The latest known time of any merge in the set of ``root``, microseconds; else None."""
        place = int(np.searchsorted(self._root_ids, root))
        if place == len(self._root_ids) or self._root_ids[place] != root:
            return None
        time = int(self._root_times[place])
        return None if time == _UNKNOWN else time

    def merge_times(self) -> pa.Table:
        """`merge_time` of every root: columns ``user_id`` (ascending) and ``time``."""
        return pa.table({"user_id": self._root_ids, "time": _timestamps(self._root_times)})

    @property
    def version(self) -> str:
        """SHA-256 (hex) of the mapping alone: equal where every id resolves alike."""
        return hashlib.sha256(_bytes(self._ids) + _bytes(self._roots)).hexdigest()

    @property
    def rows_version(self) -> str:
        """SHA-256 (hex) of mapping and times: equal where `rows` and `merge_times` are equal."""
        parts = (self._ids, self._roots, self._times, self._root_ids, self._root_times)
        return hashlib.sha256(b"".join(map(_bytes, parts))).hexdigest()


def _components(count: int, left: Ids, right: Ids) -> Ids:
    """For each of ``count`` nodes the smallest node it hangs together with.

    Min-label propagation over the labels themselves with pointer jumping (Shiloach and Vishkin: An
    O(log n) parallel connectivity algorithm, 1982): whole arrays a round, a handful of rounds.
    """
    labels = np.arange(count)
    while len(left):
        low, high = np.minimum(labels[left], labels[right]), np.maximum(labels[left], labels[right])
        apart = low != high
        if not apart.any():
            break
        left, right, low, high = left[apart], right[apart], low[apart], high[apart]
        np.minimum.at(labels, high, low)
        while not np.array_equal(jumped := labels[labels], labels):
            labels = jumped
    return labels


def _timestamps(times: Ids) -> pa.Array:
    return pa.array(times.astype("datetime64[us]"), TIME, mask=times == _UNKNOWN)


def _bytes(values: Ids) -> bytes:
    return values.astype("<i8").tobytes()
