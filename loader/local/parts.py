"""What the stack is made of: parts that can be started, asked and stopped.

Most parts are a :class:`Program` run by :class:`loader.local.program_part.ProgramPart`; Kafka may
also be a container or somebody else's broker. The stack sees only :class:`Part`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from loader.local.processes import Launch
from loader.local.state import StackState

Progress = Callable[[str, str, str], None]
"""Told (part, state, detail) at every step; states: see :data:`STATES`. Any thread may call."""

STATES = ("waiting", "preparing", "starting", "ready", "kept", "stopping", "stopped")


class NotReady(Exception):
    """A part does not answer as it should, yet. The text says how, for whoever waits."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a program of one stack runs, and with what.

    Attributes:
        home: the part's own directory, kept between runs; also its working directory.
        log: where its output goes.
        state: the stack's ids, secrets and ports.
    """

    home: Path
    log: Path
    state: StackState

    @property
    def ports(self) -> Mapping[str, int]:
        """Ports of all parts by name."""
        return self.state.ports


class Program(Protocol):
    """A server that the stack starts as a process on this machine."""

    name: str
    port_names: tuple[str, ...]
    stop_signal: int
    grace: float  # seconds between the stop signal and SIGKILL

    def prepare(self, place: Place, mark: str, progress: Progress) -> None:
        """Make what must exist before the first start. Does nothing when it exists."""

    def launch(self, place: Place) -> Launch:
        """Say how to start it. Pure: the same place gives the same launch."""

    def check(self, place: Place) -> None:
        """Return if the server answers, and is this stack's.

        Raises:
            NotReady: it does not, yet.
            LoaderError: it never will (a capability is missing, for example).
        """

    def settle(self, place: Place) -> None:
        """Make what must exist in the running server; idempotent, run at every ``up``."""

    def sweep(self, place: Place) -> None:
        """Remove what an ended server leaves outside of its home. No process of it is alive."""

    def address(self, place: Place) -> str:
        """Say where it listens, for people."""


class Part(Protocol):
    """One thing that the stack starts, asks and stops."""

    name: str

    def up(self, progress: Progress) -> None:
        """Make it run and answer; quick when it does. Returns when it is ready."""

    def down(self, progress: Progress, *, forget: bool) -> None:
        """End it; with ``forget`` its data will be deleted, so it need not end tidily."""

    def status(self) -> PartStatus:
        """Look at it now."""


@dataclass(frozen=True, slots=True)
class PartStatus:
    """What is known of a part.

    Attributes:
        name: the part.
        state: ``running``, ``unhealthy`` (its process lives but does not answer), ``dead`` (it
            was started and is gone) or ``absent`` (it was not started, or was stopped).
        pid: its process; None where there is none or it is not ours.
        address: where it listens.
        uptime: seconds since its process started; None where unknown.
        log: the file its output goes to; None where it has none.
        detail: why it is unhealthy; empty otherwise.
    """

    name: str
    state: str
    pid: int | None
    address: str
    uptime: float | None
    log: Path | None
    detail: str = ""
