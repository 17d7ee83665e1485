"""The sample labelled events that come with the package: a funnel through the simulated app."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import yaml


def sample_definitions() -> list[dict[str, Any]]:
    """The documents of ``loader/local/samples/*.yaml``, by file name.

    They form a funnel: a session, a view of the prices, a call to action there, a purchase.
    """
    folder = files("loader.local") / "samples"
    found = sorted(
        (item for item in folder.iterdir() if item.name.endswith(".yaml")),
        key=lambda item: item.name,
    )
    return [yaml.safe_load(item.read_text(encoding="utf-8")) for item in found]
