"""``heap-loader local | simulate``: the whole system on one machine, with real parts."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from loader.cli.common import Json, console, context, print_json

app = typer.Typer(
    help="The laptop: Kafka, S3 and the Redshift stand-in, all on 127.0.0.1.", no_args_is_help=True
)

Directory = Annotated[
    Path, typer.Option("--dir", help="The stack's directory.", envvar="HEAP_LOADER_LOCAL_DIR")
]
_DEFAULT = Path(".heap-loader")


class Format(StrEnum):
    """How messages are encoded."""

    json = "json"
    avro = "avro"


@app.command(epilog="Example: heap-loader local up --dir .heap-loader")
def up(
    directory: Directory = _DEFAULT,
    *,
    kafka: Annotated[
        str | None, typer.Option(help="Use this broker (host:port) instead of starting one.")
    ] = None,
    json: Json = False,
) -> None:
    """Start what is not running, repair what is dead, return when all is healthy.

    Kafka is a given endpoint, else a container where a Docker engine answers, else a broker from
    its jars. DIR/heap-loader.toml is the configuration for this stack.
    """
    from loader.local.stack import Stack

    stack = Stack.open(directory, kafka)
    environment = stack.up(_reporter())
    if json:
        print_json(environment.document())
        return
    _print_status(stack)
    typer.echo(f"Configuration: {environment.config}")
    typer.echo(f"Go on: export HEAP_LOADER_CONFIG={environment.config}")


@app.command(epilog="Example: heap-loader local down --purge")
def down(
    directory: Directory = _DEFAULT,
    *,
    purge: Annotated[bool, typer.Option("--purge", help="Delete the data as well.")] = False,
) -> None:
    """End exactly the processes that this stack started."""
    from loader.local.stack import Stack

    Stack.open(directory).down(_reporter(), purge=purge)
    typer.echo(f"Stopped{', data deleted' if purge else '; the data stays'}.")


@app.command(epilog="Example: heap-loader local status --json")
def status(directory: Directory = _DEFAULT, *, json: Json = False) -> None:
    """Show each part: whether it runs, where, and where its log is."""
    from loader.local.stack import Stack

    stack = Stack.open(directory)
    parts = stack.status()
    if json:
        print_json(
            [
                {
                    "name": part.name,
                    "state": part.state,
                    "pid": part.pid,
                    "address": part.address,
                    "uptime_seconds": part.uptime,
                    "log": str(part.log) if part.log else None,
                    "detail": part.detail,
                }
                for part in parts
            ]
        )
    else:
        _print_status(stack)
    if any(part.state != "running" for part in parts):
        raise typer.Exit(3)


@app.command(epilog="Example: heap-loader local env --json | jq -r .kafka.bootstrap_servers")
def env(directory: Directory = _DEFAULT, *, json: Json = False) -> None:
    """Print the endpoints, secrets of the local stack included."""
    from loader.local.stack import environment

    document = environment(directory).document()
    if json:
        print_json(document)
        return
    for part, values in document.items():
        if isinstance(values, dict):
            for key, value in values.items():
                typer.echo(f"{part}.{key} = {value}")
        else:
            typer.echo(f"{part} = {values}")


@app.command(
    epilog="Example: heap-loader local psql -- -c 'select count(*) from main_production.users'",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def psql(arguments: typer.Context, directory: Directory = _DEFAULT) -> None:
    """Open the warehouse in psql; arguments after -- go to psql."""
    from loader.local.stack import environment, psql_command, psql_environment

    found = environment(directory)
    command = [*psql_command(found), *arguments.args]
    variables = {**os.environ, **psql_environment(found)}
    os.execve(command[0], command, variables)  # noqa: S606 - our own psql, no shell


def simulate(
    *,
    events: Annotated[int, typer.Option(help="Distinct well-formed events.")],
    users: Annotated[int, typer.Option(help="People of the simulated world.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Same seed and options, same bytes.")] = 1,
    days: Annotated[float, typer.Option(help="Days of event time that the events span.")] = 7.0,
    rate: Annotated[float | None, typer.Option(help="Events a second; none: at once.")] = None,
    format_: Annotated[
        Format | None, typer.Option("--format", help="Must be what the topics are configured for.")
    ] = None,
    duplicates: Annotated[float, typer.Option(help="Share of messages sent twice.")] = 0.01,
    late: Annotated[float, typer.Option(help="Share that arrives hours to days late.")] = 0.01,
    malformed: Annotated[float, typer.Option(help="Malformed messages, as a share.")] = 0.001,
    merges: Annotated[float, typer.Option(help="Share of sessions that identify.")] = 0.05,
    skip: Annotated[int, typer.Option(help="First event of the same world to show.")] = 0,
    oracle: Annotated[
        Path | None,
        typer.Option(
            help="Write what the tables should hold, given the sample events, to this folder."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Send realistic traffic to the topics: the same for the same seed.

    Example: heap-loader simulate --events 1000000 --seed 7
    """
    from loader.local.simulate import configured_format, sample_oracle, write_oracle
    from loader.local.simulate import simulate as run
    from loader.local.simulator.options import TrafficOptions

    settings = context.settings()
    live = sys.stderr.isatty()

    def show(sent: int) -> None:
        if live:
            sys.stderr.write(f"\r\x1b[2Ksimulate: {sent:,} messages")

    truth = sample_oracle() if oracle else None
    traffic = TrafficOptions(
        events=events,
        users=users,
        seed=seed,
        days=days,
        format=format_.value if format_ else configured_format(settings),
        duplicates=duplicates,
        late=late,
        malformed=malformed,
        merges=merges,
        skip=skip,
    )
    done = run(settings, traffic, rate=rate, oracle=truth, on_progress=show)
    if truth is not None and oracle is not None:
        write_oracle(truth, oracle)
    if live:
        sys.stderr.write("\r\x1b[2K")
    if json:
        print_json(done.document())
    else:
        topics = ", ".join(f"{count:,} to {topic}" for topic, count in done.messages.items())
        typer.echo(
            f"{sum(done.messages.values()):,} messages in {done.seconds:.1f} s "
            f"({sum(done.messages.values()) / done.seconds:,.0f}/s): {topics}."
        )


def _reporter() -> Any:
    """One line a step on stderr: a part, its state, a detail."""
    import threading

    lock = threading.Lock()

    def report(part: str, state: str, detail: str) -> None:
        with lock:
            typer.echo(f"{part:9} {state:10} {detail}".rstrip(), err=True)

    return report


def _print_status(stack: Any) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("part", "state", "address", "pid", "log"):
        table.add_column(heading)
    colours = {"running": "green", "unhealthy": "yellow", "dead": "red"}
    for part in stack.status():
        colour = colours.get(part.state, "dim")
        table.add_row(
            part.name,
            f"[{colour}]{part.state}[/]" + (f" {part.detail}" if part.detail else ""),
            part.address,
            str(part.pid or ""),
            str(part.log or ""),
        )
    console().print(table)
