"""The whole examination on real parts: all well, and each part with something wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from loader import config
from loader.config_text import as_toml
from loader.doctor.examine import examine
from loader.doctor.report import Check, Report, State
from loader.local.environment import Environment
from loader.local.environment import settings as stack_settings
from loader.warehouse.connection import connect
from loader.warehouse.schema import prepare_schema
from tests.integration.doctor.conftest import Ask
from tests.support.cli import heap_loader


def of(report: Report, name: str) -> Check:
    (check,) = [check for check in report.checks if check.name == name]
    return check


def changed(section: Any, **changes: Any) -> Any:
    return section.model_copy(update=changes)


def test_all_is_well_on_a_fresh_stack(settings: config.Settings) -> None:
    report = examine(settings)
    assert report.holds, report.missing
    names = [check.name for check in report.checks if check.state is State.OK]
    for name in (
        "read topic heap.events",
        "write topic heap.dead_letters",
        "group heap-loader",
        "write, delete, and conditional writes (If-None-Match)",
        "temporary tables",
        f"create schema {settings.warehouse.db_schema}",
        "COPY from the lake",
    ):
        assert name in names
    assert report.facts["user"] == settings.warehouse.user
    assert report.facts["superuser"] == "yes"


def test_nothing_is_left_behind(settings: config.Settings) -> None:
    from loader.lake.s3 import S3Store

    examine(settings)
    assert list(S3Store.open(settings.lake).scan("")) == []
    again = examine(settings, ["warehouse"])
    assert of(again, f"create schema {settings.warehouse.db_schema}").state is State.OK


def test_after_the_first_sync_and_with_foreign_objects(settings: config.Settings) -> None:
    schema = settings.warehouse.db_schema
    session = connect(settings.warehouse)
    prepare_schema(session, schema)
    session.execute(Ask(f"CREATE TABLE {schema}.somebody_elses (a INT)"))
    session.execute(Ask(f"CREATE VIEW {schema}.a_view AS SELECT a FROM {schema}.somebody_elses"))
    report = examine(settings, ["warehouse"])
    assert report.holds, report.missing
    assert report.foreign == ("a_view", "somebody_elses")
    assert of(report, f"schema {schema} is the loader's").state is State.OK
    assert of(report, f"select, insert, update, delete on {schema}._sync_ledger").state is State.OK
    # Without the lake there is nothing to COPY, which is no fault of the warehouse.
    assert of(report, "COPY from the lake").state is State.UNKNOWN
    session.execute(Ask(f"DROP SCHEMA {schema} CASCADE"))
    session.close()


def test_somebody_elses_schema(settings: config.Settings) -> None:
    schema = settings.warehouse.db_schema
    session = connect(settings.warehouse)
    session.execute(Ask(f"CREATE SCHEMA {schema}"))
    session.execute(Ask(f"CREATE TABLE {schema}.orders (a INT)"))
    found = of(examine(settings, ["warehouse"]), f"schema {schema} is the loader's")
    assert found.state is State.MISSING
    assert "holds orders and no _sync_ledger" in found.says
    session.execute(Ask(f"DROP SCHEMA {schema} CASCADE"))
    session.close()


def test_each_part_that_is_wrong_is_named_and_the_others_are_looked_at(
    settings: config.Settings,
) -> None:
    dead = config.Topic(name="no.such.topic")
    wrong = changed(
        settings,
        topics=changed(settings.topics, dead_letters=dead),
        lake=changed(settings.lake, secret_access_key=SecretStr("hunter2")),
        warehouse=changed(settings.warehouse, password=SecretStr("hunter3")),
    )
    report = examine(wrong)
    missing = {check.name: check for check in report.missing}
    topic = missing.pop("topic no.such.topic")
    assert topic.remedy[0].endswith("--create --topic no.such.topic")
    lake = missing.pop(f"list {settings.lake.url}")
    assert "SignatureDoesNotMatch" in lake.says or "refused" in lake.says
    ((name, login),) = missing.items()
    assert name.startswith("log in to Redshift at")
    assert "password authentication failed" in login.says
    assert "hunter" not in str(report.document())


def test_copy_that_may_not_read_the_lake_says_what_to_allow(settings: config.Settings) -> None:
    keys = config.CopyCredentials(
        access_key_id="AKIAOTHER", secret_access_key=SecretStr("another-secret")
    )
    wrong = changed(settings, warehouse=changed(settings.warehouse, copy_credentials=keys))
    found = of(examine(wrong, ["lake", "warehouse"]), "COPY from the lake")
    assert found.state is State.MISSING
    assert "Access Denied" in found.says
    assert found.remedy[0] == "Let the key AKIAOTHER read the lake."
    policy = json.loads(found.remedy[1].removeprefix("Policy: "))
    prefix = settings.lake.url.removeprefix("s3://")
    assert policy["Statement"][0]["Resource"] == [f"arn:aws:s3:::{prefix}/*"]
    assert "another-secret" not in str(found)


def test_the_command_prints_and_exits_as_promised(
    environment: Environment, lake_prefix: str, schema_name: str, tmp_path: Path
) -> None:
    document = stack_settings(environment, lake_prefix=lake_prefix, schema=schema_name)
    (tmp_path / "c.toml").write_text(as_toml(document))
    arguments = ("--config", "c.toml", "doctor", "--only", "warehouse", "--only", "lake")
    done = heap_loader(*arguments, "--analysts", "group analysts", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "  ok        COPY from the lake" in done.stdout.splitlines()
    assert f'GRANT USAGE ON SCHEMA "{schema_name}" TO GROUP "analysts";' in done.stdout
    env = {"HEAP_LOADER_WAREHOUSE__PASSWORD": "hunter2"}
    done = heap_loader(*arguments, "--json", cwd=tmp_path, env=env)
    assert done.returncode == 3, done.stderr
    answer = json.loads(done.stdout)
    assert answer["ok"] is False
    assert [check["state"] for check in answer["checks"]][-1] == "missing"
    assert "checks did not hold" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr
