"""What every command shares: the configuration, the console, JSON on stdout."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from loader.config import Settings
    from loader.warehouse.grants import Grantee


@dataclass(slots=True)
class Context:
    """Global options."""

    config: Path | None = None
    verbose: bool = False

    def settings(self) -> Settings:
        """The configuration in force.

        Raises:
            UsageError: it is missing or wrong.
        """
        from loader.config import load

        return load(self.config)


#: Set by the main callback, before any command runs.
context = Context()

#: Columns of output that nobody looks at through a terminal.
_PLAIN_WIDTH = 180

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def console(*, stderr: bool = False) -> Console:
    """A console: colours and width of the terminal; without one plain text that is not cut."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else _PLAIN_WIDTH)


def grantee_of(analysts: str) -> Grantee:
    """Who is meant by ``--analysts``.

    Raises:
        UsageError: nobody.
    """
    from loader.errors import UsageError
    from loader.warehouse.grants import Grantee

    try:
        return Grantee.parse(analysts)
    except ValueError as error:
        raise UsageError(f"--analysts {analysts!r}: {error}.") from None


def short_time(iso: str | None) -> str:
    """An ISO time to the second, with a blank in the middle; empty for none."""
    return (iso or "")[:19].replace("T", " ")


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    import orjson

    options = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
    if sys.stdout.isatty():
        options |= orjson.OPT_INDENT_2
    sys.stdout.buffer.write(orjson.dumps(document, option=options, default=str))
    sys.stdout.buffer.flush()


def configure_logs() -> None:
    """Logs to stderr, by the global options."""
    from loader import logs

    logs.configure(verbose=context.verbose)
