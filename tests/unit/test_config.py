"""The configuration: typed, strict, helpful; and its text forms."""

from __future__ import annotations

from pathlib import Path

import pytest

from loader.config import Settings, load
from loader.config_text import HIDDEN, as_toml, reference, shown
from loader.errors import UsageError

SECRET = "hunter2-and-more"


def write(folder: Path, text: str) -> Path:
    path = folder / "heap-loader.toml"
    path.write_text(text)
    return path


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(environment={}) == Settings()


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, '[batch]\nmax_rows = 5\nmax_age = "2m"\nmax_bytes = "1MiB"\n')
    settings = load(
        path, {"HEAP_LOADER_BATCH__MAX_ROWS": "7", "HEAP_LOADER_WAREHOUSE__SCHEMA": "s"}
    )
    assert (settings.batch.max_rows, settings.batch.max_age) == (7, 120.0)
    assert settings.batch.max_bytes == 1 << 20
    assert settings.warehouse.db_schema == "s"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[kafka]\nbootstrap_server = 'x'",
            r"unknown key kafka\.bootstrap_server\. .*kafka\.bootstrap_servers",
        ),
        ("[kafak]\n", r"unknown key kafak\. The nearest right one is kafka"),
        (
            "[topics.events]\nname = 'e'\nfromat = 'json'",
            r"topics\.events\.fromat.*topics\.events\.format",
        ),
        ("[batch]\nmax_rows = 'many'", r"batch\.max_rows: Input should be a valid integer"),
        ("[batch]\nmax_age = 'soon'", r"batch\.max_age: a duration is a number and"),
        ("[batch]\nmax_rows = 0", r"batch\.max_rows: .*greater than or equal to 1"),
        ("[lake]\nurl = 'http://x'", r"lake\.url: an S3 URL is"),
        ("[topics.events]\nname = 'a/b'", r"topics\.events\.name"),
        ("[warehouse]\nschema = 'Drop Table'", r"warehouse\.schema"),
        ("not toml", r"is not TOML"),
    ],
)
def test_a_wrong_key_is_named_with_its_file(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError, match=message) as refused:
        load(path, {})
    assert str(path) in refused.value.message
    assert refused.value.exit_code == 2


def test_a_wrong_variable_is_named_instead_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="environment variable HEAP_LOADER_BATCH__MAX_ROWS"):
        load(write(tmp_path, ""), {"HEAP_LOADER_BATCH__MAX_ROWS": "x"})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.toml: No such file"):
        load(tmp_path / "nowhere.toml", {})


def test_a_secret_may_come_from_a_file_or_a_command(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    by_file = write(tmp_path, f'[warehouse]\npassword = {{ file = "{tmp_path}/secret" }}\n')
    assert load(by_file, {}).warehouse.password.get_secret_value() == SECRET
    by_command = write(tmp_path, f'[warehouse]\npassword = {{ command = ["echo", "{SECRET}"] }}\n')
    assert load(by_command, {}).warehouse.password.get_secret_value() == SECRET


@pytest.mark.parametrize(
    "value", ['{ file = "/nowhere" }', '{ command = ["false"] }', '{ url = "x" }', "5"]
)
def test_a_secret_that_cannot_be_had_is_refused_without_being_shown(
    tmp_path: Path, value: str
) -> None:
    with pytest.raises(UsageError, match=r"warehouse\.password") as refused:
        load(write(tmp_path, f"[warehouse]\npassword = {value}\n"), {})
    assert SECRET not in str(refused.value)


def test_secrets_are_hidden_wherever_settings_are_shown(tmp_path: Path) -> None:
    settings = load(
        write(
            tmp_path,
            f"""
            [warehouse]
            password = "{SECRET}"
            copy = {{ access_key_id = "AK", secret_access_key = "{SECRET}" }}
            [lake]
            secret_access_key = "{SECRET}"
            [kafka.client]
            "sasl.password" = "{SECRET}"
            "sasl.username" = "visible"
            """,
        ),
        {},
    )
    text = as_toml(shown(settings))
    assert SECRET not in text
    assert SECRET not in repr(settings.warehouse)
    assert text.count(HIDDEN) == 4
    assert "visible" in text


def test_the_reference_is_a_configuration_and_names_every_key(tmp_path: Path) -> None:
    text = reference()
    assert load(write(tmp_path, text), {}) == Settings()
    for section in (
        "kafka",
        "topics.events",
        "lake",
        "batch",
        "warehouse",
        "warehouse.copy",
        "sync",
    ):
        assert f"[{section}]" in text


def test_the_documented_reference_is_the_generated_one() -> None:
    documented = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    assert f"```toml\n{reference()}```" in documented
