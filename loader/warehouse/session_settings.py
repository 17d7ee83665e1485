"""What every session of ours is told first: its label, its time limit, its share of the queue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from loader import config
from loader.warehouse.sql import Rendered, SetQueryGroup, Statement, plain


@dataclass(frozen=True, slots=True)
class SetStatementTimeout:
    """Ends statements that run longer; 0 for no limit."""

    milliseconds: int

    def render(self) -> Rendered:
        """See :class:`~loader.warehouse.sql.Statement`."""
        return plain(f"SET statement_timeout TO {int(self.milliseconds)}")


@dataclass(frozen=True, slots=True)
class SetQuerySlots:
    """Slots of its queue that a query takes, where WLM is manual: 1 to 50."""

    slots: int

    def render(self) -> Rendered:
        """See :class:`~loader.warehouse.sql.Statement`."""
        return plain(f"SET wlm_query_slot_count TO {int(self.slots)}")


def session_settings(settings: config.Warehouse) -> Iterator[Statement]:
    """The statements that make a new session ours."""
    yield SetQueryGroup(settings.query_group)
    if settings.statement_timeout is not None:
        yield SetStatementTimeout(max(1, round(settings.statement_timeout * 1000)))
    if settings.query_slots != 1:
        yield SetQuerySlots(settings.query_slots)
