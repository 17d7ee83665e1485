"""Batches of Avro messages of many writers, some of them broken."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count

from loader.codec.avro_schema import reader_schema
from tests.fuzz.avro_messages import ManyWriters, accident, message
from tests.fuzz.compare import BATCH, CONTRACTS, Batch
from tests.support.avro_writers import pair_of_decoders, reader_with_more

#: New writers come after so many batches.
_SAME_WRITERS = 40


def batches(seed: int) -> Iterator[Batch]:
    """Without end; the same seed gives the same ones."""
    draw = random.Random(seed)
    for made in count():
        schemas = ManyWriters(seed * 1000 + made)
        pairs = {
            name: pair_of_decoders(
                name, schemas, reader_schema(name) if made % 4 == 3 else reader_with_more(name)
            )
            for name in CONTRACTS
        }
        for _ in range(_SAME_WRITERS):
            name = draw.choice(CONTRACTS)
            values: list[bytes | None] = []
            for _ in range(BATCH):
                faults = draw.choice([0.0, 0.0, 0.02, 0.1])
                value: bytes | None = message(draw, name, schemas, faults=faults)
                if draw.random() < 0.25 and value:
                    value = accident(draw, value)
                values.append(value)
            yield Batch(*pairs[name], values, about=f"{name}, schemas of seed {seed * 1000 + made}")
