"""Definition files: what is read, and every refusal names the file and the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from loader.errors import UsageError
from loader.reconciler.definition_files import read_definitions

GOOD = "id: {0}\nname: {0}\nsource: web\nevent: click\n"


def test_a_folder_gives_every_file_in_it_by_id(tmp_path: Path) -> None:
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / "b.yml").write_text(GOOD.format("b"))
    (tmp_path / "c.yaml").write_text(GOOD.format("c") + "---\n" + GOOD.format("a"))
    (tmp_path / "notes.txt").write_text("no definition")
    assert [d.id for d in read_definitions(tmp_path)] == ["a", "b", "c"]
    assert [d.id for d in read_definitions(tmp_path / "z" / "b.yml")] == ["b"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("id: [", "is not YAML"),
        ("id: a\nid: b\n", "the key 'id' stands here twice"),
        ("- 1", "a definition is a mapping"),
        ("", "no definition in it"),
        (GOOD.format("a") + "---\n" + GOOD.format("a"), "definition 'a' stands in"),
        (
            GOOD.format("a") + "---\nid: b\nname: A\nsource: web\nevent: x\n",
            "both name the table a",
        ),
        (GOOD.format("a") + "colour: red\n", "unknown key"),
        (GOOD.format("a") + "at: 2026-13-45\n", "is not YAML"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "d.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=named) as caught:
        read_definitions(file)
    assert "d.yaml" in str(caught.value) or "both name" in named


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_definitions(tmp_path / "none.yaml")
