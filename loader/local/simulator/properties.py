"""Open-ended properties: mixed types, several scripts, keys that need a column name.

Values keep to what both formats can say and every JSON reader prints alike: integers of 64 bits,
floats of two decimals. No two keys here fall on one column name.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from loader.local.simulator.content import LONG_TEXT
from loader.local.simulator.elements import CUSTOM
from loader.local.simulator.pool import Value

Row = dict[str, Value]

GENERIC: Final = 512
PURCHASES: Final = 2048
#: Rows of each custom event but the purchase.
PER_CUSTOM: Final = 128
SESSION_ROWS: Final = 256

PLANS: Final = ("pro", "team", "enterprise", "free")
_CITIES: Final = ("Köln", "São Paulo", "東京", "Łódź", 'the "Big" Apple', "N'Djamena")
_SKUS: Final = 5000


def event_rows(rng: np.random.Generator) -> list[Row | None]:
    """Event-level property maps.

    Row 0 is absent, row 1 empty, then ``GENERIC`` generic ones, ``PURCHASES`` for purchases and
    ``PER_CUSTOM`` for each further custom event.
    """
    rows: list[Row | None] = [None, {}]
    rows += [_generic(rng) for _ in range(GENERIC)]
    rows += [_purchase(rng) for _ in range(PURCHASES)]
    for custom in CUSTOM[1:]:
        rows += [_custom(rng, custom["name"]) for _ in range(PER_CUSTOM)]
    return rows


def session_rows(rng: np.random.Generator) -> list[Row | None]:
    """Session-level property maps; row 0 is absent."""
    rows: list[Row | None] = [None]
    for _ in range(SESSION_ROWS - 1):
        row: Row = {
            "ab_Test-7fQ": _pick(rng, ("control", "variant_b")),
            "cohort": f"2024-W{rng.integers(1, 53):02d}",
            "logged_in": bool(rng.random() < 0.4),
        }
        if rng.random() < 0.3:
            row["screen width"] = int(rng.choice((390, 1280, 1440, 1920)))
        if rng.random() < 0.1:
            row["referrer"] = "internal"  # named as a built-in column
        rows.append(row)
    return rows


def _pick(rng: np.random.Generator, values: tuple[str, ...]) -> str:
    return values[int(rng.integers(len(values)))]


def _generic(rng: np.random.Generator) -> Row:
    candidates: Row = {
        "plan": _pick(rng, PLANS),
        "createdAt": f"2024-0{rng.integers(1, 10)}-1{rng.integers(10)}",
        "item_count": int(rng.integers(0, 40)),
        "ratio": float(round(float(rng.random()), 2)),
        "beta": bool(rng.random() < 0.5),
        "cart value (€)": float(round(float(rng.gamma(2.0, 30.0)), 2)),
        "city": _pick(rng, _CITIES),  # named as a built-in column
        "Tate's": None,
        "big_number": (1 << 53) + 1 + int(rng.integers(1000)),
        "note": 'line\nbreak, "quotes", back\\slash' if rng.random() < 0.5 else "",
        "_leading": int(rng.integers(-5, 6)),
    }
    chosen = rng.random(len(candidates)) < 0.3
    row = {
        key: value for (key, value), keep in zip(candidates.items(), chosen, strict=True) if keep
    }
    if rng.random() < 0.004:
        row["comment"] = LONG_TEXT
    return row


def _purchase(rng: np.random.Generator) -> Row:
    row: Row = {
        "plan": _pick(rng, PLANS[:3]),
        "amount": float(round(float(rng.gamma(3.0, 40.0)), 2)),
        "currency": _pick(rng, ("USD", "EUR", "JPY")),
        "seats": int(rng.integers(1, 200)),
        "order_id": f"ord-{rng.integers(10**9):09d}",
        "first_purchase": bool(rng.random() < 0.3),
        "coupon": None if rng.random() < 0.7 else f"SAVE{rng.integers(5, 50)}%",
    }
    return row


def _custom(rng: np.random.Generator, name: str) -> Row:
    return {
        "label": name.lower(),
        "sku": f"SKU-{rng.integers(_SKUS):05d}",
        "duration_s": float(round(float(rng.exponential(60.0)), 2)),
        "results": int(rng.integers(0, 500)),
        "muted": bool(rng.random() < 0.2),
    }
