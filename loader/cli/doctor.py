"""``heap-loader doctor``: what is missing, and the exact statement that mends it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from loader.cli.common import Json, console, context, grantee_of, print_json
from loader.errors import CheckFailed, UsageError

if TYPE_CHECKING:
    from loader.doctor.report import Check, Report
    from loader.warehouse.grants import Grantee

_COLOURS = {"ok": "green", "wanted": "yellow", "unknown": "yellow", "missing": "red"}


def doctor(
    *,
    only: Annotated[
        list[str] | None, typer.Option(help="Only kafka, lake or warehouse; may be given again.")
    ] = None,
    analysts: Annotated[
        str | None,
        typer.Option(
            help="Print what lets them read: a user, 'group NAME' or 'role NAME'.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Check every endpoint and every right that the loader will need, by trying it.

    Changes nothing: rights in the warehouse are tried in transactions that are rolled back. Prints the
    statement that gives what is missing, and who may run it. Exit status 3 if something is missing.

    Example: heap-loader doctor --only warehouse
    """
    from loader.doctor.examine import PARTS, examine

    wrong = sorted(set(only or ()) - set(PARTS))
    if wrong:
        raise UsageError(f"--only {wrong[0]}: it is one of {', '.join(PARTS)}.")
    settings = context.settings()
    grantee = None if analysts is None else grantee_of(analysts)
    report = examine(settings, only or PARTS, _progress)
    owner = report.facts.get("user", settings.warehouse.user)
    blocks = _analysts(analysts or "", grantee, settings.warehouse.db_schema, owner)
    if json:
        print_json({**report.document(), **({"analysts": blocks} if blocks else {})})
    else:
        _show(report, settings.warehouse.db_schema)
        for title, lines in blocks.items():
            typer.echo(f"\n{title}:")
            for line in lines:
                typer.echo(f"  {line}")
    if not report.holds:
        count = len(report.missing)
        raise CheckFailed(
            f"{count} of {len(report.checks)} checks did not hold.",
            hint="" if json else "What mends them stands above.",
        )


def _progress(part: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[2Kchecking: {part}\r")
        sys.stderr.flush()


def _show(report: Report, schema: str) -> None:
    out = console()
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[2K")
    for name, value in report.facts.items():
        out.print(f"{name:12}{value}", markup=False)
    area = ""
    for check in report.checks:
        if check.area != area:
            area = check.area
            out.print(f"\n[bold]{area}[/]")
        _show_check(check)
    if report.foreign:
        out.print(f"\n[bold]not ours in {schema}[/]: {', '.join(report.foreign)}")
        out.print("They are left alone. Nothing else should live in the schema: move them away.")
    out.print()


def _show_check(check: Check) -> None:
    from loader.doctor.text import WIDTH, body, mark

    out = console()
    out.print(f"  [{_COLOURS[check.state.value]}]{mark(check):{WIDTH}}[/]", end="")
    out.print(check.name, markup=False)
    for line in body(check):
        # Whole, however narrow the terminal: it is there to be copied.
        out.print(line, markup=False, soft_wrap=True)


def _analysts(who: str, grantee: Grantee | None, schema: str, owner: str) -> dict[str, list[str]]:
    if grantee is None:
        return {}
    from loader.warehouse.grants import reader_rights

    return {
        f"For {who} to read": list(reader_rights(schema, owner, grantee, "SELECT")),
        f"For {who} to do everything": list(reader_rights(schema, owner, grantee, "ALL")),
    }
