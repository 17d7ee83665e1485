"""Whole syncs: the first one, one that appends, and one that has nothing to do.

Traffic is simulated and consumed as on any laptop; then ``sync`` runs as users run it. Rows a second
are rows that came to stand in tables, over the sync's own time: compaction, COPY files, COPY, merge.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

from rich.table import Table

from bench.measure import LOADER, Measured, RunFailed, run
from bench.warehouse.parts import Context, Part, Report


@dataclass(frozen=True, slots=True)
class Sync:
    """One sync.

    Attributes:
        name: which one.
        events: events that were new in the lake.
        rows: rows that it inserted, in all tables.
        tables: tables that it loaded.
        seconds: its own time.
        statements: statements that it sent.
        commits: commits among them.
        cpu: user and system seconds of its processes; the warehouse's are not among them.
        peak_mb: largest resident size of its processes.
    """

    name: str
    events: int
    rows: int
    tables: int
    seconds: float
    statements: int
    commits: int
    cpu: float
    peak_mb: float

    @property
    def rows_per_second(self) -> float:
        """Rows inserted over its own time."""
        return self.rows / self.seconds

    def document(self) -> dict[str, Any]:
        """As JSON. `heap-loader setup --figures` looks for ``rows_per_second``."""
        return {**asdict(self), "rows_per_second": self.rows_per_second}


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--events", type=int, default=1_000_000, help="sync: events of the first sync (default 1 M)"
    )
    parser.add_argument(
        "--more-events", type=int, default=50_000, help="sync: events of the second (default 50 k)"
    )


def _run(context: Context) -> Report:
    first, more = context.options.events, context.options.more_events
    if first < 1 or more < 1:
        raise RunFailed("--events and --more-events must be 1 or more.")
    loader = _Loader(context)
    loader("events", "apply", str(files("loader.local") / "samples"))
    found = []
    for name, skip, events in (("first", 0, first), ("append", first, more), ("idle", 0, 0)):
        if events:
            loader("simulate", f"--events={events}", f"--skip={skip}", "--merges=0")
            loader("consume", "--until-caught-up")
            loader("reconcile", "--until-caught-up")
        found.append(_sync(name, events, loader("sync", "--json")))
        context.console.print(f"sync, {name}: {found[-1].seconds:.1f} s")
    return Report([_table(found)], {"syncs": [sync.document() for sync in found]})


class _Loader:
    """Runs ``heap-loader`` on the stack."""

    def __init__(self, context: Context) -> None:
        self._config = str(context.environment.config)
        self._folder = context.folder
        self._console = context.console

    def __call__(self, *arguments: str) -> Measured:
        with self._console.status(" ".join(arguments[:2])):
            return run(
                [*LOADER, "--config", self._config, *arguments],
                env={},
                log=self._folder / f"{arguments[0]}.log",
            )


def _sync(name: str, events: int, done: Measured) -> Sync:
    report: dict[str, Any] = json.loads(done.output)
    loaded = [table for table in report["tables"] if table["action"] != "nothing"]
    return Sync(
        name,
        events,
        sum(table["inserted"] for table in loaded),
        len(loaded),
        report["seconds"],
        report["statements"],
        report["commits"],
        done.cpu,
        done.peak_mb,
    )


def _table(syncs: list[Sync]) -> Table:
    table = Table(title="Whole syncs into the stand-in", title_justify="left")
    table.add_column("sync")
    for heading in ("events", "rows", "tables", "s", "rows/s", "statements", "commits", "CPU s"):
        table.add_column(heading, justify="right")
    table.add_column("peak MB", justify="right")
    for sync in syncs:
        table.add_row(
            sync.name,
            f"{sync.events:,}",
            f"{sync.rows:,}",
            f"{sync.tables}",
            f"{sync.seconds:.1f}",
            f"{sync.rows_per_second:,.0f}" if sync.rows else "",
            f"{sync.statements}",
            f"{sync.commits}",
            f"{sync.cpu:.1f}",
            f"{sync.peak_mb:,.0f}",
        )
    return table


PART = Part("sync", "whole syncs: rows a second, statements, commits", _arguments, _run)
