"""Run the chosen parts on one stack, show them, and write them down."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench.entry import run_main
from bench.warehouse import copying, syncing
from bench.warehouse.parts import Context, Part, Report
from loader.local.stack import Stack

PARTS: tuple[Part, ...] = (copying.PART, syncing.PART)


def main(argv: Sequence[str]) -> int:
    """Run it."""
    options = _parse(argv)
    console = Console(stderr=True)
    reports: dict[str, Report] = {}
    with tempfile.TemporaryDirectory(prefix="heap-loader-bench-") as folder:
        stack = Stack.open(Path(folder) / "stack")
        try:
            console.print("starting the stack ...")
            environment = stack.up()
            for part in PARTS:
                if part.name in options.parts:
                    mine = Path(folder) / part.name
                    mine.mkdir()
                    context = Context(stack, environment, mine, options, console)
                    reports[part.name] = part.run(context)
        finally:
            stack.down(purge=True)
    shown = Console(width=140)
    for report in reports.values():
        for table in report.tables:
            shown.print(table)
    if options.out:
        document = {name: report.document for name, report in reports.items()}
        options.out.write_text(json.dumps(document, indent=2) + "\n")
    return 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    names = [part.name for part in PARTS]
    about = "; ".join(f"{part.name}: {part.about}" for part in PARTS)
    parser = argparse.ArgumentParser(prog="./scripts/bench warehouse", description=about)
    parser.add_argument("--parts", default=",".join(names), help=f"some of {','.join(names)}")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (default 3)")
    parser.add_argument("--out", type=Path, help="also write the figures here, as JSON")
    for part in PARTS:
        part.arguments(parser)
    options = parser.parse_args(argv)
    options.parts = [name.strip() for name in options.parts.split(",") if name.strip()]
    for name in options.parts:
        if name not in names:
            parser.error(f"--parts: {name!r} is none of {', '.join(names)}")
    if options.rounds < 1:
        parser.error("--rounds must be 1 or more")
    return options


if __name__ == "__main__":
    run_main(main)
