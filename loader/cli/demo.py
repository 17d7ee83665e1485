"""``heap-loader demo``: the whole system once, and a page that shows what it did."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loader.cli.common import Json, console, context, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from loader.local.demo import Outcome


_WIDTH = 118


def demo(
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the stack running at the end.")
    ] = False,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", help="The stack's directory; default: a temporary one."),
    ] = None,
    kafka: Annotated[
        str | None, typer.Option(help="Use this broker (host:port) instead of starting one.")
    ] = None,
    svg: Annotated[
        Path | None, typer.Option(help="Also draw the page to this file.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Kafka to Redshift in a minute: real parts, 250,000 events, every count proven.

    Example: heap-loader demo --keep
    """
    import structlog

    from loader.local.demo import run_demo
    from loader.local.stack import Stack

    if not context.verbose:
        # The page says what happened; warnings still show.
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    home = directory or Path(tempfile.mkdtemp(prefix="heap-loader-demo-"))
    steps = _Steps(console(stderr=True))
    started = monotonic()
    try:
        outcome = run_demo(home, steps.report, kafka)
        steps.end()
        if json:
            print_json(_document(outcome))
        else:
            out = _page_console()
            _page(out, outcome, monotonic() - started)
            _go_on(out, home, keep=keep)
        if svg:
            _draw(svg, steps.lines, outcome, monotonic() - started)
    finally:
        # A step that is still open did not come to its end.
        steps.end(done=False)
        if not keep:
            stack = Stack.open(home)
            if (home / "stack.json").exists():
                stack.down(purge=True)
            if directory is None:
                shutil.rmtree(home, ignore_errors=True)
    if not outcome.holds:
        raise typer.Exit(3)


