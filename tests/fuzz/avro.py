"""Fuzz the Avro decoder against the reference: ``python -m tests.fuzz.avro --messages 1000000 --seed 1``.

Prints what came of the messages; ends with status 1 and the message at the first difference.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence

from loader.codec.avro_schema import reader_schema
from loader.codec.contract import Decoder
from loader.codec.fields import ContractName
from tests.fuzz.avro_messages import ManyWriters, accident, message
from tests.support.avro_writers import pair_of_decoders, reader_with_more

_BATCH = 500
_SEEDS_OF_SCHEMAS = 20_000


class Different(AssertionError):
    """Two decoders judged a message differently."""


def difference(
    fast: Decoder, slow: Decoder, values: Sequence[bytes | None], counts: Counter[str]
) -> str:
    """What differs, or nothing; counts what came out."""
    got, expected = fast.decode(values), slow.decode(values)
    rows = got.rows
    rows.validate(full=True)
    same = {
        "rejected": got.rejected == expected.rejected,
        "positions": got.positions.tolist() == expected.positions.tolist(),
        "rows": rows.equals(expected.rows),
        "schema ids": got.schema_ids.tolist() == expected.schema_ids.tolist(),
        "unknown fields": got.unknown_fields == expected.unknown_fields,
    }
    counts["messages"] += len(values)
    counts["rows"] += len(got.positions)
    counts["to reference"] += got.reference_rows
    counts["accepted by reference"] += got.reference_rows - len(got.rejected)
    counts.update(f"refused: {refusal.reason}" for refusal in got.rejected)
    return ", ".join(what for what, holds in same.items() if not holds)


def fewest(fast: Decoder, slow: Decoder, values: list[bytes | None]) -> list[bytes | None]:
    """One message of those that shows a difference by itself, or all of them."""
    for value in values:
        if difference(fast, slow, [value], Counter()):
            return [value]
    return values


def run(messages: int, seed: int) -> Counter[str]:
    """Compare at least so many messages.

    Raises:
        Different: the decoders do not agree.
    """
    draw = random.Random(seed)
    counts: Counter[str] = Counter()
    made = 0
    while counts["messages"] < messages:
        if counts["messages"] >= made * _SEEDS_OF_SCHEMAS:
            schemas = ManyWriters(seed * 1000 + made)
            made += 1
            names: tuple[ContractName, ContractName] = ("events", "user_updates")
            pairs = {
                name: pair_of_decoders(
                    name, schemas, reader_with_more(name) if made % 4 else reader_schema(name)
                )
                for name in names
            }
        name = draw.choice(names)
        values: list[bytes | None] = []
        for _ in range(min(_BATCH, messages - counts["messages"])):
            faults = draw.choice([0.0, 0.0, 0.02, 0.1])
            value: bytes | None = message(draw, name, schemas, faults=faults)
            if draw.random() < 0.25 and value:
                value = accident(draw, value)
            values.append(value)
        what = difference(*pairs[name], values, counts)
        if what:
            shown = fewest(*pairs[name], values)
            raise Different(f"{name}, schemas of seed {seed * 1000 + made - 1}, {what}: {shown!r}")
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.avro", description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started, cpu = time.perf_counter(), time.process_time()
    try:
        counts = run(options.messages, options.seed)
    except Different as fault:
        sys.stdout.write(f"seed {options.seed}: {fault}\n")
        return 1
    lines = [f"{what:<24} {count}" for what, count in sorted(counts.items())]
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    lines.append(f"{'seconds, of CPU':<24} {seconds:.0f}, {cpu:.0f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write("\n".join([*lines, f"{'peak RSS, MiB':<24} {peak:.0f}\n"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
