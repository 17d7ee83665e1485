"""Passwords and keys reach no log, error, process list, table or query history."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import structlog
from pydantic import SecretStr

from loader import config, logs
from loader.compactor.sync import run_sync
from loader.config_text import as_toml
from loader.errors import LoaderError
from loader.lake.s3 import S3Store
from loader.local.environment import Environment
from loader.local.environment import settings as stack_settings
from loader.local.stack import Stack
from loader.warehouse import login
from loader.warehouse.connection import RedshiftSession, connect
from tests.integration.doctor.conftest import Ask
from tests.support.lake_writer import LakeWriter

ROW = {"event_id": 1, "user_id": 1, "session_id": 1, "time": 10**15, "type": "pageview"}


class Secrets:
    """Recognisable ones, and a look for them."""

    def __init__(self, environment: Environment) -> None:
        mark = uuid.uuid4().hex
        self.password = f"Warehouse1-{mark}"
        self.wrong_password = f"wrong-{mark}"
        self.copy_key = f"copy/{mark}"
        self.iam_key = f"iam/{mark}"
        self.all = {**vars(self), "lake": environment.s3.secret_access_key}

    def none_in(self, where: str, text: str) -> None:
        found = [name for name, secret in self.all.items() if secret in text]
        assert not found, f"{found} in {where}"


@pytest.fixture
def secrets(environment: Environment) -> Secrets:
    return Secrets(environment)


@pytest.fixture
def admin(environment: Environment) -> Iterator[RedshiftSession]:
    document = stack_settings(environment)
    session = connect(config.Settings.model_validate(document).warehouse)
    yield session
    session.close()


@pytest.fixture
def document(
    environment: Environment,
    admin: RedshiftSession,
    secrets: Secrets,
    lake_prefix: str,
    schema_name: str,
) -> Iterator[dict[str, Any]]:
    """A configuration with a user of its own, whose password is recognisable, and one event to load."""
    user = f"u_{uuid.uuid4().hex[:12]}"
    admin.execute(Ask(f"CREATE USER {user} PASSWORD '{secrets.password}' CREATEUSER"))
    with pytest.raises(LoaderError, match="already exists"):
        admin.execute(Ask(f"CREATE USER {user} PASSWORD '{secrets.password}'"))
    made = stack_settings(environment, lake_prefix=lake_prefix, schema=schema_name)
    made["warehouse"] |= {"user": user, "password": secrets.password}
    settings = config.Settings.model_validate(made)
    LakeWriter(S3Store.open(settings.lake), settings.topics).events([ROW])
    yield made
    admin.execute(Ask(f"DROP SCHEMA IF EXISTS {schema_name} CASCADE"))
    admin.execute(Ask(f"DROP USER {user}"))


def with_wrong_copy_keys(document: dict[str, Any], secrets: Secrets) -> dict[str, Any]:
    keys = {"access_key_id": "AKIAOTHER", "secret_access_key": secrets.copy_key}
    return {**document, "warehouse": {**document["warehouse"], "copy": keys}}


def history(admin: RedshiftSession) -> str:
    """All that the server remembers of statements and of loads."""
    text = []
    for view, column in (
        ("stl_query", "querytxt"),
        ("svl_statementtext", "text"),
        ("sys_query_history", "query_text"),
        ("stl_load_errors", "filename"),
        ("stv_recents", "query"),
    ):
        rows = admin.execute(Ask(f"SELECT {column} FROM {view}")).rows
        text += [str(row[0]) for row in rows]
    assert any("COPY" in line.upper() for line in text)
    return "\n".join(text)


@pytest.fixture
def own_logs() -> Iterator[None]:
    """Logs are set up for one test only."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("own_logs")
def test_logs_errors_and_history(
    document: dict[str, Any],
    secrets: Secrets,
    admin: RedshiftSession,
    stack: Stack,
    schema_name: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    logs.configure(verbose=True, json=True)
    broken = config.Settings.model_validate(with_wrong_copy_keys(document, secrets))
    with pytest.raises(LoaderError) as raised:
        run_sync(broken)
    secrets.none_in("the error of a COPY", f"{raised.value} {raised.value!r}")
    assert "Access Denied" in str(raised.value)
    settings = config.Settings.model_validate(document)
    run_sync(settings)
    wrong = settings.warehouse.model_copy(update={"password": SecretStr("x")})
    for changed in (
        {"password": SecretStr(secrets.wrong_password)},
        {
            "authentication": "iam",
            "sslmode": "verify-full",
            "iam": config.Iam.model_validate(
                {
                    "cluster_identifier": "c",
                    "region": "eu-central-1",
                    "access_key_id": "AKIAOTHER",
                    "secret_access_key": secrets.iam_key,
                    "endpoint_url": "http://127.0.0.1:1",
                }
            ),
        },
    ):
        with pytest.raises(LoaderError) as refused:
            login.log_in(wrong.model_copy(update=changed))
        secrets.none_in("the error of a login", f"{refused.value} {refused.value!r}")
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        secrets.none_in("the settings as text", shown)
    out, err = capfd.readouterr()
    assert "table.loaded" in out + err
    secrets.none_in("what was printed", out + err)
    assert caplog.records
    secrets.none_in("the log at debug", caplog.text)
    secrets.none_in("the query history", history(admin))
    rows = admin.execute(Ask(f"SELECT status, error FROM {schema_name}._sync_history")).rows
    assert any(row[1] for row in rows)
    secrets.none_in("_sync_history", str(rows))
    for log in (stack.directory / "logs").glob("*.log"):
        secrets.none_in(str(log), log.read_text(errors="replace"))


def test_the_process_list(document: dict[str, Any], secrets: Secrets, tmp_path: Path) -> None:
    """A sync and its workers, looked at while they run: arguments, titles and environments."""
    place = tmp_path / "password"
    place.write_text(secrets.password)
    document["warehouse"]["password"] = {"file": str(place)}
    (tmp_path / "c.toml").write_text(as_toml(with_wrong_copy_keys(document, secrets)))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HEAP_LOADER_")}
    command = [sys.executable, "-c", "from loader.cli import main; main()"]
    process = subprocess.Popen(
        [*command, "--config", "c.toml", "-v", "sync"],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    seen: set[str] = set()
    ended = threading.Event()
    watcher = threading.Thread(target=watch, args=(process.pid, seen, ended))
    watcher.start()
    try:
        out, _ = process.communicate(timeout=200)
    finally:
        process.kill()
        ended.set()
        watcher.join()
    assert process.returncode not in {0, 2}, out
    assert any("sync" in line for line in seen)
    secrets.none_in("what was printed", out)
    secrets.none_in("the process list", "\n".join(seen))


def watch(pid: int, seen: set[str], ended: threading.Event) -> None:
    """Collect what any user may see of a process and its children, and its environment."""
    with contextlib.suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        while not ended.wait(0.2):
            for process in (top, *top.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    seen.add(" ".join([process.name(), *process.cmdline()]))
                    seen.add(str(process.environ()))
