"""The table ``users``: everything written about anybody, replayed in order of its time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from loader.local.oracle.identity import Identities
from loader.local.oracle.values import custom_columns, cut
from loader.model.tables import CUSTOM_BYTES, USERS

_TEXTS: Final = ("identity", "handle", "email")
_LIMITS: Final = {column.name: column.length for column in USERS.columns}
_BUILT_IN: Final = frozenset(USERS.column_names)


def users(
    identities: Identities, seen: Mapping[int, int], updates: Iterable[Mapping[str, Any]]
) -> dict[int, dict[str, Any]]:
    """Rows by resolved user; times in microseconds.

    Per property the write with the latest time stands, of equal ones the one that came later in
    Kafka. A null clears, and is a write like any other.

    Args:
        identities: who is who.
        seen: earliest event of each raw user id.
        updates: user updates in Kafka's order, rows of ``USER_UPDATE_COLUMNS`` with ``time`` in
            microseconds.
    """
    ordered = sorted(updates, key=lambda update: update["time"])  # stable: ties stay in order
    joined: dict[int, int] = {}
    for user, time in [*seen.items(), *((u["user_id"], u["time"]) for u in ordered)]:
        root = identities.resolve(user)
        joined[root] = min(time, joined.get(root, time))
    texts: dict[int, dict[str, str | None]] = {}
    properties: dict[int, dict[str, str | None]] = {}
    modified: dict[int, int] = {
        root: at for root, at in identities.merged.items() if root in joined
    }
    for update in ordered:
        root = identities.resolve(update["user_id"])
        written = {name: update[name] for name in _TEXTS if update[name] is not None}
        written |= dict.fromkeys(update["cleared"] or ())
        custom = dict(update["properties"] or ())
        if written or custom:
            texts.setdefault(root, {}).update(written)
            properties.setdefault(root, {}).update(custom)
            modified[root] = max(update["time"], modified.get(root, update["time"]))
    return {
        root: {
            "user_id": root,
            **{name: cut(texts.get(root, {}).get(name), _LIMITS[name]) for name in _TEXTS},
            "joindate": time,
            "last_modified": modified.get(root),
            **custom_columns([properties.get(root, {}).items()], _BUILT_IN, CUSTOM_BYTES),
        }
        for root, time in joined.items()
    }
