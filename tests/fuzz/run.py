"""Batches of mutated messages for both contracts, compared one after the other."""

from __future__ import annotations

import random
from collections.abc import Iterator

from loader.codec.decoders import decoder, reference_decoder
from loader.codec.fields import ContractName, FormatName
from loader.codec.schemas import ShippedSchemas
from tests.fuzz.compare import Figures, compare
from tests.fuzz.mutate import mutate
from tests.fuzz.seeds import SEEDS

_CONTRACTS: tuple[ContractName, ...] = ("events", "user_updates")
_BATCH = 500


def run(written: FormatName, *, messages: int, seed: int) -> Iterator[Figures]:
    """Compare at least so many messages; the same seed gives the same ones.

    Yields:
        The figures so far, the same object each time, after every batch.

    Raises:
        Different: the decoders do not agree.
    """
    draw = random.Random(seed)
    schemas = ShippedSchemas()
    pairs = {
        name: (decoder(name, written, schemas), reference_decoder(name, written, schemas))
        for name in _CONTRACTS
    }
    figures = Figures()
    while figures.messages < messages:
        name = draw.choice(_CONTRACTS)
        size = min(_BATCH, messages - figures.messages)
        values = [mutate(draw, SEEDS[written](draw, name)) for _ in range(size)]
        compare(*pairs[name], values, figures)
        yield figures
