"""The table by topic. Each module here has ``CASES``; all of them are found by themselves."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from tests.conformance.case import Case


def topics() -> dict[str, tuple[Case, ...]]:
    """All cases, by the name of their module."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        found[module.name] = import_module(f"{__name__}.{module.name}").CASES
    return found
