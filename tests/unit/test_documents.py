"""Pages that are generated are the generated ones; links between pages lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from loader.metrics_text import reference

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def test_the_page_of_modules_is_up_to_date() -> None:
    made = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "modules.py")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert (ROOT / "docs" / "modules.md").read_text() == made.stdout, "run ./scripts/docs"


def test_the_page_of_the_stand_in_lists_its_refusals() -> None:
    made = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "refusals.py")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert (ROOT / "docs" / "stand-in.md").read_text() == made.stdout, "run ./scripts/docs"
    assert "- `GROUP BY ALL`\n" in made.stdout


def test_the_page_of_metrics_is_up_to_date() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text() == reference(), "run ./scripts/docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    targets = [t for t in re.findall(r"\]\(([^)#]+)", text) if not t.startswith("http")]
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []
