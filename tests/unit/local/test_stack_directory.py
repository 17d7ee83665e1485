from __future__ import annotations

import fcntl
import json
import stat
from pathlib import Path

import pytest

from loader.errors import UsageError
from loader.local.kafka_broker import KafkaEndpoint
from loader.local.stack import Stack
from loader.local.state import FORMAT, ProcessRecord, StateFile, write_atomically


def test_state_survives_and_is_private(tmp_path: Path) -> None:
    states = StateFile(tmp_path)
    states.create()
    states.set_ports({"kafka": 20_000})
    states.set_process("kafka", ProcessRecord(12, 34.5, "abc"))
    states.set_kafka({"kind": "jars"})
    assert StateFile(tmp_path).load() == states.state
    assert stat.S_IMODE(states.path.stat().st_mode) == 0o600
    assert json.loads(states.path.read_text())["format"] == FORMAT
    assert [path.name for path in tmp_path.iterdir()] == ["stack.json"]


def test_secrets_differ_from_stack_to_stack_and_are_not_shown(tmp_path: Path) -> None:
    one, two = StateFile(tmp_path).create(), StateFile(tmp_path).create()
    assert one.secret_access_key != two.secret_access_key
    assert one.warehouse_password != two.warehouse_password
    assert one.stack_id != two.stack_id
    assert one.secret_access_key not in repr(one)
    assert one.warehouse_password not in repr(one)


def test_a_write_that_fails_leaves_the_old_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old", mode=0o600)

    def full(_descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_atomically(path, "new", mode=0o600)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("version", "told"), [(0, "an older"), (FORMAT + 1, "a newer")])
def test_another_format_version_is_refused(tmp_path: Path, version: int, told: str) -> None:
    (tmp_path / "stack.json").write_text(json.dumps({"format": version, "unknown": 1}))
    with pytest.raises(UsageError, match=f"{told} release: its format is {version}") as caught:
        Stack.open(tmp_path)
    assert caught.value.exit_code == 2
    assert "another --dir" in caught.value.hint


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json", '{"format": 1}', '"format"', "null"])
def test_what_is_no_state_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "stack.json").write_text(text)
    with pytest.raises(UsageError, match=r"is not a stack's state file"):
        Stack.open(tmp_path)


def test_open_writes_nothing_and_a_stack_must_exist(tmp_path: Path) -> None:
    stack = Stack.open(tmp_path / "new")
    for act in (stack.status, stack.down, stack.environment):
        with pytest.raises(UsageError, match="no local stack"):
            act()
    assert list(tmp_path.iterdir()) == []


def test_a_stack_that_never_came_up_has_no_environment(tmp_path: Path) -> None:
    StateFile(tmp_path).create()
    with pytest.raises(UsageError, match="was never up"):
        Stack.open(tmp_path).environment()


def test_a_directory_with_other_things_in_our_places_is_refused(tmp_path: Path) -> None:
    theirs = tmp_path / "data" / "thesis.txt"
    theirs.parent.mkdir()
    theirs.write_text("years of work")
    try:
        with pytest.raises(UsageError, match="holds no stack"):
            Stack.open(tmp_path).up()
    finally:
        if (tmp_path / "stack.json").exists():  # it was started all the same
            Stack.open(tmp_path).down()
    assert theirs.read_text() == "years of work"
    assert not (tmp_path / "stack.json").exists()


def test_purge_takes_only_what_is_ours(tmp_path: Path) -> None:
    StateFile(tmp_path).create()
    (tmp_path / "notes.txt").write_text("keep")
    for name in ("data", "logs"):
        (tmp_path / name / "kafka").mkdir(parents=True)
        (tmp_path / name / "kafka" / "file").touch()
    (tmp_path / "heap-loader.toml").touch()
    Stack.open(tmp_path).down(purge=True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_purge_removes_a_directory_that_is_all_ours(tmp_path: Path) -> None:
    directory = tmp_path / "stack"
    directory.mkdir()
    StateFile(directory).create()
    Stack.open(directory).down(purge=True)
    assert not directory.exists()


def test_down_without_purge_keeps_the_data(tmp_path: Path) -> None:
    before = StateFile(tmp_path).create()
    kept = tmp_path / "data" / "kafka" / "file"
    kept.parent.mkdir(parents=True)
    kept.touch()
    Stack.open(tmp_path).down()
    assert kept.exists()
    after = StateFile(tmp_path).load()
    assert after is not None
    assert after.stack_id == before.stack_id


def test_a_command_waits_for_the_one_that_holds_the_directory(tmp_path: Path) -> None:
    StateFile(tmp_path).create()
    told: list[str] = []
    with (tmp_path / "stack.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        def progress(_part: str, state: str, detail: str) -> None:
            told.append(f"{state}: {detail}")
            fcntl.flock(file, fcntl.LOCK_UN)  # it ends as soon as it was seen

        Stack.open(tmp_path).down(progress)
    assert told[0] == "waiting: another command is changing this stack"
    assert "stopped: " in told


def test_a_given_broker_is_never_stopped() -> None:
    told: list[tuple[str, str, str]] = []
    KafkaEndpoint("127.0.0.1:1").down(lambda *step: told.append(step), forget=True)
    assert told == [("kafka", "stopped", "not ours; left running")]


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be"):
        Stack.open(tmp_path / "file" / "stack").up()
