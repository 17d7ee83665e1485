"""`heap-loader setup` on a stack: by flags, and by answers on a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import stat
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from loader import config
from loader.cli import app
from loader.errors import LoaderError, NeedsOperator, Unreachable, UsageError
from loader.local.environment import Environment
from loader.warehouse.connection import connect
from tests.integration.doctor.conftest import Ask

Run = Callable[[list[str]], tuple[str, LoaderError | None]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command in this process, in an empty folder: what it prints, and the error that ends it."""
    monkeypatch.chdir(tmp_path)

    def call(arguments: list[str]) -> tuple[str, LoaderError | None]:
        result: Any = CliRunner().invoke(app, arguments)
        if result.exception is not None and not isinstance(result.exception, LoaderError):
            raise result.exception
        return result.output, result.exception

    return call


@pytest.fixture
def flags(environment: Environment, tmp_path: Path, schema_name: str) -> list[str]:
    """What a script gives."""
    at = environment.redshift
    (tmp_path / "password").write_text(at.password)
    return [
        *("setup", "--host", at.host, "--port", str(at.port), "--database", at.database),
        *("--user", at.user, "--schema", schema_name, "--sslmode", "disable"),
        *("--password-from", f"file:{tmp_path / 'password'}"),
        *("--kafka", environment.kafka.bootstrap_servers, "--lake", "s3://heap-lake/x"),
    ]


def test_by_flags(
    run: Run, flags: list[str], tmp_path: Path, environment: Environment, schema_name: str
) -> None:
    shown, error = run([*flags, "--sessions", "10000000"])
    assert error is None
    lines = shown.splitlines()
    assert "Wrote heap-loader.toml (mode 600)." in lines
    assert any(line.startswith("The cluster sees us come from: ") for line in lines)
    assert f'  GRANT SELECT ON ALL TABLES IN SCHEMA "{schema_name}" TO GROUP "analysts";' in lines
    shown, error = run([*flags, "--sessions", "10000000", "--json", "--replace"])
    assert error is None
    answer = json.loads(shown)
    assert answer["error"] is None
    assert answer["found"]["user"] == environment.redshift.user
    assert answer["found"]["continued"] is False
    assert "3 x ra3.xlplus" in answer["sizing"][0]
    path = tmp_path / "heap-loader.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert environment.redshift.password not in path.read_text() + shown
    settings = config.load(path, environment={})
    assert settings.warehouse.db_schema == schema_name
    assert settings.lake.url == "s3://heap-lake/x"
    connect(settings.warehouse).close()
    # Nothing was made.
    session = connect(settings.warehouse)
    made = session.execute(
        Ask(f"SELECT count(*) FROM pg_namespace WHERE nspname = '{schema_name}'")
    )
    assert made.rows == ((0,),)
    session.execute(Ask(f"CREATE SCHEMA {schema_name}"))
    session.execute(Ask(f"CREATE TABLE {schema_name}.orders (a INT)"))
    session.close()
    # Now it is somebody's, and the file stands: both are refused, and the file stays as it is.
    before = path.read_bytes()
    _, error = run([*flags, "--replace"])
    assert isinstance(error, NeedsOperator)
    assert f"schema {schema_name} exists and is somebody else's: it holds orders" in error.message
    _, error = run([*flags, "--no-check"])
    assert isinstance(error, UsageError)
    assert "heap-loader.toml exists" in error.message
    assert path.read_bytes() == before


def test_a_cluster_that_is_not_there_still_gets_its_file_and_the_statements(
    run: Run, flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loader.logs.ATTEMPTS", 1)
    more = ["--tunnel-host", "127.0.0.1", "--tunnel-port", "1", "--tunnel-key", "key"]
    shown, error = run([*flags, *more])
    assert isinstance(error, Unreachable)
    assert "SSH tunnel through heap@127.0.0.1:1" in error.message
    assert "To be let in: 127.0.0.1" in shown
    public = (tmp_path / "key.pub").read_text().split()[1]
    lines = shown.splitlines()
    assert any("restrict,port-forwarding" in line and public in line for line in lines)
    assert any("GRANT TEMP ON DATABASE" in line for line in lines)
    settings = config.load(tmp_path / "heap-loader.toml", environment={})
    assert settings.warehouse.ssh_tunnel.host == "127.0.0.1"
    assert settings.warehouse.ssh_tunnel.private_key_file == str(tmp_path / "key")


def test_without_a_terminal_what_is_missing_is_named(run: Run, tmp_path: Path) -> None:
    _, error = run(["setup"])
    assert isinstance(error, UsageError)
    assert error.message == "--host is missing."
    _, error = run(["setup", "--host", "h"])
    assert isinstance(error, UsageError)
    assert error.message == "--password-from is missing."
    _, error = run(["setup", "--host", "https://h", "--password-from", "env", "--no-check"])
    assert isinstance(error, UsageError)
    assert "warehouse.host: a host is a name or an address" in error.message
    assert not list(tmp_path.iterdir())


def test_on_a_terminal_it_asks(environment: Environment, tmp_path: Path, schema_name: str) -> None:
    at = environment.redshift
    flags = ["--port", str(at.port), "--sslmode", "disable"]
    answers = {
        "Endpoint": at.host,
        "Database [": at.database,
        "Database user": at.user,
        "Schema": schema_name,
        "Where is the password": "",
        "Password (written to": at.password,
        "Bastion": "",
    }
    shown, code = on_terminal(["setup", *flags], answers, tmp_path)
    assert code == 0, shown
    assert at.password not in shown
    secret = tmp_path / "heap-loader.password"
    assert secret.read_text().strip() == at.password
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    settings = config.load(tmp_path / "heap-loader.toml", environment={})
    assert settings.warehouse.db_schema == schema_name
    connect(settings.warehouse).close()


def on_terminal(arguments: list[str], answers: dict[str, str], cwd: Path) -> tuple[str, int]:
    """Answer each question when it is asked; gives all that was shown, and the exit status."""
    ours, theirs = pty.openpty()

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [sys.executable, "-c", "from loader.cli import main; main()", *arguments],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, close_fds=True,
        env={**os.environ, "COLUMNS": "200"}, start_new_session=True,
        preexec_fn=take_terminal,  # noqa: PLW1509 - nothing but an ioctl
    )  # fmt: skip
    os.close(theirs)
    shown, fresh = "", ""
    waiting = dict(answers)
    while select.select([ours], [], [], 60)[0]:
        try:
            data = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        shown += data.decode(errors="replace")
        fresh += data.decode(errors="replace")
        asked = [question for question in waiting if question in fresh]
        if asked and fresh.endswith(": "):
            os.write(ours, waiting.pop(asked[0]).encode() + b"\n")
            fresh = ""
    else:
        process.kill()
    os.close(ours)
    code = process.wait(30)
    assert not waiting, (waiting, shown)
    return shown, code
