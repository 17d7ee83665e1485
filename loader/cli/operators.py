"""``heap-loader lag`` and ``heap-loader lake``: how far behind, what is there, is it whole."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from loader.cli.common import Json, console, context, print_json, short_time
from loader.errors import CheckFailed

if TYPE_CHECKING:
    from rich.table import Table

lake = typer.Typer(help="The lake: what it holds, and whether it is whole.", no_args_is_help=True)

_COLOURS = {
    "ok": "green",
    "no_data": "dim",
    "warning": "yellow",
    "stalled": "red",
    "stopped": "red",
    "lost": "bold red",
}
#: Seconds between two lines of progress where there is no terminal.
_LINE_SECONDS = 10.0
#: Findings that a person is shown; `--json` has all that are kept.
_SHOWN = 50

OneTopic = Annotated[str | None, typer.Option("--topic", help="Only this topic.")]


def lag(
    *,
    warn_seconds: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="How long a message may wait until `warning`."),
    ] = 300.0,
    stall_seconds: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="How long a message may wait until `stalled`."),
    ] = 3600.0,
    json: Json = False,
) -> None:
    """Show how far the lake is behind Kafka, in messages and in seconds, with a verdict.

    Exit status 3 if a partition is stalled (read too slowly), stopped (not read at all) or lost
    (Kafka no longer has what was never read). Joins no group and changes nothing.

    Example: heap-loader lag --json
    """
    from loader.monitor.lag import measure

    report = measure(context.settings(), warn_seconds=warn_seconds, stall_seconds=stall_seconds)
    document = report.document()
    if json:
        print_json(document)
    else:
        _show_lag(document)
    if not report.holds:
        first = next(p for p in document["partitions"] if p["verdict"] == document["verdict"])
        raise CheckFailed(
            f"{first['topic']}[{first['partition']}] is {first['verdict']}: {first['reason']}",
            hint=first["hint"],
        )


def _show_lag(document: dict[str, Any]) -> None:
    table = _table(
        ("topic", "left"),
        ("part.", "right"),
        ("log start", "right"),
        ("committed", "right"),
        ("lake next", "right"),
        ("high", "right"),
        ("messages", "right"),
        ("behind", "right"),
        ("verdict", "left"),
    )
    for entry in document["partitions"]:
        committed = entry["group_committed"]
        table.add_row(
            entry["topic"],
            str(entry["partition"]),
            f"{entry['log_start']:,}",
            "-" if committed is None else f"{committed:,}",
            f"{entry['lake_next']:,}",
            f"{entry['high_watermark']:,}",
            f"{entry['lag_messages']:,}",
            "" if entry["verdict"] == "no_data" else _duration(entry["lag_seconds"]),
            _coloured(entry["verdict"]),
        )
    out = console()
    out.print(table)
    for entry in document["partitions"]:
        if entry["reason"]:
            where = f"{entry['topic']}[{entry['partition']}]"
            out.print(where, _coloured(entry["verdict"]), end=" ", markup=True)
            out.print(f"{entry['reason']} {entry['hint']}".rstrip(), markup=False)
    for topic in document["missing_topics"]:
        out.print(f"{topic}: no such topic in Kafka, and the lake never read one.", markup=False)
    out.print("overall", _coloured(document["verdict"]))


@lake.command(epilog="Example: heap-loader lake ls --topic heap.events")
def ls(
    *,
    topic: OneTopic = None,
    partition: Annotated[
        int | None, typer.Option(min=0, help="Only this partition of each topic.")
    ] = None,
    json: Json = False,
) -> None:
    """List the chains of the commit log and of the registry log, one line a partition."""
    from loader.lake.s3 import S3Store
    from loader.monitor.inventory import take_inventory

    progress = _Progress("reading the logs")
    with progress:
        inventory = take_inventory(
            S3Store.open(context.settings().lake),
            topic=topic,
            partition=partition,
            progress=progress.show,
        )
    document = inventory.document()
    if json:
        print_json(document)
        return
    out = console()
    _show_partitions(document["partitions"])
    if inventory.findings.total:
        out.print("[red]Not whole:[/] `heap-loader lake verify` says where and what to do.")


@lake.command(epilog="Example: heap-loader lake verify --deep --json")
def verify(
    *,
    topic: OneTopic = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every data file: its digest, rows and offsets.")
    ] = False,
    json: Json = False,
) -> None:
    """Check the lake: chains without a gap, every file there with its size, counts that add up.

    Exit status 3 if something does not hold. Data files that no record names are counted as
    orphans: they are invisible to every reader, and no fault.
    """
    from loader.lake.s3 import S3Store
    from loader.monitor.verify import verify as verify_lake

    progress = _Progress("verifying")
    with progress:
        found = verify_lake(
            S3Store.open(context.settings().lake), topic=topic, deep=deep, progress=progress.show
        )
    document = found.document()
    if json:
        print_json(document)
    else:
        _show_verification(document)
    if not found.ok:
        count, first = found.findings.total, found.findings.listed[0]
        raise CheckFailed(
            f"{found.lake}: {count:,} finding{'s' * (count > 1)}; the first: {first.key}: "
            f"{first.what}",
            hint=first.hint,
        )


def _show_verification(document: dict[str, Any]) -> None:
    out = console()
    _show_partitions(document["partitions"])
    for finding in document["findings"][:_SHOWN]:
        out.print(f"[red]{finding['kind']}[/]", end=" ")
        out.print(f"{finding['key']}\n    {finding['what']}\n    {finding['hint']}", markup=False)
    left = document["findings_total"] - _SHOWN
    if left > 0:
        out.print(f"... and {left:,} more findings (--json lists up to 1,000)")
    orphans = document["orphans"]
    if orphans["files"]:
        out.print(
            f"{orphans['files']:,} orphans ({orphans['bytes'] / 1e6:,.1f} MB), the first: "
            f"{orphans['examples'][0]}",
            markup=False,
        )
    if orphans["in_writing"]:
        out.print(f"{orphans['in_writing']:,} files wait for their record.")
    if document["ok"]:
        how = (
            "every file was read"
            if document["deep"]
            else "sizes and counts; --deep reads the files"
        )
        out.print(f"[green]The lake is whole[/] ({how}).")


def _show_partitions(partitions: Iterable[dict[str, Any]]) -> None:
    numbers = ("records", "first", "next", "rows", "files", "MB", "refused")
    table = _table(
        ("topic", "left"),
        ("part.", "right"),
        *((name, "right") for name in numbers),
        ("last record", "left"),
        ("", "left"),
    )
    for entry in partitions:
        table.add_row(
            entry["topic"],
            str(entry["partition"]),
            *(
                "-" if entry[name] is None else f"{entry[name]:,}"
                for name in ("records", "first", "next", "rows", "files")
            ),
            f"{entry['bytes'] / 1e6:,.1f}",
            f"{entry['dead_letters']:,}",
            short_time(entry["last_record"]),
            "[green]ok[/]" if entry["ok"] else "[red]broken[/]",
        )
    console().print(table)


def _table(*columns: tuple[str, str]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, side in columns:
        table.add_column(
            heading,
            justify=side,  # type: ignore[arg-type]
            no_wrap=heading != "topic",
            overflow="fold",
        )
    return table


def _coloured(verdict: str) -> str:
    return f"[{_COLOURS[verdict]}]{verdict}[/]"


def _duration(seconds: float | None) -> str:
    """Seconds as a person reads them: ``41 s``, ``12 min``, ``3.5 h``, ``12 d``."""
    match seconds:
        case None:
            return "unknown"
        case 0:
            return "caught up"
        case _ if seconds < 120:
            return f"{seconds:.0f} s"
        case _ if seconds < 7200:
            return f"{seconds / 60:.0f} min"
        case _ if seconds < 172_800:
            return f"{seconds / 3600:.1f} h"
        case _:
            return f"{seconds / 86_400:,.0f} d"


class _Progress:
    """Counts on stderr: one rewritten line on a terminal, a plain line now and then without."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._counts: dict[str, int] = {}
        self._live = sys.stderr.isatty() and not context.verbose
        self._shown = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()

    def show(self, what: str, done: int) -> None:
        """Show that ``done`` of ``what`` are done."""
        self._counts[what] = done
        now = time.monotonic()
        if now - self._shown < (0.1 if self._live else _LINE_SECONDS):
            return
        self._shown = now
        text = f"{self._label}: " + ", ".join(f"{n:,} {name}" for name, n in self._counts.items())
        sys.stderr.write(f"\r\x1b[2K{text}" if self._live else f"{text}\n")
        sys.stderr.flush()
