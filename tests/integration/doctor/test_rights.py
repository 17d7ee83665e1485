"""A user who lacks one right after the other: what the doctor says is what docs/doctor.md shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from loader import config
from loader.doctor.report import Check, State
from loader.doctor.text import lines
from loader.doctor.warehouse_rights import Asking, rights, standing_in
from loader.local.environment import Environment
from loader.warehouse.connection import RedshiftSession
from tests.integration.doctor.conftest import Sql

PAGE = Path(__file__).parents[3] / "docs" / "doctor.md"


@pytest.fixture
def asking(
    session: RedshiftSession, user: str, schema_name: str, environment: Environment
) -> Asking:
    return Asking(session, user, environment.redshift.database, schema_name)


def found(asking: Asking) -> list[Check]:
    return list(rights(asking, standing_in(asking)))


def wrong(checks: list[Check]) -> list[Check]:
    # Only a superuser reads stv_partitions: that is said in a test of its own.
    return [c for c in checks if c.state is not State.OK and c.name != "read stv_partitions"]


def shown(checks: list[Check], asking: Asking, settings: config.Settings) -> str:
    """The text with the names and the address that the page uses."""
    text = "\n".join(line for check in checks for line in lines(check))
    text = re.sub(rf"\b{settings.warehouse.user}\b", "dba", text)
    text = text.replace(asking.schema, "main_production").replace(asking.user, "heap")
    where = f"{settings.warehouse.host}:{settings.warehouse.port}"
    return text.replace(where, "cluster:5439")


def section(title: str) -> str:
    """What the page shows under a heading."""
    part = PAGE.read_text().partition(f"### {title}\n")[2].partition("\n### ")[0]
    block = re.search(r"```text\n(.*?)\n```", part, re.DOTALL)
    assert block, f"docs/doctor.md shows nothing under {title!r}"
    return block[1]


def test_a_plain_user_with_its_rights_lacks_nothing(asking: Asking) -> None:
    assert wrong(found(asking)) == []


def test_disk_room_is_for_those_who_monitor(asking: Asking, settings: config.Settings) -> None:
    room = [check for check in found(asking) if check.name == "read stv_partitions"]
    assert shown(room, asking, settings) == section("SELECT on stv_partitions")


def test_the_same_with_a_schema(asking: Asking, loaded: str) -> None:
    checks = found(asking)
    assert wrong(checks) == []
    names = [check.name for check in checks]
    assert f"select, insert, update, delete on {loaded}._sync_ledger" in names
    assert f"schema {loaded} is the loader's" in names


def nothing_changed(admin: Sql, schema: str) -> Iterator[str]:
    rows = admin(f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'").rows
    yield from sorted(str(row[0]) for row in rows)


def test_trying_changes_nothing(asking: Asking, admin: Sql, loaded: str) -> None:
    before = list(nothing_changed(admin, loaded))
    found(asking)
    assert list(nothing_changed(admin, loaded)) == before


BEFORE_THE_FIRST_SYNC = {
    "CREATE on the database": "REVOKE CREATE ON DATABASE {database} FROM {user}",
    "TEMP on the database": "REVOKE TEMP ON DATABASE {database} FROM {user}",
    "SELECT on svv_table_info": "REVOKE SELECT ON svv_table_info FROM {user}",
}
WITH_A_SCHEMA = {
    "USAGE on the schema": "REVOKE USAGE ON SCHEMA {schema} FROM {user}",
    "CREATE in the schema": "REVOKE CREATE ON SCHEMA {schema} FROM {user}",
    "SELECT on a table": "REVOKE SELECT ON {schema}._sync_info FROM {user}",
    "INSERT on a table": "REVOKE INSERT ON {schema}._sync_info FROM {user}",
    "UPDATE on a table": "REVOKE UPDATE ON {schema}._sync_info FROM {user}",
    "DELETE on a table": "REVOKE DELETE ON {schema}._sync_info FROM {user}",
    "all rights on the ledger": "REVOKE ALL ON {schema}._sync_ledger FROM {user}",
}


def prove(title: str, asking: Asking, admin: Sql, settings: config.Settings, take: str) -> None:
    """Take a right away, see what the doctor says, do what it tells, and see that all is well."""
    names = {"database": asking.database, "user": asking.user, "schema": asking.schema}
    for statement in take.format(**names).split("; "):
        admin(statement)
    lacking = wrong(found(asking))
    assert lacking
    assert shown(lacking, asking, settings) == section(title)
    # One of them is enough where it tells two ways; comments are the other way.
    for statement in [line for check in lacking for line in check.remedy]:
        if not statement.startswith("--"):
            admin(statement.rstrip(";"))
    assert wrong(found(asking)) == []


@pytest.mark.parametrize("title", BEFORE_THE_FIRST_SYNC)
def test_before_the_first_sync(
    title: str, asking: Asking, admin: Sql, settings: config.Settings
) -> None:
    prove(title, asking, admin, settings, BEFORE_THE_FIRST_SYNC[title])


@pytest.mark.parametrize("title", WITH_A_SCHEMA)
def test_with_a_schema(
    title: str, asking: Asking, admin: Sql, settings: config.Settings, loaded: str
) -> None:
    prove(title, asking, admin, settings, WITH_A_SCHEMA[title])


def test_a_table_of_another_owner(
    asking: Asking, admin: Sql, settings: config.Settings, loaded: str
) -> None:
    table = "{schema}._sync_info"
    take = f"ALTER TABLE {table} OWNER TO heap; GRANT ALL ON {table} TO {{user}}"
    prove("a table that belongs to somebody else", asking, admin, settings, take)


def test_objects_that_are_not_ours_are_named_and_stop_nothing(
    asking: Asking, admin: Sql, loaded: str
) -> None:
    admin(f"CREATE TABLE {loaded}.somebody_elses (a INT)")
    admin(f"CREATE VIEW {loaded}.a_view AS SELECT a FROM {loaded}.somebody_elses")
    standing = standing_in(asking)
    assert standing.foreign == ("a_view", "somebody_elses")
    assert wrong(found(asking)) == []


def test_somebody_elses_schema(
    asking: Asking, admin: Sql, settings: config.Settings, schema_name: str
) -> None:
    admin(f"CREATE SCHEMA {schema_name}")
    admin(f"CREATE TABLE {schema_name}.orders (a INT)")
    admin(f"GRANT USAGE, CREATE ON SCHEMA {schema_name} TO {asking.user}")
    lacking = wrong(found(asking))
    assert shown(lacking, asking, settings) == section("a schema that is somebody else's")
