"""Maintenance: which tables want a VACUUM or an ANALYZE, and running it.

Only what ``svv_table_info`` says is done, one step at a time, outside transactions. Tables are never
made anew for it, so grants, views and readers are none the wiser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from loader.errors import LoaderError
from loader.logs import log
from loader.warehouse.errors import StatementRefused
from loader.warehouse.handle import Warehouse
from loader.warehouse.sql import Statement, Table
from loader.warehouse.system import Analyze, TableHealth, Vacuum, VacuumMode

#: AWS docs: VACUUM takes a table for sorted, and for free of deleted rows, from 95 percent on.
UNSORTED_PERCENT: Final = 5.0
DELETED_PERCENT: Final = 5.0
#: AWS docs: ANALYZE skips a table of which less than 10 percent has changed.
STATISTICS_PERCENT: Final = 10.0
#: ``svv_table_info`` may be read only by whom a superuser lets.
NO_HEALTH: Final = (
    "svv_table_info cannot be read, so no table's need is known: "
    "GRANT SELECT ON svv_table_info TO {user};"
)


@dataclass(frozen=True, slots=True)
class Health:
    """One table as ``svv_table_info`` has it; None where it says nothing.

    Attributes:
        table: its name.
        megabytes: its size.
        rows: rows on disk, deleted ones included.
        visible: rows that a query sees.
        unsorted: percent of rows outside the sorted region.
        benefit: percent by which scans would gain from sorting them. What is inserted in the order of
            its time lies outside the region too, and gains nothing.
        stale: percent by which its statistics are off.
    """

    table: str
    megabytes: int = 0
    rows: int = 0
    visible: int | None = None
    unsorted: float | None = None
    benefit: float | None = None
    stale: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do to one table, and why.

    Attributes:
        table: its name.
        what: ``vacuum delete``, ``vacuum sort`` or ``analyze``.
        why: with the figure.
    """

    table: str
    what: str
    why: str

    def statement(self, schema: str) -> Statement:
        """What does it."""
        table = Table(self.table, schema)
        match self.what:
            case "vacuum delete":
                return Vacuum(VacuumMode.DELETE, table)
            case "vacuum sort":
                return Vacuum(VacuumMode.SORT, table)
        return Analyze(table)


@dataclass(frozen=True, slots=True)
class Done:
    """A step and what came of it: ``done``, or what the server said."""

    table: str
    what: str
    why: str
    outcome: str

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"table": self.table, "step": self.what, "why": self.why, "outcome": self.outcome}


def read_health(warehouse: Warehouse) -> dict[str, Health] | None:
    """Every table that the server counts, by name; None where the user may not see them."""
    try:
        rows = warehouse.run(lambda session: session.execute(TableHealth(warehouse.schema))).rows
    except StatementRefused:
        return None
    return {
        str(name): Health(
            str(name),
            int(size or 0),
            int(total or 0),
            _whole(visible),
            _share(unsorted),
            _share(benefit),
            _share(stale),
        )
        for name, size, total, visible, unsorted, benefit, stale in rows
    }


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _share(value: Any) -> float | None:
    return None if value is None else float(value)


def steps(health: Iterable[Health]) -> list[Step]:
    """What is to be done: room first, then order, then what the planner knows of both."""
    wanted: list[Step] = []
    for table in health:
        deleted = 0.0
        if table.visible is not None and table.rows:
            deleted = 100.0 * (table.rows - table.visible) / table.rows
        if deleted > DELETED_PERCENT:
            wanted.append(Step(table.table, "vacuum delete", f"{deleted:.1f} % of rows deleted"))
        if (table.unsorted or 0) > UNSORTED_PERCENT and (
            table.benefit is None or table.benefit > 0
        ):
            wanted.append(Step(table.table, "vacuum sort", f"{table.unsorted:.1f} % unsorted"))
        if table.stale is not None and table.stale > STATISTICS_PERCENT:
            wanted.append(Step(table.table, "analyze", f"statistics {table.stale:.1f} % off"))
    return wanted


def maintain(
    warehouse: Warehouse, ours: Callable[[], Iterable[str]], user: str, open_: Callable[[], bool]
) -> list[Done]:
    """Do what the tables want, as long as the window is open.

    A step that the server refuses (no right, another VACUUM is running), or that it does not answer, is
    told, and the next one is tried: maintenance never fails a sync, whose tables are loaded by then.

    Args:
        warehouse: the schema.
        ours: asks for the tables that may be touched.
        user: the loader's user, for what to grant.
        open_: whether another step may begin.
    """
    if not open_():
        return []
    try:
        chosen = set(ours())
        health = read_health(warehouse)
    except LoaderError as error:
        return [Done("", "nothing", "not known", error.message)]
    if health is None:
        return [Done("", "nothing", "not known", NO_HEALTH.format(user=user))]
    done: list[Done] = []
    for step in steps(table for table in health.values() if table.table in chosen):
        if not open_():
            done.append(Done(step.table, step.what, step.why, "left: the window has closed"))
            continue
        done.append(Done(step.table, step.what, step.why, _run(warehouse, step)))
        log.info("table.maintained", table=step.table, step=step.what, outcome=done[-1].outcome)
    return done


def _run(warehouse: Warehouse, step: Step) -> str:
    try:
        warehouse.run(lambda session: session.execute(step.statement(warehouse.schema)))
    except LoaderError as error:
        return error.message
    return "done"
