"""What every part of the measurement has, and the list of them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from loader.local.environment import Environment
from loader.local.stack import Stack


@dataclass(frozen=True, slots=True)
class Context:
    """What a part gets.

    Attributes:
        stack: a running stack of this run's own.
        environment: its endpoints.
        folder: a temporary folder, gone afterwards.
        options: the command line, with the part's own options.
        console: for progress, on stderr.
    """

    stack: Stack
    environment: Environment
    folder: Path
    options: argparse.Namespace
    console: Console


@dataclass(frozen=True, slots=True)
class Report:
    """What a part found.

    Attributes:
        tables: to be shown.
        document: the same and every round, as JSON.
    """

    tables: Sequence[Table]
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the measurement.

    Attributes:
        name: as ``--parts`` names it.
        about: one line for ``--help``.
        arguments: adds the part's options to the command line.
        run: measures.
    """

    name: str
    about: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Context], Report]
