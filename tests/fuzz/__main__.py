"""Fuzz a decoder against the reference: ``python -m tests.fuzz json --messages 1000000 --seed 1``.

Prints what came of the messages; ends with status 1 and the message at the first difference.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time

from tests.fuzz.compare import Different, Figures
from tests.fuzz.run import SOURCES, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("format", choices=sorted(SOURCES))
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started, cpu = time.perf_counter(), time.process_time()
    figures, shown = Figures(), started
    try:
        for figures in run(options.format, messages=options.messages, seed=options.seed):
            if time.perf_counter() - shown > 30:
                shown = time.perf_counter()
                print(f"{figures.messages} messages", file=sys.stderr, flush=True)
    except Different as fault:
        print(f"after {figures.messages} messages, seed {options.seed}: {fault}")
        return 1
    print(f"messages     {figures.messages}, all judged alike")
    print(f"rows         {figures.rows}")
    print(f"dead letters {figures.refused.total()}")
    for reason, count in figures.refused.most_common():
        print(f"  {reason:<14} {count}")
    print(f"to reference {figures.reference}, of which it accepted {figures.accepted}")
    print(
        f"seconds      {time.perf_counter() - started:.0f} ({time.process_time() - cpu:.0f} of CPU)"
    )
    print(f"peak RSS     {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
