"""Batches of broken JSON messages."""

from __future__ import annotations

import random
from collections.abc import Iterator

from loader.codec.decoders import decoder, reference_decoder
from loader.codec.schemas import ShippedSchemas
from tests.fuzz.compare import BATCH, CONTRACTS, Batch
from tests.fuzz.json_messages import message
from tests.fuzz.mutate import mutate


def batches(seed: int) -> Iterator[Batch]:
    """Without end; the same seed gives the same ones."""
    draw = random.Random(seed)
    schemas = ShippedSchemas()
    pairs = {
        name: (decoder(name, "json", schemas), reference_decoder(name, "json", schemas))
        for name in CONTRACTS
    }
    while True:
        name = draw.choice(CONTRACTS)
        values = [mutate(draw, message(draw, name)) for _ in range(BATCH)]
        yield Batch(*pairs[name], values, about=name)