class _Steps:
    """Steps as they go: a line that is rewritten on a terminal, a line each without one."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._live = out.is_terminal
        self._title = ""
        self._text = ""
        self._started = 0.0
        self.lines: list[str] = []

    def report(self, title: str, text: str) -> None:
        """A step begins, or says something."""
        if title != self._title:
            self.end()
            self._title, self._started = title, monotonic()
        self._text = text
        if self._live:
            width = self._out.width - 12
            line = f"  {title}  {text}"[:width]
            sys.stderr.write(f"\r\x1b[2K{line}")
            sys.stderr.flush()

    def end(self, *, done: bool = True) -> None:
        """The step is over: its last word stands."""
        if not self._title:
            return
        if self._live:
            sys.stderr.write("\r\x1b[2K")
        seconds = monotonic() - self._started
        mark = "[green]✓[/]" if done else "[red]✗[/]"
        line = f"{mark} {self._title:<44} [dim]{seconds:5.1f} s[/]  {self._text}"
        self._out.print(line, soft_wrap=True)
        self.lines.append(line)
        self._title = ""


def _page_console() -> Console:
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)


def _draw(path: Path, lines: list[str], outcome: Outcome, seconds: float) -> None:
    """The page as a picture, steps first."""
    import io
    import re

    from rich.console import Console
    from rich.terminal_theme import MONOKAI

    out = Console(
        highlight=False, record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True
    )
    for line in lines:
        out.print(line, soft_wrap=True)
    _page(out, outcome, seconds)
    picture = out.export_svg(title="./scripts/demo", theme=MONOKAI)
    # The picture stands by itself: no font from elsewhere.
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    path.write_text(picture.replace("Fira Code, monospace", "monospace"), encoding="utf-8")


def _page(out: Console, outcome: Outcome, seconds: float) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.syntax import Syntax
    from rich.table import Table

    def table(title: str, *columns: str, right: frozenset[str] = frozenset()) -> Table:
        made = Table(
            title=title or None,
            title_justify="left",
            title_style="bold",
            header_style="dim",
            box=SIMPLE_HEAD,
            pad_edge=False,
        )
        for column in columns:
            made.add_column(column, justify="right" if column in right else "left", no_wrap=True)
        return made

    tables = table(
        f"\nTables of schema {outcome.schema}",
        *("table", "rows", "from", "to", "MB", "columns", "sort key", "distribution"),
        right=frozenset({"rows", "MB", "columns"}),
    )
    for entry in sorted(outcome.tables, key=lambda e: -e["rows"]):
        tables.add_row(
            entry["name"],
            f"{entry['rows']:,}",
            (entry["first_time"] or "")[:10],
            (entry["last_time"] or "")[:10],
            "" if entry["bytes"] is None else f"{entry['bytes'] / (1 << 20):,.0f}",
            str(entry["columns"]),
            entry["sort_key"] or "",
            entry["dist_style"] or "",
        )
    out.print(tables)
    out.print("[dim]Dates are what devices said: some clocks are far off, and that is data.[/]")

    out.print("\n[bold]A funnel across four tables[/]")
    out.print(Syntax(outcome.funnel_sql, "sql", theme="ansi_dark", background_color="default"))
    funnel = table("", *outcome.funnel_columns, right=frozenset(outcome.funnel_columns[1:]))
    for row in outcome.funnel_rows:
        funnel.add_row(*(f"{v:,}" if isinstance(v, int) else str(v or "(none)") for v in row))
    out.print(funnel)

    stages = table(
        "\nThroughput",
        "stage",
        "count",
        "seconds",
        "a second",
        right=frozenset({"count", "seconds", "a second"}),
    )
    for stage in outcome.stages:
        stages.add_row(
            stage.name,
            f"{stage.count:,} {stage.unit}",
            f"{stage.seconds:.1f}",
            f"{stage.count / max(stage.seconds, 1e-9):,.0f}",
        )
    out.print(stages)

    checks = table(
        "\nProof: the simulator knows what each table must hold",
        *("table", "expected", "in the warehouse", ""),
        right=frozenset({"expected", "in the warehouse"}),
    )
    for check in outcome.checks:
        verdict = "[green]equal[/]" if check.holds else "[bold red]DIFFERENT[/]"
        checks.add_row(check.name, f"{check.expected:,}", f"{check.actual:,}", verdict)
    out.print(checks)
    word = "[green]All counts equal[/]" if outcome.holds else "[bold red]Counts differ[/]"
    out.print(f"\n{word}, {seconds:.0f} seconds in all.")


def _go_on(out: Console, home: Path, *, keep: bool) -> None:
    out.print("\n[bold]Go on[/]")
    if not keep:
        home = Path(".heap-loader")
        out.print("  [dim]The stack was taken down. This one stays, and has the same data:[/]")
        out.print("  ./scripts/demo --keep --dir .heap-loader")
        out.print("  [dim]Then:[/]")
    program = Path(sys.argv[0]).name
    run = program if shutil.which(program) else f".venv/bin/{program}"
    here = "" if home == Path(".heap-loader") else f" --dir {home}"
    for line in (
        f"{run} local psql{here}",
        f"export HEAP_LOADER_CONFIG={home}/heap-loader.toml",
        f"{run} status",
        f"{run} simulate --events 100000 --skip 250000 --seed 7 --merges 0",
        f"{run} consume --until-caught-up && {run} sync",
        f"{run} local down --purge{here}",
    ):
        out.print(f"  {line}", soft_wrap=True)


def _document(outcome: Outcome) -> dict[str, Any]:
    return {
        "ok": outcome.holds,
        "schema": outcome.schema,
        "tables": outcome.tables,
        "stages": [
            {"name": s.name, "count": s.count, "unit": s.unit, "seconds": round(s.seconds, 3)}
            for s in outcome.stages
        ],
        "checks": [
            {"name": c.name, "expected": c.expected, "actual": c.actual, "ok": c.holds}
            for c in outcome.checks
        ],
        "funnel": [
            dict(zip(outcome.funnel_columns, row, strict=True)) for row in outcome.funnel_rows
        ],
    }
