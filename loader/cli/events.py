"""``heap-loader events``: labelled events, kept as files under version control."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loader.cli.common import Json, console, context, print_json

app = typer.Typer(help="Labelled events: apply files, list what is defined.", no_args_is_help=True)


@app.command(epilog="Example: heap-loader events apply events/")
def apply(
    path: Annotated[Path, typer.Argument(help="A YAML file, or a folder of them.")],
    *,
    json: Json = False,
) -> None:
    """Publish new and changed definitions; unchanged ones are left alone.

    Nothing is published if any file is wrong. `reconcile` takes them over, the next `sync` fills
    their tables with the whole history.
    """
    from loader.reconciler.definition_files import apply_definitions, read_definitions

    lines: list[str] = []
    applied = apply_definitions(context.settings(), read_definitions(path), lines.append)
    if json:
        print_json(applied)
    else:
        for line in lines:
            typer.echo(line)


@app.command("list", epilog="Example: heap-loader events list --json")
def list_(*, json: Json = False) -> None:
    """Show the definitions in the registry and the table of each."""
    from rich.table import Table

    from loader.model.definitions import to_document
    from loader.reconciler.definition_files import list_definitions

    definitions = list_definitions(context.settings())
    if json:
        print_json([{**to_document(d), "table": d.table_name} for d in definitions])
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("id", "table", "source", "event", "state"):
        table.add_column(heading)
    for d in definitions:
        state = "archived" if d.archived else "synced" if d.enabled else "paused"
        table.add_row(d.id, d.table_name, d.source, d.event or "", state)
    console().print(table)
