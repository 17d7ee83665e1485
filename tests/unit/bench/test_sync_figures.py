"""What the benchmark of syncs writes down is what `setup --figures` reads."""

from __future__ import annotations

import json
from pathlib import Path

from bench.warehouse.syncing import Sync
from loader.setup.sizing import read_figures


def test_rows_a_second_are_found_by_setup(tmp_path: Path) -> None:
    syncs = [
        Sync("first", 1000, 3000, 4, 2.0, 70, 3, 1.0, 300.0),
        Sync("idle", 0, 0, 0, 0.5, 4, 0, 0.1, 200.0),
    ]
    path = tmp_path / "figures.json"
    path.write_text(json.dumps({"sync": {"syncs": [sync.document() for sync in syncs]}}))
    (found,) = read_figures(path)
    assert found.rows_per_second == 1500.0
    assert "sync.syncs[0]" in found.source
