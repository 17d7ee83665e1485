"""How large a cluster ought to be, by monthly pageviews, and what was measured on one of ours.

The tiers are Heap's own recommendation for Redshift (help.heap.io, Redshift integration: recommended
minimum cluster, and the tables that load reliably in under four hours), in nodes of dc2.large, which
can no longer be ordered. Today's nodes are what AWS recommends in their place (AWS docs: upgrading to
RA3 node types); Serverless by memory, 15 GiB a dc2.large and 16 GiB an RPU.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loader.errors import UsageError

#: A session has about so many pageviews, by the same source.
PAGEVIEWS_A_SESSION: Final = 10
DAYS_A_MONTH: Final = 30
HOURS: Final = 4

_DC2_GIB: Final = 15
_RPU_GIB: Final = 16
_RPU_STEP: Final = 8


@dataclass(frozen=True, slots=True)
class Tier:
    """One line of the recommendation.

    Attributes:
        below: monthly pageviews, not included.
        dc2: nodes of dc2.large.
        tables: tables that load in under four hours.
    """

    below: int
    dc2: int
    tables: int

    @property
    def ra3(self) -> str:
        """Today's nodes in place of so many dc2.large."""
        if self.dc2 <= 4:
            nodes = min(self.dc2, 3)
            return f"{nodes} x ra3.large"
        if self.dc2 < 16:
            return f"{max(2, math.ceil(self.dc2 * 3 / 8))} x ra3.xlplus"
        return f"{math.ceil(self.dc2 / 8)} x ra3.4xlarge"

    @property
    def rpu(self) -> int:
        """Base capacity of Redshift Serverless with as much memory, in steps of 8."""
        return math.ceil(self.dc2 * _DC2_GIB / _RPU_GIB / _RPU_STEP) * _RPU_STEP


TIERS: Final = (
    Tier(75_000_000, 4, 35),
    Tier(150_000_000, 8, 35),
    Tier(300_000_000, 32, 30),
    Tier(600_000_000, 64, 20),
)


def tier_of(pageviews: int) -> Tier | None:
    """The line for so many pageviews a month; None above the last one."""
    return next((tier for tier in TIERS if pageviews < tier.below), None)


@dataclass(frozen=True, slots=True)
class Measured:
    """Rows a second that were measured, and where it is written.

    Attributes:
        rows_per_second: greater than 0.
        source: the file and the place in it, or the schema.
    """

    rows_per_second: float
    source: str

    def minutes_a_day(self, pageviews: int) -> float:
        """Minutes that one table takes for a day's share of so many rows a month."""
        return pageviews / DAYS_A_MONTH / self.rows_per_second / 60


def read_figures(path: Path) -> tuple[Measured, ...]:
    """Every ``rows_per_second`` in a file that `./scripts/bench warehouse --out FILE` wrote.

    Raises:
        UsageError: the file cannot be read, is not JSON, or holds none.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}.") from None
    except ValueError:
        raise UsageError(f"{path} is not JSON.") from None
    found = tuple(
        Measured(value, f"{path}, {place}") for place, value in _walk(document, "") if value > 0
    )
    if not found:
        raise UsageError(
            f"{path} holds no rows_per_second.",
            hint="./scripts/bench warehouse --out FILE writes one.",
        )
    return found


def _walk(node: Any, place: str) -> Iterator[tuple[str, float]]:
    if isinstance(node, dict):
        value = node.get("rows_per_second")
        if isinstance(value, int | float):
            yield place or "whole", float(value)
        for key, inner in node.items():
            yield from _walk(inner, f"{place}.{key}" if place else str(key))
    elif isinstance(node, list):
        for number, inner in enumerate(node):
            yield from _walk(inner, f"{place}[{number}]")


def advice(pageviews: int, measured: tuple[Measured, ...] = ()) -> Iterator[str]:
    """What to tell somebody with so many pageviews a month, line by line."""
    tier = tier_of(pageviews)
    if tier is None:
        last = TIERS[-1]
        yield (
            f"{pageviews:,} pageviews a month are above what the recommendation covers "
            f"({last.below:,}): measure first."
        )
        tier = last
    yield (
        f"At least {tier.ra3} ({tier.dc2} x dc2.large once), or Serverless with a base of {tier.rpu} "
        f"RPU: {tier.tables} tables in under {HOURS} hours."
    )
    for one in measured:
        yield (
            f"Measured: {one.rows_per_second:,.0f} rows/s ({one.source}): a day of a table with so many "
            f"rows a month takes {one.minutes_a_day(pageviews):,.1f} minutes."
        )
