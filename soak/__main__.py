"""``./scripts/soak``: exactly once on the real broker, under everything that can go wrong."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from pathlib import Path

from soak.options import parse
from soak.run import soak
from soak.summary import report


def main(argv: list[str]) -> int:
    """Run it; returns the exit status."""
    options, given = parse(argv)
    # Else a SIGTERM would leave the stack and the workers running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    def tell(text: str) -> None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    tell(f"soak: {options.events:,} events, {options.kills} kills, seed {options.seed}")
    if given.keep is not None:
        given.keep.mkdir(parents=True, exist_ok=True)
        if any(given.keep.iterdir()):
            tell(f"{given.keep} is not empty: name a new folder")
            return 2
        summary = soak(options, given.keep.absolute(), tell)
    else:
        with tempfile.TemporaryDirectory(prefix="heap-loader-soak-") as folder:
            summary = soak(options, Path(folder), tell)
    text = json.dumps(summary, indent=2)
    if given.out:
        given.out.write_text(text + "\n")
    sys.stdout.write(text + "\n" if given.json else report(summary))
    return 0 if summary["ok"] else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
