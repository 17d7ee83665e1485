"""A user who may only SELECT reads a table all the while it is replaced, in each way there is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from loader.compactor.sync import Parts, run_sync
from loader.config import Settings
from loader.warehouse.connection import RedshiftSession, connect
from loader.warehouse.dml import DeleteAll, InsertFromStage
from loader.warehouse.session import Answer, Session
from loader.warehouse.sql import Commit, Statement
from loader.warehouse.system import Analyze, Vacuum
from tests.integration.sync.conftest import Query
from tests.support.faults import watched
from tests.support.labelled import click, definition
from tests.support.lake_writer import LakeWriter

Sql = Callable[[str], Answer]

#: Count and sum of ids under either definition.
BUY, SELL = (3, 6), (1, 4)


class Hammer:
    """Reads the table and a view bound to it, again and again, from a connection of its own.

    Attributes:
        answers: every answer: count and sum of ids.
        errors: every error.
    """

    def __init__(self, session: RedshiftSession, relations: tuple[str, ...]) -> None:
        self.answers: list[tuple[int, int]] = []
        self.errors: list[Exception] = []
        self._session = session
        self._relations = relations
        self._stop = threading.Event()
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            for relation in self._relations:
                text = f"SELECT COUNT(*), SUM(event_id) FROM {relation}"
                try:
                    rows = self._session.execute(Query(text)).rows
                except Exception as error:  # noqa: BLE001 - every error is one too many
                    self.errors.append(error)
                    return
                with self._more:
                    self.answers.append((int(rows[0][0]), int(rows[0][1] or 0)))
                    self._more.notify_all()

    def await_reads(self) -> None:
        """Come back when every relation was read once more, from start to end."""
        wanted = len(self.answers) + 2 * len(self._relations)
        with self._more:
            self._more.wait_for(lambda: len(self.answers) >= wanted or self.errors, 60)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)
        self._session.close()


class Slowed:
    """A session that lets the hammer read on before and after each statement that changes rows."""

    def __init__(self, session: Session, hammer: Hammer, met: list[str]) -> None:
        self._session, self._hammer, self._met = session, hammer, met

    def execute(self, statement: Statement) -> Answer:
        if not isinstance(statement, DeleteAll | InsertFromStage | Commit | Vacuum | Analyze):
            return self._session.execute(statement)
        self._met.append(type(statement).__name__)
        self._hammer.await_reads()
        answer = self._session.execute(statement)
        self._hammer.await_reads()
        return answer

    def close(self) -> None:
        self._session.close()


@contextmanager
def slowed(settings: Settings, hammer: Hammer) -> Iterator[tuple[Parts, list[str]]]:
    met: list[str] = []
    with watched(settings) as parts:
        opened = parts.connect
        yield Parts(parts.store, lambda: Slowed(opened(), hammer, met), parts.executor), met


def rights(sql: Sql, schema: str) -> tuple[Any, ...]:
    """All that hangs on the table: its identity, owner, grants, grants on columns, comment."""
    named = f"c.relname = 'cta' AND n.nspname = '{schema}'"
    joined = "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    return (
        sql(f"SELECT c.oid, c.relowner, c.relacl FROM {joined} WHERE {named}").rows,
        sql(
            f"SELECT a.attname, a.attacl FROM pg_attribute a JOIN {joined} ON a.attrelid = c.oid "
            f"WHERE {named} AND a.attacl IS NOT NULL"
        ).rows,
        sql(f"SELECT obj_description(c.oid, 'pg_class') FROM {joined} WHERE {named}").rows,
    )


@pytest.fixture
def granted(sql: Sql, settings: Settings) -> Iterator[Callable[[], Hammer]]:
    """Grants of every kind on ``cta`` and views over it; starts a reader who has no other right."""
    schema = settings.warehouse.db_schema
    views, reader, group, role = (f"{schema}_{part}" for part in ("v", "u", "g", "r"))

    def start() -> Hammer:
        for statement in (
            f"CREATE USER {reader} PASSWORD 'Passw0rd-of-a-reader'",
            f"CREATE GROUP {group}",
            f"CREATE ROLE {role}",
            f"GRANT USAGE ON SCHEMA {schema} TO {reader}",
            f"GRANT SELECT ON {schema}.cta TO {reader}",
            f"GRANT SELECT, INSERT ON {schema}.cta TO GROUP {group}",
            f"GRANT SELECT ON {schema}.cta TO ROLE {role}",
            f"GRANT SELECT (event_id, time) ON {schema}.cta TO GROUP {group}",
            f"COMMENT ON TABLE {schema}.cta IS 'clicks that count'",
            f"CREATE SCHEMA {views}",
            f"CREATE VIEW {views}.bound AS SELECT event_id FROM {schema}.cta",
            f"CREATE VIEW {views}.late AS SELECT event_id FROM {schema}.cta WITH NO SCHEMA BINDING",
            f"GRANT USAGE ON SCHEMA {views} TO {reader}",
            f"GRANT SELECT ON {views}.bound TO {reader}",
        ):
            sql(statement)
        session = connect(settings.warehouse)
        session.execute(Query(f"SET SESSION AUTHORIZATION {reader}"))
        return Hammer(session, (f"{schema}.cta", f"{views}.bound"))

    yield start
    sql(f"DROP SCHEMA {views} CASCADE")


def late(sql: Sql, schema: str) -> tuple[int, int]:
    """The same from a view that is bound to nothing."""
    rows = sql(f"SELECT COUNT(*), SUM(event_id) FROM {schema}_v.late").rows
    return int(rows[0][0]), int(rows[0][1])


def test_no_grant_is_lost_and_no_reader_sees_half_a_table(
    lake: LakeWriter, settings: Settings, sql: Sql, granted: Callable[[], Hammer]
) -> None:
    """The three cases in which the original loses grants, as its own documentation says."""
    schema = settings.warehouse.db_schema
    lake.events([click(n, "Sell" if n == 4 else "Buy") for n in (1, 2, 3, 4)])
    lake.definitions([definition(text="Buy")])
    run_sync(settings)
    hammer = granted()
    before = rights(sql, schema)
    try:
        with slowed(settings, hammer) as (parts, met):
            # Its definition changes.
            lake.definitions([definition(text="Sell")])
            run_sync(settings, parts=parts)
            assert met == ["DeleteAll", "InsertFromStage", "Commit"]
            assert rights(sql, schema) == before
            assert (hammer.errors, hammer.answers[-1]) == ([], SELL)
            assert late(sql, schema) == SELL
            # It is switched off and on again, and has changed meanwhile.
            lake.definitions([definition(text="Sell", sync={"enabled": False})])
            run_sync(settings, parts=parts)
            lake.definitions([definition(text="Buy")])
            run_sync(settings, parts=parts)
            assert rights(sql, schema) == before
            assert (hammer.errors, hammer.answers[-1]) == ([], BUY)
            # The weekly maintenance.
            met.clear()
            always = settings.sync.model_copy(update={"maintenance_window": "00:00-00:00"})
            report = run_sync(settings.model_copy(update={"sync": always}), parts=parts)
            assert {d.outcome for d in report.maintenance if d.table == "cta"} == {"done"}
            assert met
            assert rights(sql, schema) == before
            assert (hammer.errors, hammer.answers[-1], late(sql, schema)) == ([], BUY, BUY)
    finally:
        hammer.stop()
    assert hammer.errors == []
    assert set(hammer.answers) == {BUY, SELL}
