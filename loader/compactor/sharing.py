"""Which tables of a sync share a transaction: commits queue up for the whole cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from loader.compactor.making import Made
from loader.model.plans import Action, TablePlan
from loader.warehouse.work import Work

#: Tables that share a transaction: so many, or so many staged rows, at most.
SHARED_TABLES: Final = 16
SHARED_ROWS: Final = 5_000_000


class Sharing:
    """Tables that are made and wait for the transaction that they share."""

    def __init__(self) -> None:
        self._batch: list[tuple[Made, Work]] = []

    def add(self, made: Made, work: Work) -> None:
        """One more."""
        self._batch.append((made, work))

    @property
    def full(self) -> bool:
        """Whether a further table would make the transaction too large."""
        rows = sum(work.rows for _, work in self._batch)
        return len(self._batch) >= SHARED_TABLES or rows >= SHARED_ROWS

    def holds_up(self, group: Sequence[TablePlan]) -> bool:
        """Whether what waits is due before ``group``, which is read from the beginning."""
        appended = any(work.plan.action is Action.APPEND for _, work in self._batch)
        return appended and any(plan.action is not Action.APPEND for plan in group)

    def take(self) -> list[tuple[Made, Work]]:
        """What waits; nothing does afterwards."""
        batch, self._batch = self._batch, []
        return batch
