"""Random rows with everything that is awkward in them, the same for the same seed."""

from __future__ import annotations

import random
from typing import Any

from tests.support.truth import Row

START = 1_767_225_600_000_000
TYPES = ("session", "pageview", "pageview", "click", "custom")
PROPERTY_VALUES: tuple[Any, ...] = (
    "pro",
    "team",
    "",
    'with "quotes" and \\ and é',
    5,
    1.5,
    True,
    None,
    [1, "two"],
    {"a": 1, "b": {"c": "deep"}},
    {},
    "ß" * 700,
)
PROPERTY_NAMES = ("plan", "Plan", "createdAt", "user_id", "prefs", "App Type?", "oid", "path")


def properties(rng: random.Random) -> dict[str, Any] | None:
    """Some properties, or none at all."""
    if rng.random() < 0.3:
        return None
    names = rng.sample(PROPERTY_NAMES, rng.randrange(4))
    return {name: rng.choice(PROPERTY_VALUES) for name in names}


def event(rng: random.Random, number: int, users: int) -> Row:
    """One event; equal numbers are copies of one event."""
    row: Row = {
        "event_id": number,
        "user_id": 1 + rng.randrange(users),
        "session_id": rng.randrange(50),
        "time": START + rng.randrange(2 * 86_400_000_000),
        "type": rng.choice(TYPES),
        "library": "web",
        "referrer": rng.choice((None, "direct", "https://example.org/")),
        "path": rng.choice(("/", "/pricing", "/" + "x" * 3000)),
        "title": rng.choice((None, "Ünïcode ☃ " * 80)),
        "name": rng.choice((None, "Bought")),
        "target_text": rng.choice((None, "Sign up")),
        "properties": properties(rng),
        "session_properties": properties(rng),
        "extra": rng.choice((None, {}, {"session_time": START})),
    }
    return row


def events(rng: random.Random, count: int, users: int, copies: float = 0.1) -> list[Row]:
    """``count`` events of which some come again, now and then with another time."""
    rows: list[Row] = []
    for number in range(count):
        row = event(rng, rng.randrange(1 << 40) * 1000 + number % 1000, users)
        rows.append(row)
        if rng.random() < copies:
            rows.append(row | {"time": row["time"] + rng.choice((0, 0, -5, 7))})
    rng.shuffle(rows)
    return rows


def updates(rng: random.Random, count: int, users: int) -> list[Row]:
    """User updates, out of order and with clears."""
    rows: list[Row] = []
    for _ in range(count):
        email = rng.choice((None, "a@example.org", "b@example.org"))
        rows.append(
            {
                "user_id": 1 + rng.randrange(users),
                "time": START + rng.randrange(1000) * 1_000_000,
                "identity": rng.choice((None, None, f"id-{rng.randrange(9)}")),
                "email": email,
                "cleared": rng.choice((None, [], ["email"] if email is None else [], ["handle"])),
                "properties": properties(rng),
            }
        )
    return rows
