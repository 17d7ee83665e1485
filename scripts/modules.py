"""Print docs/modules.md: every module of the package with the first line of its docstring."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ORDER = (
    "cli",
    "local",
    "consumer",
    "reconciler",
    "compactor",
    "monitor",
    "deadletters",
    "warehouse",
    "lake",
    "codec",
    "kafka",
    "model",
    "",
)


def page() -> str:
    """The page's text."""
    lines = [
        "# Modules",
        "",
        "Layer by layer, top down. Generated from the modules themselves: `./scripts/docs`.",
    ]
    for folder in ORDER:
        path = ROOT / "loader" / folder
        files = sorted(path.glob("*.py") if not folder else path.rglob("*.py"))
        lines += [
            "",
            f"## loader/{folder}".rstrip("/"),
            "",
            "| module | responsibility |",
            "| --- | --- |",
        ]
        for file in files:
            doc = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
            first = " ".join(doc.split("\n\n", maxsplit=1)[0].split())
            lines.append(
                f"| `{file.relative_to(ROOT / 'loader')}` | {first.replace('|', chr(92) + '|')} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
