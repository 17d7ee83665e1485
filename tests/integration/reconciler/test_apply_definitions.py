"""``events apply`` and ``events list``: files to the topic, the registry to the screen."""

from __future__ import annotations

from pathlib import Path

import pytest

from loader.config import Settings
from loader.errors import UsageError
from loader.kafka.clients import Cluster
from loader.lake.memory import MemoryStore
from loader.reconciler.app import run
from loader.reconciler.definition_files import apply_definitions, list_definitions, read_definitions

from .conftest import Letters

DOCUMENT = "id: {id}\nname: {name}\nsource: web\nevent: {event}\nsync: {{enabled: {enabled}}}\n"


def write(folder: Path, id_: str, name: str, event: str = "click", enabled: str = "true") -> None:
    text = DOCUMENT.format(id=id_, name=name, event=event, enabled=enabled)
    (folder / f"{id_}.yaml").write_text(text)


def apply(settings: Settings, store: MemoryStore, folder: Path) -> dict[str, str]:
    lines: list[str] = []
    applied = apply_definitions(settings, read_definitions(folder), lines.append, store=store)
    assert len(lines) == len(applied)
    letters = Letters()
    run(settings, until_caught_up=True, report=print, store=store, dead_letters=letters)
    assert letters.sent == []
    return {entry["id"]: entry["change"] for entry in applied}


def published(settings: Settings) -> int:
    return Cluster(settings.kafka).watermarks(settings.topics.definitions.name, [0])[0][1]


def test_apply_publishes_what_changed_and_list_shows_what_counts(
    settings: Settings, store: MemoryStore, tmp_path: Path
) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    assert list_definitions(settings, store=store) == []
    write(folder, "a", "First")
    write(folder, "b", "Second")
    assert apply(settings, store, folder) == {"a": "created", "b": "created"}
    assert apply(settings, store, folder) == {"a": "unchanged", "b": "unchanged"}
    write(folder, "a", "First", event="submit")
    write(folder, "b", "Renamed")
    write(folder, "c", "Third", enabled="false")
    assert apply(settings, store, folder) == {"a": "meaning", "b": "name", "c": "created"}
    write(folder, "c", "Third")
    assert apply(settings, store, folder) == {"a": "unchanged", "b": "unchanged", "c": "settings"}
    assert {d.id: d.table_name for d in list_definitions(settings, store=store)} == {
        "a": "first",
        "b": "renamed",
        "c": "third",
    }


def test_nothing_is_published_if_a_name_is_taken(
    settings: Settings, store: MemoryStore, tmp_path: Path
) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    write(folder, "a", "First")
    apply(settings, store, folder)
    before = published(settings)
    (folder / "a.yaml").unlink()
    write(folder, "b", "Second")
    write(folder, "c", "first")
    with pytest.raises(UsageError, match="'a' and 'c' both name the table first"):
        apply(settings, store, folder)
    assert published(settings) == before
