"""Checks as lines of plain text: what a person reads, and copies statements from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from loader.doctor.report import Check, State

#: Columns of a mark.
WIDTH: Final = 10

_MARKS: Final = {
    State.OK: "ok",
    State.WANTED: "wanted",
    State.UNKNOWN: "not tried",
    State.MISSING: "MISSING",
}


def mark(check: Check) -> str:
    """One or two words for the state."""
    return _MARKS[check.state]


def body(check: Check) -> Iterator[str]:
    """The lines under a check's name: why, who mends it, and how. None where all is well."""
    if check.says:
        yield f"            {check.says}"
    if check.runs:
        yield f"            To be run by {check.runs}:"
    for line in check.remedy:
        yield f"              {line}"


def lines(check: Check) -> Iterator[str]:
    """All of it."""
    yield f"  {mark(check):{WIDTH}}{check.name}"
    yield from body(check)
