"""``heap-loader config``: check, show, reference."""

from __future__ import annotations

import typer

from loader.cli.common import Json, context, print_json

app = typer.Typer(help="The configuration: check it, show it, explain it.", no_args_is_help=True)


@app.command(epilog="Example: heap-loader --config prod.toml config check")
def check() -> None:
    """Read the configuration and say whether it is right."""
    # Imported late: the client's library takes a while, and `show` needs none.
    from loader.kafka.clients import check_properties

    check_properties(context.settings().kafka)
    typer.echo("The configuration is right.")


@app.command(epilog="Example: HEAP_LOADER_BATCH__MAX_AGE=5s heap-loader config show")
def show(*, json: Json = False) -> None:
    """Print what is in force, environment included, with secrets hidden."""
    from loader.config_text import as_toml, shown

    document = shown(context.settings())
    if json:
        print_json(document)
    else:
        typer.echo(as_toml(document), nl=False)


@app.command(epilog="Example: heap-loader config reference > heap-loader.toml")
def reference() -> None:
    """Print the full commented reference with every default."""
    from loader.config_text import reference as text

    typer.echo(text(), nl=False)
