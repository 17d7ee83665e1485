"""``./scripts/soak``: exactly once on the real broker, under everything that can go wrong."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from soak.options import parse
from soak.run import soak


def main(argv: list[str]) -> int:
    """Run it; returns the exit status."""
    options, given = parse(argv)

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


def report(summary: dict[str, Any]) -> str:
    """The summary for people."""
    count, verify, kills = summary["count"], summary["verify"], summary["kills"]
    orphans = verify.get("orphans", {})
    moments = ", ".join(f"{number} {moment}" for moment, number in kills["by_moment"].items())
    harmed = {name: sum(kinds.values()) for name, kinds in summary["harmed"].items()}
    lines = [
        f"lost {summary['lost']}, twice {summary['twice']}",
        (
            f"{count['produced']:,} messages: {count['rows']:,} rows, {count['dead_lettered']:,} dead "
            f"letters ({count['letters_repeated']} repeated); {count['aborted']:,} aborted ones not read"
        ),
        (
            f"kills {kills['total']} ({moments}); {summary['freezes']} freezes, {summary['stops']} stops, "
            f"{summary['broker_kills']} of the broker, {summary['s3_stops']} of S3"
        ),
        (
            f"harmed requests: {harmed['s3']:,} to S3, {harmed['kafka']:,} to Kafka; "
            f"{summary['retries']:,} retries"
        ),
        f"{summary['starts']} starts; ends: "
        + ", ".join(f"{number} {verdict}" for verdict, number in summary["exits"].items()),
        (
            f"{summary['batches']:,} batches, {summary['files']:,} files, {summary['lost_batches']} "
            f"batches lost to another writer, {orphans.get('files', 0)} orphans"
        ),
        f"lake verify --deep: {'holds' if verify['ok'] else 'DOES NOT HOLD'}",
        (
            f"{summary['messages_per_second']:,} messages/s through it all, peak of a worker "
            f"{summary['peak_mb']:,.0f} MB, seconds {summary['seconds']}"
        ),
    ]
    wrong = {k: v for k, v in count.items() if v and isinstance(v, int)}
    normal = {"produced", "rows", "dead_lettered", "aborted", "letters_repeated"}
    lines += [f"WRONG {name}: {number:,}" for name, number in wrong.items() if name not in normal]
    lines += [*count["examples"], *count["faults"]]
    lines += [f"FINDING {finding}" for finding in summary["findings"]]
    lines.append("everything holds" if summary["ok"] else "A CHECK DID NOT HOLD")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
