"""``heap-loader consume | reconcile | sync | status``: the jobs, and how they stand."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loader.cli.common import Json, console, context, print_json, short_time

if TYPE_CHECKING:
    from loader.consumer.progress import Progress

UntilCaughtUp = Annotated[
    bool, typer.Option("--until-caught-up", help="End at the offsets that stand in Kafka now.")
]


def consume(
    *,
    until_caught_up: UntilCaughtUp = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, max=256, help="Processes. Default: consumer.workers.", show_default=False
        ),
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Serve /metrics, /healthz and /readyz there. Default: consumer.metrics_port.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Read events and user updates from Kafka into the lake, until stopped.

    SIGTERM lets batches in writing land, drops the open ones (they are read again), leaves the
    group and exits with 0. A worker that dies is started again.

    Example: heap-loader consume --workers 4 --metrics-port 9108
    """
    from loader.consumer.group import consume as run
    from loader.logs import json_by_default

    settings = context.settings()
    given = {"workers": workers, "metrics_port": metrics_port}
    asked = {key: value for key, value in given.items() if value is not None}
    settings = settings.model_copy(update={"consumer": settings.consumer.model_copy(update=asked)})
    line = _Counter("consumed", "messages")
    progress = run(
        settings,
        until_caught_up=until_caught_up,
        verbose=context.verbose,
        json_logs=json_by_default(),
        on_progress=lambda p: line.show(_consumed(p)),
    )
    line.end()
    if json:
        print_json(_consumed(progress))
    else:
        typer.echo(
            f"{progress.read:,} messages in {progress.batches:,} batches: {progress.written:,} rows, "
            f"{progress.dead_lettered:,} dead letters, {progress.files:,} files, "
            f"{progress.bytes / 1e6:,.1f} MB."
        )


def _consumed(progress: Progress) -> dict[str, Any]:
    return {
        "messages": progress.read,
        "rows": progress.written,
        "dead_letters": progress.dead_lettered,
        "batches": progress.batches,
        "lost_batches": progress.lost_batches,
        "files": progress.files,
        "bytes": progress.bytes,
        "requests": progress.requests,
        "seconds": round(progress.seconds, 3),
        "cpu_seconds_by_step": {step: round(spent, 3) for step, spent in progress.steps.items()},
    }


def reconcile(*, until_caught_up: UntilCaughtUp = False) -> None:
    """Take over user migrations, definitions and deletions from Kafka into the registry log.

    Example: heap-loader reconcile --until-caught-up
    """
    from loader.reconciler.app import run

    code = run(context.settings(), until_caught_up=until_caught_up, report=typer.echo)
    if code:
        raise typer.Exit(code)


def sync(
    *,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print what would be done, and change nothing.")
    ] = False,
    table: Annotated[
        list[str] | None, typer.Option(help="Only this table; may be given again.")
    ] = None,
    json: Json = False,
) -> None:
    """Bring the warehouse's tables up to the end of the lake.

    Running it twice changes nothing; after a crash, running it again gives the same tables.

    Example: heap-loader sync --plan
    """
    from loader.compactor.sync import plan_sync, run_sync

    settings = context.settings()
    tables = tuple(table or ())
    if plan:
        planned = plan_sync(settings, tables)
        print_json(planned.document()) if json else _show_plan(planned.document())
        return
    line = _Counter("sync", "")
    report = run_sync(
        settings,
        tables=tables,
        progress=lambda step, done, total: line.show({step: f"{done:,} of {total:,}"}),
    )
    line.end()
    if json:
        print_json(report.document())
    else:
        _show_report(report.document())


def _show_plan(document: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("table")
    table.add_column("action")
    for heading in ("rows", "files", "MB"):
        table.add_column(heading, justify="right")
    table.add_column("why")
    for entry in document["tables"]:
        table.add_row(
            entry["name"],
            entry["action"],
            f"{entry['rows']:,}",
            f"{entry['files']:,}",
            f"{entry['bytes'] / 1e6:,.1f}",
            entry["reason"],
        )
    console().print(table)


def _show_report(document: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, side in (("table", "left"), ("action", "left"), ("inserted", "right")):
        table.add_column(heading, justify=side)  # type: ignore[arg-type]
    for entry in document["tables"]:
        table.add_row(entry["name"], entry["action"], f"{entry.get('inserted', 0):,}")
    console().print(table)
    console().print(
        f"{document['seconds']:,.1f} s, {document['statements']} statements, "
        f"{document['commits']} commits"
    )
    for done in document["maintenance"]:
        about = " ".join(filter(None, (done["step"], done["table"])))
        console().print(f"{about} ({done['why']}): {done['outcome']}")


def status(*, json: Json = False) -> None:
    """Show the state of every table and of the last sync.

    Example: heap-loader status --json
    """
    from rich.table import Table

    from loader.compactor.status import status as table_status

    document = table_status(context.settings())
    if json:
        print_json(document)
        return
    out = console()
    last = document["sync"]
    out.print(
        f"schema [bold]{document['schema']}[/]   sync {last['state']}, "
        f"last finished {short_time(last['last_finished']) or 'never'}"
        + (f", error: {last['error']}" if last["error"] else "")
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("table", "state"):
        table.add_column(heading)
    table.add_column("rows", justify="right")
    for heading in ("synced to", "last sync", "pending"):
        table.add_column(heading)
    colours = {"synced": "green", "failed": "red", "stale": "yellow", "paused": "dim"}
    for entry in document["tables"]:
        colour = colours.get(entry["state"], "cyan")
        table.add_row(
            entry["name"],
            f"[{colour}]{entry['state']}[/]",
            f"{entry['rows'] or 0:,}",
            short_time(entry["synced_to_time"]),
            short_time(entry["last_sync"]),
            f"{entry['pending']:,} rows" if entry["pending"] else "",
        )
    out.print(table)
    for entry in document["tables"]:
        if entry["left_out"]:
            names = entry["left_out"]
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            out.print(
                f"[yellow]{entry['name']} leaves out {len(names)} properties:[/] "
                f"{', '.join(names[:5])}{more}"
            )
    for thing in document["foreign"]:
        out.print(
            f"[yellow]not the loader's:[/] {thing['kind']} {thing['name']} of "
            f"{thing['owner'] or 'a user who is gone'}"
        )


class _Counter:
    """One line that is rewritten on a terminal; without one the log's lines say enough."""

    def __init__(self, label: str, unit: str) -> None:
        self._label = label
        self._unit = unit
        self._live = sys.stderr.isatty() and not context.verbose

    def show(self, done: dict[str, Any]) -> None:
        """Show the counts so far."""
        if self._live:
            text = "  ".join(
                f"{key} {value:,}" if isinstance(value, int) else f"{key} {value}"
                for key, value in done.items()
            )
            sys.stderr.write(f"\r\x1b[2K{self._label}: {text}")
            sys.stderr.flush()

    def end(self) -> None:
        """Clear the line."""
        if self._live:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
