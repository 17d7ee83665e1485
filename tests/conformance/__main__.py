"""``./scripts/conformance``: the number of statements by kind, and how many hold."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter

from tests.conformance.case import KINDS
from tests.conformance.clients import CLIENTS
from tests.conformance.run import Outcome, Runner
from tests.conformance.target import place
from tests.conformance.topics import topics


def main() -> int:
    """Run what the options ask for; 1 where something does not hold."""
    parser = argparse.ArgumentParser(prog="./scripts/conformance", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--client", action="append", choices=CLIENTS, help="default: all")
    parser.add_argument("--topic", action="append", choices=list(topics()), help="default: all")
    given = parser.parse_args()
    chosen = [case for name, cases in topics().items() for case in cases
              if not given.topic or name in given.topic]  # fmt: skip
    outcomes: list[Outcome] = []
    with place() as where:
        started = time.monotonic()
        for client in given.client or CLIENTS:
            with Runner(client, where.target, where.lake, real=where.real) as runner:
                outcomes += runner.run(chosen)
        seconds = time.monotonic() - started
    document: dict[str, object] = {
        "target": "cluster" if where.real else "stand-in",
        "cases": len(chosen),
        "statements": sum(len(case.steps) for case in chosen),
        "seconds": round(seconds, 1),
        "kinds": {kind: _counts(outcomes, kind) for kind in KINDS},
        "faults": [
            {"case": o.case.name, "client": o.client, "source": o.case.source,
             "inferred": o.case.inferred, "fault": o.fault}
            for o in outcomes if o.fault
        ],
    }  # fmt: skip
    if given.json:
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        _show(document, outcomes)
    return 1 if document["faults"] else 0


def _counts(outcomes: list[Outcome], kind: str) -> dict[str, dict[str, int]]:
    """By client: how many cases of this kind were run, hold, and were left out."""
    by: dict[str, Counter[str]] = {}
    for one in outcomes:
        if one.case.kind == kind:
            state = "left_out" if one.skipped else "fail" if one.fault else "hold"
            by.setdefault(one.client, Counter(hold=0, fail=0, left_out=0))[state] += 1
    return {client: dict(count) for client, count in by.items()}


def _show(document: dict[str, object], outcomes: list[Outcome]) -> None:
    print(f"{document['cases']} cases, {document['statements']} statements against the "
          f"{document['target']}, {document['seconds']} s")  # fmt: skip
    print(f"{'kind':<14}{'client':<22}{'hold':>6}{'fail':>6}{'left out':>10}")
    for kind in KINDS:
        for client, count in _counts(outcomes, kind).items():
            print(
                f"{kind:<14}{client:<22}{count['hold']:>6}{count['fail']:>6}{count['left_out']:>10}"
            )
    for one in outcomes:
        if one.fault:
            print(f"\n{one.client}: {one.case.name}\n  {one.fault}\n  {one.case.source}")


if __name__ == "__main__":
    sys.exit(main())
