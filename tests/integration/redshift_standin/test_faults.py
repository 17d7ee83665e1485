"""Lost connections on purpose: what a client that dies leaves behind."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redshift_connector.error import InterfaceError

from tests.support.redshift_standin import Connect, Sql, in_thread

Rules = Callable[..., None]


@pytest.fixture
def rules(control_file: Path) -> Iterator[Rules]:
    def write(*given: dict[str, Any]) -> None:
        fresh = control_file.with_suffix(".new")
        fresh.write_text(json.dumps(given))
        fresh.replace(control_file)

    yield write
    control_file.unlink(missing_ok=True)


def lost(session: Sql, statement: str) -> None:
    with pytest.raises((InterfaceError, OSError)):
        session(statement)


def wait(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(("when", "rows"), [("before", 0), ("after", 1)])
def test_dropped_around_commit(
    connect: Connect, sql: Sql, schema: str, rules: Rules, when: str, rows: int
) -> None:
    sql(f"CREATE TABLE {schema}.t (a int)")
    session = Sql(connect(autocommit=False))
    session(f"INSERT INTO {schema}.t VALUES (1)")
    rules({"match": "^commit", "when": when, "action": "drop"})
    with pytest.raises((InterfaceError, OSError)):
        session.connection.commit()
    rules()
    assert sql.value(f"SELECT count(*) FROM {schema}.t") == rows


@pytest.mark.parametrize(("when", "rows"), [("before", 1), ("after", 2)])
def test_dropped_around_the_second_autocommit_insert(
    connect: Connect, sql: Sql, schema: str, rules: Rules, when: str, rows: int
) -> None:
    sql(f"CREATE TABLE {schema}.t (a int)")
    rules({"match": f"^INSERT INTO {schema}", "when": when, "nth": 2, "action": "drop"})
    session = Sql(connect())
    session(f"INSERT INTO {schema}.t VALUES (1)")
    lost(session, f"INSERT INTO {schema}.t VALUES (2)")
    assert sql.value(f"SELECT count(*) FROM {schema}.t") == rows


def test_a_client_that_dies_in_a_pause_leaves_nothing(
    connect: Connect, sql: Sql, schema: str, rules: Rules, tmp_path: Path
) -> None:
    sql(f"CREATE TABLE {schema}.t (a int)")
    marker, hold = tmp_path / "marker", tmp_path / "hold"
    hold.touch()
    rules({"match": "^commit", "when": "before", "action": "pause",
           "marker": str(marker), "until_gone": str(hold)})  # fmt: skip
    session = Sql(connect(autocommit=False))
    session(f"INSERT INTO {schema}.t VALUES (1)")
    thread, _ = in_thread(session.connection.commit)
    wait(marker.exists)
    session.connection._usock.shutdown(2)  # as the kernel does for a killed process
    thread.join()
    pid = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    wait(lambda: sql.value(pid) == 0)
    hold.unlink()
    assert sql.value(f"SELECT count(*) FROM {schema}.t") == 0


def test_a_pause_that_is_lifted_changes_nothing(
    connect: Connect, sql: Sql, schema: str, rules: Rules, tmp_path: Path
) -> None:
    sql(f"CREATE TABLE {schema}.t (a int)")
    marker, hold = tmp_path / "marker", tmp_path / "hold"
    hold.touch()
    rules({"match": f"INSERT INTO {schema}", "when": "after", "action": "pause",
           "marker": str(marker), "until_gone": str(hold)})  # fmt: skip
    session = Sql(connect())
    thread, result = in_thread(lambda: session(f"INSERT INTO {schema}.t VALUES (1)"))
    wait(marker.exists)
    hold.unlink()
    thread.join()
    assert result == [None]
    assert session.value(f"SELECT count(*) FROM {schema}.t") == 1


def test_a_statement_that_fails_on_purpose(
    connect: Connect, sql: Sql, schema: str, rules: Rules, tmp_path: Path
) -> None:
    sql(f"CREATE TABLE {schema}.t (a int)")
    marker = tmp_path / "fired"
    insert = f"INSERT INTO {schema}.t VALUES (1)"
    rules({"match": f"^INSERT INTO {schema}", "nth": 2, "action": "fail", "code": "XX000",
           "message": "Disk Full", "detail": "error: Disk Full", "marker": str(marker)})  # fmt: skip
    session = Sql(connect(autocommit=False))
    session(insert)
    assert not marker.exists()
    fields = session.error(insert)
    assert (fields["C"], fields["M"], fields["D"]) == ("XX000", "Disk Full", "error: Disk Full")
    assert marker.exists()
    assert session.error("SELECT 1")["C"] == "25P02"
    session.connection.rollback()
    assert session.value(f"SELECT count(*) FROM {schema}.t") == 0


@pytest.mark.parametrize(("when", "rows"), [("before", 0), ("after", 1)])
def test_an_autocommit_statement_that_fails_on_purpose(
    connect: Connect, sql: Sql, schema: str, rules: Rules, when: str, rows: int
) -> None:
    sql(f"CREATE TABLE {schema}.t (a int)")
    rules({"match": f"^INSERT INTO {schema}", "when": when, "action": "conflict"})
    session = Sql(connect())
    fields = session.error(f"INSERT INTO {schema}.t VALUES (1)")
    assert (fields["C"], fields["M"]) == ("XX000", "1023")
    assert fields["D"].startswith("Serializable isolation violation on table - ")
    assert sql.value(f"SELECT count(*) FROM {schema}.t") == rows
    rules()
    session(f"INSERT INTO {schema}.t VALUES (1)")


@pytest.mark.parametrize(("when", "rows"), [("before", 0), ("after", 1)])
def test_a_commit_that_fails_is_over(
    connect: Connect, sql: Sql, schema: str, rules: Rules, when: str, rows: int
) -> None:
    sql(f"CREATE TABLE {schema}.t (a int)")
    session = Sql(connect())
    session("BEGIN")
    session(f"INSERT INTO {schema}.t VALUES (1)")
    rules({"match": "^commit", "when": when, "action": "conflict"})
    assert session.error("COMMIT")["M"] == "1023"
    rules()
    assert session.value(f"SELECT count(*) FROM {schema}.t") == rows  # not 25P02


def test_a_delay_ends_by_itself(connect: Connect, sql: Sql, schema: str, rules: Rules) -> None:
    sql(f"CREATE TABLE {schema}.t (a int)")
    rules({"match": f"^INSERT INTO {schema}", "when": "after", "action": "delay", "seconds": 0.05})
    session = Sql(connect())
    session(f"INSERT INTO {schema}.t VALUES (1)")
    assert session.value(f"SELECT count(*) FROM {schema}.t") == 1


def test_the_log_says_which_kind_of_statement_was_struck_and_quotes_none(
    connect: Connect, rules: Rules, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whoever strikes a COPY by its whole text names its keys in the rule."""
    rules({"match": "secret_access_key 'of-nobody'", "action": "fail"})
    session = Sql(connect())
    copy = "COPY t FROM 's3://b/m' ACCESS_KEY_ID 'A' SECRET_ACCESS_KEY 'of-nobody' MANIFEST"
    assert "failed on purpose" in session.error(copy)["M"]
    log = capfd.readouterr().err
    assert "fault action='fail' when='before' statement='copy'" in log
    assert "of-nobody" not in log
