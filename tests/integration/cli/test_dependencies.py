"""Dependencies that are away or refuse us: named with their address, exit 4, no secret, no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import heap_loader


@pytest.mark.parametrize(
    ("command", "variable", "value", "named"),
    [
        (
            ("consume", "--until-caught-up"),
            "HEAP_LOADER_KAFKA__BOOTSTRAP_SERVERS",
            "127.0.0.1:1",
            "Kafka",
        ),
        (
            ("consume", "--until-caught-up"),
            "HEAP_LOADER_LAKE__ENDPOINT_URL",
            "http://127.0.0.1:1",
            "S3",
        ),
        (("sync",), "HEAP_LOADER_WAREHOUSE__PORT", "1", "127.0.0.1:1"),
    ],
)
def test_what_cannot_be_reached_is_named_with_its_address_and_exit_4(
    tmp_path: Path,
    command: tuple[str, ...],
    variable: str,
    value: str,
    named: str,
    config_file: Path,
) -> None:
    first = heap_loader("--config", str(config_file), "consume", "--until-caught-up", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    done = heap_loader("--config", str(config_file), *command, cwd=tmp_path, env={variable: value})
    assert done.returncode == 4, done.stderr
    last = done.stderr.strip().splitlines()
    assert any("error:" in line and named in line for line in last), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count('"retry"') >= 2, done.stderr


def test_wrong_credentials_are_refused_at_once_and_not_shown(
    tmp_path: Path, config_file: Path
) -> None:
    wrong = "not-the-right-secret"
    done = heap_loader(
        "--config",
        str(config_file),
        "consume",
        "--until-caught-up",
        cwd=tmp_path,
        env={"HEAP_LOADER_LAKE__SECRET_ACCESS_KEY": wrong},
    )
    assert done.returncode == 4, done.stderr
    assert "refused" in done.stderr
    assert wrong not in done.stderr
    done = heap_loader(
        "--config",
        str(config_file),
        "sync",
        "--plan",
        cwd=tmp_path,
        env={"HEAP_LOADER_WAREHOUSE__PASSWORD": wrong},
    )
    assert done.returncode in {2, 4}, done.stderr
    assert wrong not in done.stderr
    assert "Traceback" not in done.stderr
