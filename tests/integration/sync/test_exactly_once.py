"""Connections that break, syncs that meet, statements that must never be sent."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loader.compactor.sync import run_sync
from loader.config import Settings
from loader.errors import NeedsOperator
from loader.model.plans import Action
from loader.warehouse.ddl import CreateTable
from loader.warehouse.dml import Copy, CopyCount, InsertFromStage
from loader.warehouse.session import Answer
from loader.warehouse.sql import Commit, InsertRow, Statement, UpdateRow
from tests.support import traffic
from tests.support.faults import Fault, Log, watched
from tests.support.lake_writer import LakeWriter
from tests.support.truth import Truth, comparable

Read = Callable[[str], list[dict[str, Any]]]
Sql = Callable[[str], Answer]


@pytest.fixture
def truth(lake: LakeWriter) -> Truth:
    """A lake with three batches, the second one written before the test's second sync."""
    truth = Truth()
    add(lake, truth, 10)
    return truth


def add(lake: LakeWriter, truth: Truth, seed: int) -> None:
    rng = random.Random(seed)
    rows = traffic.events(rng, 60, 6)
    first = lake.events(rows).first
    truth.events += [(0, first + n, row) for n, row in enumerate(rows)]
    changes = traffic.updates(rng, 20, 6)
    first = lake.updates(changes).first
    truth.updates += [(0, first + n, row) for n, row in enumerate(changes)]


def assert_tables(table: Read, truth: Truth) -> None:
    assert comparable(table("sessions")) == comparable(truth.sessions())
    assert comparable(table("pageviews")) == comparable(truth.pageviews())
    assert comparable(table("users")) == comparable(truth.users())


def infos(sql: Sql, settings: Settings) -> list[tuple[Any, ...]]:
    schema = settings.warehouse.db_schema
    return sorted(sql(f"SELECT event_table_name, inserted_row_count FROM {schema}.sync_info").rows)


def test_a_second_sync_changes_nothing(
    lake: LakeWriter, settings: Settings, table: Read, sql: Sql, truth: Truth
) -> None:
    run_sync(settings)
    before = infos(sql, settings)
    log = Log()
    with watched(settings, log) as parts:
        report = run_sync(settings, parts=parts)
    assert report.idle
    assert infos(sql, settings) == before
    assert [count for _, count in before] == [
        len(table(name)) for name in ("pageviews", "sessions", "users")
    ]
    written = [
        text for text in log.texts if re.match("INSERT|UPDATE|DELETE|COPY|CREATE|ALTER", text)
    ]
    assert [text.split(" (")[0].split(".")[-1] for text in written] == ['"_sync_history"']


def is_commit(statement: Statement) -> bool:
    return isinstance(statement, Commit)


def is_copy(statement: Statement) -> bool:
    return isinstance(statement, Copy)


def is_insert(statement: Statement) -> bool:
    return isinstance(statement, InsertFromStage)


def is_create(statement: Statement) -> bool:
    return isinstance(statement, CreateTable)


def is_claim(statement: Statement) -> bool:
    return isinstance(statement, UpdateRow) and "version" in statement.values


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_a_lost_commit_did_is_known(
    lake: LakeWriter,
    settings: Settings,
    control: Path,
    table: Read,
    sql: Sql,
    truth: Truth,
    when: str,
) -> None:
    """Of every other statement see ``tests/crash/test_every_statement.py``."""
    # The first commit is the schema's own.
    fault = Fault(is_commit, when, nth=2)
    with watched(settings, fault=fault, control=control) as parts:
        report = run_sync(settings, parts=parts)
    assert report.status == "succeeded"
    assert fault.fired
    # Committed or not, the one plan was carried out and its counts are known.
    for done in report.tables:
        assert (done.action, done.inserted) == (Action.INITIAL, len(table(done.table)))
    assert_tables(table, truth)
    # One line per table and sync, tried once or twice.
    assert [name for name, _ in infos(sql, settings)] == ["pageviews", "sessions", "users"]


