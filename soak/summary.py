"""The summary of a run: as a document for programs, as lines for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from soak.count import Count, document
from soak.lake import InLake
from soak.ledger import Place
from soak.options import Options
from soak.proxy import Route
from soak.stack import SoakStack
from soak.strikes import Strikes
from soak.workers import Worker

#: Numbers of the count that need not be 0.
_NORMAL: Final = frozenset({"produced", "rows", "dead_lettered", "aborted", "letters_repeated"})


def summarise(
    options: Options,
    stack: SoakStack,
    workers: Sequence[Worker],
    strikes: Strikes,
    counted: Count,
    lake: Mapping[Place, InLake],
    verified: Mapping[str, Any],
    findings: Sequence[str],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """Everything that is worth keeping; ``ok`` is the verdict."""
    found = [*findings, *strikes.findings, *(text for w in workers for text in w.findings)]
    exits = sum((worker.exits for worker in workers), Counter[str]())
    if exits["killed"] < options.kills:
        found.append(f"only {exits['killed']} of {options.kills} kills struck")
    struck = strikes.struck
    kills = {k.removeprefix("kill "): n for k, n in struck.items() if k.startswith("kill ")}
    return {
        "ok": counted.ok and bool(verified["ok"]) and not found,
        "lost": counted.lost,
        "twice": counted.twice,
        "count": document(counted),
        "verify": dict(verified),
        "findings": found,
        "kills": {"total": exits["killed"], "by_moment": dict(sorted(kills.items()))},
        "broker_kills": struck["broker"],
        "s3_stops": struck["s3"],
        "freezes": sum(number for what, number in struck.items() if what.startswith("freeze ")),
        "struck": dict(sorted(struck.items())),
        "stops": struck["stop"],
        "starts": sum(worker.starts for worker in workers),
        "exits": dict(sorted(exits.items())),
        "batches": sum(each.batches for each in lake.values()),
        "files": sum(each.files for each in lake.values()),
        "lost_batches": sum(worker.lost_batches for worker in workers),
        "retries": sum(worker.said["retry"] for worker in workers),
        "requests": {"s3": _turns(stack.s3_routes), "kafka": _turns(stack.kafka_routes)},
        "harmed": {"s3": _harmed(stack.s3_routes), "kafka": _harmed(stack.kafka_routes)},
        "peak_mb": round(max(worker.peak_mb for worker in workers), 1),
        "messages_per_second": round(counted.produced / (seconds["faults"] + seconds["catch up"])),
        "seconds": dict(seconds),
        "options": {name: getattr(options, name) for name in Options.__slots__},
        "schedule": [f.document() for f in (*strikes.of_workers, *strikes.of_servers)],
    }


def _turns(routes: Iterable[Route]) -> dict[str, int]:
    return dict(sorted(sum((route.turns for route in routes), Counter[str]()).items()))


def _harmed(routes: Iterable[Route]) -> dict[str, int]:
    total = sum((route.harmed for route in routes), Counter[tuple[str, str]]())
    return {f"{fault} {request}": number for (fault, request), number in sorted(total.items())}


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
    lines += [f"WRONG {name}: {number:,}" for name, number in wrong.items() if name not in _NORMAL]
    lines += [*count["examples"], *count["faults"]]
    lines += [f"FINDING {finding}" for finding in summary["findings"]]
    lines.append("everything holds" if summary["ok"] else "A CHECK DID NOT HOLD")
    return "\n".join(lines) + "\n"
