"""``heap-loader setup``: questions on a terminal, flags without one; a configuration in the end."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loader.cli.common import Json, grantee_of, print_json
from loader.errors import LoaderError, UsageError

if TYPE_CHECKING:
    from loader.config import Settings
    from loader.setup.answers import Answers
    from loader.warehouse.grants import Grantee


def option(help_text: str, least: int | None = None) -> Any:
    """A flag without a default: what is not given is asked for."""
    return typer.Option(help=help_text, show_default=False, min=least)


def setup(
    *,
    host: Annotated[str | None, option("The cluster's or workgroup's endpoint.")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Its port.")] = 5439,
    database: Annotated[str | None, option("Database.")] = None,
    user: Annotated[str | None, option("Database user of the loader.")] = None,
    password_from: Annotated[
        str | None,
        option("file:PATH (asked for and written where it is not there), command:..., or env."),
    ] = None,
    iam: Annotated[bool, typer.Option("--iam", help="Temporary passwords from AWS.")] = False,
    iam_role: Annotated[str | None, option("Role with which COPY reads the lake.")] = None,
    lake: Annotated[str | None, option("s3://bucket/prefix.")] = None,
    kafka: Annotated[str | None, option("Kafka's host:port, comma-separated.")] = None,
    project: Annotated[str | None, option("The schema's name: project ...")] = None,
    environment: Annotated[str | None, option("... and environment.")] = None,
    schema: Annotated[str | None, option("Or the schema's name as it is.")] = None,
    sslmode: Annotated[str | None, option("verify-full, verify-ca or disable.")] = None,
    tunnel_host: Annotated[str | None, option("A bastion to go through.")] = None,
    tunnel_port: Annotated[int, typer.Option(min=1, max=65535, help="Its SSH port.")] = 22,
    tunnel_user: Annotated[str, typer.Option(help="Its user.")] = "heap",
    tunnel_key: Annotated[
        Path | None,
        option("Its private key; made where it is not there. Default: ./heap-loader.key."),
    ] = None,
    known_hosts: Annotated[str | None, option("Default: ~/.ssh/known_hosts.")] = None,
    pageviews: Annotated[
        int | None, option("A month, for the size of the cluster.", least=1)
    ] = None,
    sessions: Annotated[int | None, option("Or sessions a month.", least=1)] = None,
    figures: Annotated[Path | None, option("What ./scripts/bench warehouse --out wrote.")] = None,
    analysts: Annotated[
        str, typer.Option(help="Who reads: a user, 'group NAME' or 'role NAME'.")
    ] = "group analysts",
    output: Annotated[Path, typer.Option(help="The file to write.")] = Path("heap-loader.toml"),
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Write over the file's [warehouse]; the old one is kept."),
    ] = False,
    check: Annotated[bool, typer.Option(help="Log in and look at the schema.")] = True,
    json: Json = False,
) -> None:
    """Write a configuration from questions or flags, and print what others have to be asked for.

    On a terminal what no flag gives is asked for; without one it is an error that names the flag.
    Secrets never stand in the file: it says where they are. Nothing in the warehouse is changed.

    Example: heap-loader setup --host c1.abc.eu-central-1.redshift.amazonaws.com --password-from env
    """
    from loader.setup import answers as made
    from loader.setup import bastion, sizing

    # What can be wrong with the flags is found before anything is made.
    grantee = grantee_of(analysts)
    measured = sizing.read_figures(figures) if figures else ()
    ask = _Asker()
    host = ask.text("Endpoint of the cluster or workgroup", "--host", host)
    database = ask.text("Database", "--database", database, "dev")
    user = ask.text("Database user", "--user", user, "heap")
    name = ask.text("Schema", "--schema", schema, made.schema_of(project, environment))
    password = None if iam else _password(ask, password_from)
    if tunnel_host is None and ask.terminal:
        tunnel_host = ask.text("Bastion to go through (empty for none)", "", None, "") or None
    tunnel: dict[str, Any] = {}
    prepare: tuple[str, ...] = ()
    if tunnel_host is not None:
        key = (tunnel_key or Path("heap-loader.key")).expanduser().absolute()
        public = bastion.ensure_key(key, comment=f"heap-loader for {name}")
        prepare = bastion.commands(tunnel_user, public)
        tunnel = {
            "host": tunnel_host,
            "port": tunnel_port,
            "username": tunnel_user,
            "private_key_file": str(key),
            "known_hosts": known_hosts,
        }
    answers = made.Answers(
        warehouse={
            "host": host,
            "port": port,
            "database": database,
            "user": user,
            "schema": name,
            "sslmode": sslmode,
            "authentication": "iam" if iam else None,
            "copy": {"iam_role": iam_role} if iam_role else None,
        },
        tunnel=tunnel,
        password=password,
        others={"kafka": {"bootstrap_servers": kafka}, "lake": {"url": lake}},
    )
    document = answers.document()
    settings = made.settings_of(document, output)
    if prepare and not json:
        _block(f"On the bastion {tunnel_host}, as root:", prepare)
        ask.wait("Press Enter when that is done")
    found, error = _look(settings) if check else ({}, None)
    if output.exists() and not replace:
        replace = ask.yes(f"{output} exists. Write its [warehouse] anew and keep the rest?")
    old = made.write(output, document, replace=replace)
    count = pageviews or (sessions * sizing.PAGEVIEWS_A_SESSION if sessions else None)
    size = tuple(sizing.advice(count, measured)) if count else ()
    blocks = _blocks(settings, found, analysts, grantee)
    if json:
        print_json(
            {
                "config": str(output),
                "kept": str(old) if old else None,
                "bastion": list(prepare),
                "found": found,
                "error": str(error) if error else None,
                "sql": {title: list(lines) for title, lines in blocks.items()},
                "sizing": list(size),
            }
        )
    else:
        _tell(settings, answers, found, size, output, old)
        for title, lines in blocks.items():
            _block(title, lines)
        typer.echo("\nNext: heap-loader doctor")
    if error is not None:
        raise error


def _look(settings: Settings) -> tuple[dict[str, Any], LoaderError | None]:
    """What the cluster says; an unreachable one does not keep the configuration from being written."""
    from loader.errors import NeedsOperator
    from loader.setup.first_look import first_look

    try:
        look = first_look(settings.warehouse)
    except NeedsOperator:
        raise
    except LoaderError as error:
        return {}, error
    return {"user": look.user, "seen_from": look.seen_from, "continued": look.continued}, None


def _password(ask: _Asker, given: str | None) -> Any:
    from loader.setup.answers import Password

    text = ask.text(
        "Where is the password? file:PATH, command:..., or env",
        "--password-from",
        given,
        "file:heap-loader.password" if ask.terminal else None,
    )
    password = Password.parse(text)
    if password.kind != "file":
        return password
    path = Path(password.value).expanduser().absolute()
    if not path.exists():
        secret = ask.secret(f"Password (written to {path}, readable by you alone)", path)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secret + "\n")
    return Password("file", str(path))


def _blocks(
    settings: Settings, found: dict[str, Any], analysts: str, grantee: Grantee
) -> dict[str, tuple[str, ...]]:
    """SQL for others to run, by what it is for."""
    from loader.warehouse import grants

    warehouse = settings.warehouse
    user = str(found.get("user", warehouse.user))
    schema = warehouse.db_schema
    return {
        "For the loader's user, to be run by a superuser:": grants.loader_rights(
            warehouse.database, schema, user
        ),
        "Or, where it may do everything:": (grants.create_user(user), grants.make_superuser(user)),
        f"After the first sync, for {analysts} to read:": grants.reader_rights(
            schema, user, grantee, "SELECT"
        ),
        f"After the first sync, for {analysts} to do everything:": grants.reader_rights(
            schema, user, grantee, "ALL"
        ),
    }


def _tell(
    settings: Settings,
    answers: Answers,
    found: dict[str, Any],
    size: tuple[str, ...],
    output: Path,
    old: Path | None,
) -> None:
    from loader.setup.first_look import own_address

    typer.echo(f"\nWrote {output} (mode 600)" + (f"; the old one is {old}" if old else "") + ".")
    if answers.password is not None and answers.password.kind == "env":
        typer.echo("The password is read from HEAP_LOADER_WAREHOUSE__PASSWORD.")
    warehouse = settings.warehouse
    if found:
        typer.echo(f"The cluster sees us come from: {found['seen_from']}")
        if found["continued"]:
            typer.echo(
                f"The schema {warehouse.db_schema} is there and is the loader's: it goes on."
            )
    else:
        target = warehouse.ssh_tunnel.host or warehouse.host
        address = own_address(target, warehouse.port)
        typer.echo(
            f"To be let in: {address} (this machine's address; behind NAT it is another one)"
        )
    for line in size:
        typer.echo(line)


def _block(title: str, lines: tuple[str, ...]) -> None:
    typer.echo(f"\n{title}")
    for line in lines:
        typer.echo(f"  {line}")


class _Asker:
    """Asks on a terminal; without one a missing answer is an error that names its flag."""

    def __init__(self) -> None:
        self.terminal = sys.stdin.isatty() and sys.stdout.isatty()

    def text(
        self,
        question: str,
        flag: str,
        given: str | None,
        default: str | None = None,
    ) -> str:
        if given is not None:
            return given
        if self.terminal:
            return str(typer.prompt(question, default=default, show_default=bool(default)))
        if default is not None:
            return default
        raise UsageError(f"{flag} is missing.", hint="Without a terminal nothing can be asked for.")

    def secret(self, question: str, path: Path) -> str:
        if self.terminal:
            return str(typer.prompt(question, hide_input=True))
        raise UsageError(f"{path} (--password-from) does not exist.")

    def yes(self, question: str) -> bool:
        return self.terminal and typer.confirm(question, default=False)

    def wait(self, text: str) -> None:
        if self.terminal:
            typer.prompt(text, default="", show_default=False)
