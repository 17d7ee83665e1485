"""The console script: answers at once, says what is wrong, exits as promised."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli import heap_loader

COMMANDS = [
    (),
    ("consume",),
    ("reconcile",),
    ("sync",),
    ("status",),
    ("lag",),
    ("doctor",),
    ("setup",),
    ("lake",),
    ("lake", "ls"),
    ("lake", "verify"),
    ("simulate",),
    ("demo",),
    ("events",),
    ("events", "apply"),
    ("events", "list"),
    ("dead-letters",),
    ("dead-letters", "list"),
    ("dead-letters", "show"),
    ("dead-letters", "redrive"),
    ("local",),
    ("local", "up"),
    ("local", "down"),
    ("local", "status"),
    ("local", "env"),
    ("local", "psql"),
    ("config",),
    ("config", "check"),
    ("config", "show"),
    ("config", "reference"),
]
HEAVY = [
    "pyarrow",
    "numpy",
    "duckdb",
    "confluent_kafka",
    "boto3",
    "botocore",
    "faust",
    "redshift_connector",
    "fastavro",
    "numba",
    "testcontainers",
    "jgo",
    "pydantic",
]


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from loader.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        f"heavy = sorted(set({HEAVY!r}) & sys.modules.keys())\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


def test_every_command_has_help_with_an_example(tmp_path: Path) -> None:
    script = (
        "from typer.testing import CliRunner\n"
        "from loader.cli import app\n"
        f"for command in {COMMANDS!r}:\n"
        "    result = CliRunner().invoke(app, [*command, '--help'])\n"
        "    assert result.exit_code == 0, (command, result.output)\n"
        "    words = ' '.join(result.output.split())\n"
        "    group = command in [(), ('events',), ('lake',), ('dead-letters',), ('local',), ('config',)]\n"
        "    assert group or 'Example: ' in words, (command, words)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


def test_version(tmp_path: Path) -> None:
    done = heap_loader("--version", cwd=tmp_path)
    assert done.stdout.startswith("heap-loader ")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("nonsense",), 2),
        (("consume", "--no-such-option"), 2),
        (("--config", "missing.toml", "config", "check"), 2),
        (("--config", "bad.toml", "consume"), 2),
        (("--config", "client.toml", "config", "check"), 2),
        (("events", "apply", "nowhere.yaml"), 2),
        (("local", "status", "--dir", "nowhere"), 2),
        (("simulate", "--events", "0"), 2),
        (("lag", "--warn-seconds", "60", "--stall-seconds", "30"), 2),
        (("doctor", "--only", "redshift"), 2),
        (("setup", "--host", "c1", "--password-from", "hunter2", "--no-check"), 2),
        (("setup", "--host", "c1", "--password-from", "env", "--figures", "none", "--no-check"), 2),
    ],
)
def test_a_users_mistake_is_one_clear_line_and_exit_2(
    tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    (tmp_path / "bad.toml").write_text("[kafka]\nbootstrap = 'x'\n")
    (tmp_path / "client.toml").write_text("[kafka.client]\n'no.such.property' = 1\n")
    done = heap_loader(*arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()
    assert "hunter2" not in done.stderr
    # Nothing is made before all is known to be right.
    assert {path.name for path in tmp_path.iterdir()} == {"bad.toml", "client.toml"}


def test_config_show_hides_secrets_and_speaks_json(tmp_path: Path) -> None:
    done = heap_loader(
        "config", "show", "--json", cwd=tmp_path, env={"HEAP_LOADER_WAREHOUSE__PASSWORD": "hunter2"}
    )
    document = json.loads(done.stdout)
    assert document["warehouse"]["password"] == "********"
    assert "hunter2" not in done.stdout
