"""The console script: one command a job, no logic. Heavy libraries load with the job that needs them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from loader import __version__
from loader.cli import (
    configuration,
    dead_letters,
    demo,
    doctor,
    events,
    jobs,
    laptop,
    operators,
    setup,
)
from loader.cli.common import configure_logs, context
from loader.errors import LoaderError

app = typer.Typer(
    name="heap-loader",
    help="Product-analytics events from Kafka to a Parquet lake on S3 to Redshift tables, exactly once.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Try it: heap-loader demo",
)
app.command()(jobs.consume)
app.command()(jobs.reconcile)
app.command()(jobs.sync)
app.command()(jobs.status)
app.command()(operators.lag)
app.command()(setup.setup)
app.command()(doctor.doctor)
app.add_typer(operators.lake, name="lake")
app.add_typer(events.app, name="events")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(laptop.app, name="local")
app.command()(laptop.simulate)
app.command()(demo.demo)
app.add_typer(configuration.app, name="config")


def _version(*, value: bool) -> None:
    if value:
        typer.echo(f"heap-loader {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            help="Configuration file. Default: $HEAP_LOADER_CONFIG, else ./heap-loader.toml.",
            show_default=False,
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Show more.")] = False,
    version: Annotated[  # noqa: ARG001 - handled by its callback
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of every command."""
    context.config = config
    context.verbose = verbose
    configure_logs()


def main() -> None:
    """Run a command; errors become one or two lines on stderr and the promised exit status."""
    try:
        app()
    except LoaderError as error:
        _complain(error.message, error.hint)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _complain("Interrupted.", "")
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe went away; there is nobody left to tell.
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:
        if context.verbose:
            raise
        _complain(
            f"Unexpected {type(error).__name__}: {error}",
            "Run again with -v for the traceback, and please report it.",
        )
        sys.exit(1)


def _complain(message: str, hint: str) -> None:
    red, dim, reset = ("\x1b[31m", "\x1b[2m", "\x1b[0m") if sys.stderr.isatty() else ("", "", "")
    sys.stderr.write(f"{red}error:{reset} {message}\n")
    if hint:
        sys.stderr.write(f"{dim}{hint}{reset}\n")
