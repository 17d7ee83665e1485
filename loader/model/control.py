"""The messages that change what is already loaded: user merges and erasures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UserMigration:
    """``from_user_id`` turned out to be the same person as ``to_user_id``.

    Attributes:
        from_user_id: the id that gives way, 0 .. 2^63-1.
        to_user_id: the id that takes over, 0 .. 2^63-1.
        time_us: when, in microseconds since the epoch; None if the producer did not know (it sent 0).
    """

    from_user_id: int
    to_user_id: int
    time_us: int | None


@dataclass(frozen=True, slots=True)
class UserDeletion:
    """Everything about a user, and about every id merged into it, is to be erased.

    Attributes:
        user_id: 0 .. 2^63-1.
        time_us: when it was asked for, in microseconds since the epoch.
        request_id: the asker's own name for the request.
    """

    user_id: int
    time_us: int
    request_id: str
