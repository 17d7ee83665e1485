from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from loader.errors import NeedsOperator
from loader.warehouse.credentials import CopyAuthorization
from loader.warehouse.errors import StatementRefused
from loader.warehouse.handle import Warehouse
from loader.warehouse.maintenance import Done, Health, Step, maintain, steps
from loader.warehouse.session import Answer
from loader.warehouse.sql import Statement
from loader.warehouse.system import TableHealth


def test_only_what_needs_it_is_done_and_room_goes_first() -> None:
    found = steps(
        [
            Health("good", 10, 1000, 960, 4.9, 50.0, 9.9),
            Health("silent", 10, 1000),
            # Inserted in the order of its time: unsorted by the count, and in order all the same.
            Health("in order", 10, 1000, 1000, 80.0, 0.0, 0.0),
            Health("bad", 10, 1000, 900, 20.0, 3.0, 30.0),
        ]
    )
    assert found == [
        Step("bad", "vacuum delete", "10.0 % of rows deleted"),
        Step("bad", "vacuum sort", "20.0 % unsorted"),
        Step("bad", "analyze", "statistics 30.0 % off"),
    ]
    assert [step.statement("s").render().text for step in found] == [
        'VACUUM DELETE ONLY "s"."bad"',
        'VACUUM SORT ONLY "s"."bad"',
        'ANALYZE "s"."bad"',
    ]


class Server:
    """A cluster that lets the user do some things."""

    def __init__(self, refuses: str) -> None:
        self.refuses = refuses
        self.sent: list[str] = []

    def execute(self, statement: Statement) -> Answer:
        text = statement.render().text
        if isinstance(statement, TableHealth):
            if self.refuses == "svv_table_info":
                raise StatementRefused("permission denied", sqlstate="42501")
            if self.refuses == "everything":
                raise NeedsOperator("the catalog is damaged")
            rows: tuple[tuple[Any, ...], ...] = tuple(
                (name, 1, 100, 50, 50, 50, 50) for name in ("a", "theirs")
            )
            return Answer(rows)
        if self.refuses and text.startswith(self.refuses):
            raise StatementRefused("permission denied: a", sqlstate="42501")
        self.sent.append(text)
        return Answer()

    def close(self) -> None:
        pass


def run(server: Server, window: Iterator[bool] | None = None) -> list[Done]:
    warehouse = Warehouse(
        lambda: server, "s", CopyAuthorization("default"), lambda: datetime.now(UTC)
    )
    return maintain(
        warehouse, lambda: ["a"], "heap", (lambda: next(window)) if window else lambda: True
    )


def test_nobody_elses_table_is_touched() -> None:
    server = Server("")
    assert [done.outcome for done in run(server)] == ["done"] * 3
    assert all('"a"' in text for text in server.sent)


def test_what_is_not_allowed_is_told_and_the_rest_done() -> None:
    done = run(Server("VACUUM SORT"))
    assert [d.outcome for d in done] == ["done", "permission denied: a", "done"]


def test_without_the_servers_own_figures_nothing_is_done_and_the_grant_is_named() -> None:
    server = Server("svv_table_info")
    (done,) = run(server)
    assert "GRANT SELECT ON svv_table_info TO heap;" in done.outcome
    assert server.sent == []


def test_a_server_that_tells_nothing_ends_no_sync() -> None:
    """The tables are loaded by then: whatever goes wrong is told, and nothing else."""
    server = Server("everything")
    (done,) = run(server)
    assert (done.what, done.outcome) == ("nothing", "the catalog is damaged")
    assert server.sent == []


@pytest.mark.parametrize("opens", [[False], [True, True, False, False]])
def test_no_step_begins_when_the_window_has_closed(opens: list[bool]) -> None:
    server = Server("")
    run(server, iter(opens))
    assert len(server.sent) == max(0, opens.count(True) - 1)
