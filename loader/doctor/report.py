"""What was tried, what came of it, and what mends it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from loader.errors import LoaderError


class State(StrEnum):
    """What came of a check.

    ``missing`` stops the loader sooner or later; without what is ``wanted`` it works, and does less.
    ``unknown`` could not be tried, because of another one or because something was busy.
    """

    OK = "ok"
    WANTED = "wanted"
    UNKNOWN = "unknown"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried.

    Attributes:
        area: ``kafka``, ``lake`` or ``warehouse``.
        name: what was tried.
        state: what came of it.
        says: why, in one sentence; empty where all is well.
        remedy: statements or commands that mend it, each whole.
        runs: who runs them.
    """

    area: str
    name: str
    state: State
    says: str = ""
    remedy: tuple[str, ...] = ()
    runs: str = ""

    def document(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "area": self.area,
            "name": self.name,
            "state": self.state.value,
            "says": self.says,
            "remedy": list(self.remedy),
            "runs": self.runs,
        }


def failed(area: str, name: str, error: LoaderError) -> Check:
    """A check that ended with an error of ours: its hint is the remedy."""
    return Check(area, name, State.MISSING, error.message, (error.hint,) if error.hint else ())


@dataclass(frozen=True, slots=True)
class Report:
    """All checks, in the order they were made.

    Attributes:
        checks: at least one.
        facts: what was learned on the way, for people.
        foreign: tables and views in the schema that are not the loader's.
    """

    checks: tuple[Check, ...]
    facts: dict[str, str] = field(default_factory=dict)
    foreign: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the loader has all that it needs, as far as could be tried."""
        return not self.missing

    @property
    def missing(self) -> tuple[Check, ...]:
        """What stops the loader."""
        return tuple(check for check in self.checks if check.state is State.MISSING)

    def document(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "ok": self.holds,
            "facts": self.facts,
            "checks": [check.document() for check in self.checks],
            "not_ours": list(self.foreign),
        }


def combined(parts: Iterable[Report]) -> Report:
    """Several reports as one."""
    every = tuple(parts)
    facts = {key: value for part in every for key, value in part.facts.items()}
    return Report(
        tuple(check for part in every for check in part.checks),
        facts,
        tuple(name for part in every for name in part.foreign),
    )
