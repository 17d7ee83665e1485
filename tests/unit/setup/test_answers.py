"""Answers become a file that only its owner can read, without a secret in it."""

from __future__ import annotations

import stat
import subprocess
import tomllib
from pathlib import Path

import asyncssh
import pytest

from loader import config
from loader.errors import UsageError
from loader.setup import answers as made
from loader.setup import bastion
from loader.warehouse import grants


@pytest.mark.parametrize(
    ("project", "environment", "schema"),
    [
        (None, None, "main_production"),
        ("My iOS App", "development", "my_ios_app_development"),
        ("Main", "Production", "main_production"),
        ("3 Shops", "Live!", "_3_shops_live"),
    ],
)
def test_the_schemas_name(project: str | None, environment: str | None, schema: str) -> None:
    assert made.schema_of(project, environment) == schema
    config.Warehouse.model_validate({"schema": schema})


@pytest.mark.parametrize("given", [("Main", None), (None, "Production"), ("!", "?")])
def test_no_name_from_half_an_answer(given: tuple[str | None, str | None]) -> None:
    with pytest.raises(UsageError):
        made.schema_of(*given)


def test_the_file_holds_places_of_secrets_and_is_ours_alone(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    answers = made.Answers(
        warehouse={"host": "c1.example", "port": 5439, "database": "dev", "sslmode": None},
        tunnel={"host": "bastion.example", "known_hosts": None},
        password=made.Password.parse(f"file:{secret}"),
        others={"kafka": {"bootstrap_servers": "k:9092"}, "lake": {"url": None}},
    )
    path = tmp_path / "c.toml"
    document = answers.document()
    settings = made.settings_of(document, path)
    assert settings.warehouse.password.get_secret_value() == "hunter2"
    assert made.write(path, document, replace=False) is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert "hunter2" not in text
    assert tomllib.loads(text) == {
        "kafka": {"bootstrap_servers": "k:9092"},
        "warehouse": {
            "host": "c1.example",
            "port": 5439,
            "database": "dev",
            "password": {"file": str(secret)},
            "ssh_tunnel": {"host": "bastion.example"},
        },
    }
    read = config.load(path, environment={})
    assert read.warehouse.password.get_secret_value() == "hunter2"


def test_a_file_is_never_written_over_unasked_and_the_rest_of_it_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(
        '[batch]\nmax_rows = 7\n[kafka]\ngroup_id = "mine"\nbootstrap_servers = "old:9092"\n'
        '[warehouse]\nhost = "old"\nuser = "me"\n'
    )
    servers = {"kafka": {"bootstrap_servers": "new:9092"}}
    document = made.Answers(warehouse={"host": "new"}, others=servers).document()
    with pytest.raises(UsageError, match="exists"):
        made.write(path, document, replace=False)
    assert "old" in path.read_text()
    kept = made.write(path, document, replace=True)
    assert kept == tmp_path / "c.toml.old"
    assert "old" in kept.read_text()
    settings = config.load(path, environment={})
    assert (settings.batch.max_rows, settings.warehouse.host) == (7, "new")
    assert (settings.kafka.group_id, settings.kafka.bootstrap_servers) == ("mine", "new:9092")
    assert settings.warehouse.user == "heap"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.toml", "c.toml.old"]


def test_the_environment_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEAP_LOADER_WAREHOUSE__PASSWORD", "hunter2")
    document = made.Answers(warehouse={"host": "h"}, password=made.Password.parse("env")).document()
    settings = made.settings_of(document, tmp_path / "c.toml")
    assert settings.warehouse.password.get_secret_value() == "hunter2"
    made.write(tmp_path / "c.toml", document, replace=False)
    assert "hunter2" not in (tmp_path / "c.toml").read_text()


@pytest.mark.parametrize("text", ["", "file:", "command:", "hunter2", "env:X"])
def test_a_place_of_a_password_that_is_none(text: str) -> None:
    """It may be the password itself, so it is not shown."""
    with pytest.raises(UsageError) as refused:
        made.Password.parse(text)
    assert "hunter2" not in f"{refused.value} {refused.value.hint}"


def test_a_command_keeps_its_quoted_words() -> None:
    document = made.Password.parse("command:vault read 'my secret'").document()
    assert document == {"password": {"command": ["vault", "read", "my secret"]}}


def test_a_key_pair_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "key"
    public = bastion.ensure_key(path, comment="heap-loader for x")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert public.count("\n") == 0
    assert public.startswith("ssh-ed25519 ")
    assert public.endswith(" heap-loader for x")
    assert (path.parent / "key.pub").read_text().strip() == public
    before = path.read_bytes()
    again = bastion.ensure_key(path, comment="other")
    assert again.split()[:2] == public.split()[:2]
    assert path.read_bytes() == before
    path.write_text("no key")
    with pytest.raises(UsageError, match="no private key"):
        bastion.ensure_key(path, comment="x")


def test_the_commands_for_the_bastion_are_a_script_that_a_shell_takes(tmp_path: Path) -> None:
    """Run with programs that only write down what they are asked; the key's line is written for real."""
    key = asyncssh.generate_private_key("ssh-ed25519", comment="it's heap's")
    public = key.export_public_key().decode().strip()
    script = "\n".join(bastion.commands("heap", public)).replace("/home/heap/.ssh", str(tmp_path))
    for name in ("groupadd", "useradd", "install", "chown"):
        tool = tmp_path / name
        tool.write_text(f'#!/bin/sh\necho {name} "$@" >> {tmp_path}/asked\n')
        tool.chmod(0o755)
    subprocess.run(
        ["sh", "-eu", "-c", script], check=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}
    )
    assert (tmp_path / "authorized_keys").read_text() == f"restrict,port-forwarding {public}\n"
    assert stat.S_IMODE((tmp_path / "authorized_keys").stat().st_mode) == 0o600
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[0] == "groupadd --force heap"
    assert f"install -d -m 700 -o heap -g heap {tmp_path}" in asked
    assert asked[-1] == f"chown heap:heap {tmp_path}/authorized_keys"


def test_the_blocks_for_analysts() -> None:
    group = grants.Grantee.parse("group analysts")
    default = 'ALTER DEFAULT PRIVILEGES FOR USER "heap" IN SCHEMA "main_production" '
    assert grants.reader_rights("main_production", "heap", group, "SELECT") == (
        'GRANT USAGE ON SCHEMA "main_production" TO GROUP "analysts";',
        'GRANT SELECT ON ALL TABLES IN SCHEMA "main_production" TO GROUP "analysts";',
        default + 'GRANT SELECT ON TABLES TO GROUP "analysts";',
    )
    assert grants.reader_rights("s", "heap", grants.Grantee.parse('a"b'), "ALL")[0] == (
        'GRANT ALL ON SCHEMA "s" TO "a""b";'
    )
    assert grants.Grantee.parse("ROLE r").sql == 'ROLE "r"'
    with pytest.raises(ValueError, match="not an identifier"):
        grants.Grantee.parse("")