def test_another_sync_in_between_is_noticed_and_planned_anew(
    lake: LakeWriter, settings: Settings, table: Read, truth: Truth
) -> None:
    run_sync(settings)
    add(lake, truth, 12)
    met: list[str] = []

    class Meeting:
        """Just before the first load claims its table, another run does all the work."""

        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def execute(self, statement: Statement) -> Answer:
            if is_claim(statement) and not met:
                met.append("met")
                assert run_sync(settings).status == "succeeded"
            answer: Answer = self.inner.execute(statement)
            return answer

        def close(self) -> None:
            self.inner.close()

    with watched(settings) as parts:
        connect = parts.connect
        report = run_sync(
            settings, parts=type(parts)(parts.store, lambda: Meeting(connect()), parts.executor)
        )
    assert met
    assert report.idle
    assert_tables(table, truth)


def test_every_copy_goes_by_manifest_and_hides_its_keys(
    lake: LakeWriter, settings: Settings, truth: Truth
) -> None:
    log = Log()
    lake.definitions([{"id": "c", "name": "C", "source": "custom", "event": "Bought"}])
    with watched(settings, log) as parts:
        run_sync(settings, parts=parts)
        add(lake, truth, 13)
        lake.merges([(1, 2, traffic.START)])
        run_sync(settings, parts=parts)
        add(lake, truth, 14)
        run_sync(settings, parts=parts)
    everything = "\n".join(log.texts)
    copies = [text for text in log.texts if text.startswith("COPY")]
    assert len(copies) >= 9
    for text in copies:
        assert re.fullmatch(
            r"COPY \"stage_[^ ]+\" \(\"[^)]+\"\) FROM 's3://[^']+\.json' ACCESS_KEY_ID '[^']+' "
            r"SECRET_ACCESS_KEY '\*\*\*' FORMAT AS PARQUET MANIFEST",
            text,
        )
    secret = settings.lake.secret_access_key
    assert secret is not None
    assert secret.get_secret_value() not in everything
    # Of everything else see ``tests/support/law.py``, which watches every test.


def test_a_count_that_does_not_add_up_changes_nothing(
    lake: LakeWriter, settings: Settings, table: Read, truth: Truth
) -> None:
    run_sync(settings)
    before = comparable(table("pageviews"))
    add(lake, truth, 15)

    class Miscounting:
        """COPY says that it loaded one row fewer."""

        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def execute(self, statement: Statement) -> Answer:
            answer: Answer = self.inner.execute(statement)
            if isinstance(statement, CopyCount):
                return Answer(((answer.rows[0][0] - 1,),), answer.count)
            return answer

        def close(self) -> None:
            self.inner.close()

    with watched(settings) as parts:
        connect = parts.connect
        miscounting = type(parts)(parts.store, lambda: Miscounting(connect()), parts.executor)
        with pytest.raises(NeedsOperator, match=r"COPY loaded \d+ rows"):
            run_sync(settings, parts=miscounting)
    assert comparable(table("pageviews")) == before
    run_sync(settings)
    assert_tables(table, truth)


def test_merges_alone_keep_what_is_known_of_arrivals(
    lake: LakeWriter, settings: Settings, table: Read, truth: Truth
) -> None:
    run_sync(settings)
    known = {row["table_name"]: row["synced_to_time"] for row in table("_sync_ledger")}
    lake.merges([(1, 2, traffic.START)])
    truth.merges = [(1, 2, traffic.START)]
    run_sync(settings)
    assert_tables(table, truth)
    assert {row["table_name"]: row["synced_to_time"] for row in table("_sync_ledger")} == known
    assert known["users"] is not None


def test_a_state_of_users_that_was_altered_stops_the_sync(
    lake: LakeWriter, settings: Settings, truth: Truth
) -> None:
    run_sync(settings)
    (key,) = (info.key for info in lake.store.scan("state/") if "bucket=00" in info.key)
    lake.store.put(key, lake.store.get(key) + b"x")
    add(lake, truth, 16)
    with pytest.raises(NeedsOperator, match="was altered") as caught:
        run_sync(settings)
    assert key in caught.value.message


def is_history(statement: Statement) -> bool:
    return isinstance(statement, InsertRow) and statement.table.name == "_sync_history"


@pytest.mark.parametrize("when", ["before", "after"])
def test_one_line_of_history_a_run(
    lake: LakeWriter, settings: Settings, control: Path, table: Read, truth: Truth, when: str
) -> None:
    fault = Fault(is_history, when)
    with watched(settings, fault=fault, control=control) as parts:
        run_sync(settings, parts=parts)
    assert fault.fired
    assert [row["status"] for row in table("_sync_history")] == ["succeeded"]
