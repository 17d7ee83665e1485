"""Who is who, by the rule of the contract and nothing cleverer: union-find over the merges.

A merge of an id into itself says nothing. The root of a merged set is the id that never migrated
away; of several, or where a cycle leaves none, the smallest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Merge:
    """One user migration; ``time`` in microseconds, 0 where nobody knows."""

    from_user_id: int
    to_user_id: int
    time: int


class Identities:
    """All merges, resolved."""

    def __init__(self, merges: Iterable[Merge]) -> None:
        real = [merge for merge in merges if merge.from_user_id != merge.to_user_id]
        self._parent: dict[int, int] = {}
        for merge in real:
            one, other = self._find(merge.from_user_id), self._find(merge.to_user_id)
            self._parent[max(one, other)] = min(one, other)
        left = {merge.from_user_id for merge in real}
        sets: dict[int, list[int]] = {}
        for user in list(self._parent):
            sets.setdefault(self._find(user), []).append(user)
        #: Present id of every id that was ever part of a merge.
        self.root: dict[int, int] = {}
        for members in sets.values():
            stayed = [user for user in members if user not in left]
            self.root |= dict.fromkeys(members, min(stayed or members))
        self._away: dict[int, int] = {}
        self._into: dict[int, int] = {}
        #: Latest known merge of each set, by root; unknown times are left out.
        self.merged: dict[int, int] = {}
        for merge in real:
            if merge.time:
                _keep_latest(self._away, merge.from_user_id, merge.time)
                _keep_latest(self._into, merge.to_user_id, merge.time)
                _keep_latest(self.merged, self.root[merge.from_user_id], merge.time)
        self._left = left

    def resolve(self, user: int) -> int:
        """The id that ``user`` is known by now."""
        return self.root.get(user, user)

    def rows(self) -> list[tuple[int, int, int | None]]:
        """``user_migrations``: from, to, time (None where unknown), ascending by from.

        An id's time is the latest at which it migrated away. A further id that never did (several
        ids of one set stayed) takes the latest at which another one was merged into it.
        """
        return [
            (user, root, (self._away if user in self._left else self._into).get(user))
            for user, root in sorted(self.root.items())
            if user != root
        ]

    def _find(self, user: int) -> int:
        parent = self._parent
        parent.setdefault(user, user)
        while parent[user] != user:
            parent[user] = parent[parent[user]]
            user = parent[user]
        return user


def _keep_latest(times: dict[int, int], key: int, time: int) -> None:
    times[key] = max(time, times.get(key, time))
