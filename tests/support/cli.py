"""The console script as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def heap_loader(
    *arguments: str, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    base = {k: v for k, v in os.environ.items() if not k.startswith("HEAP_LOADER_")}
    return subprocess.run(
        [sys.executable, "-c", "from loader.cli import main; main()", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**base, **(env or {})},
        timeout=120,
    )
