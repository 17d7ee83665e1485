"""Batches of one format, compared one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from loader.codec.fields import FormatName
from tests.fuzz import avro, json
from tests.fuzz.compare import Batch, Figures, compare

#: By format, from a seed, batches without end.
SOURCES: Final[dict[FormatName, Callable[[int], Iterator[Batch]]]] = {
    "avro": avro.batches,
    "json": json.batches,
}


def run(written: FormatName, *, messages: int, seed: int) -> Iterator[Figures]:
    """Compare at least so many messages; the same seed gives the same ones.

    Yields:
        The figures so far, the same object each time, after every batch.

    Raises:
        Different: the decoders do not agree.
    """
    figures = Figures()
    for batch in SOURCES[written](seed):
        compare(batch, figures)
        yield figures
        if figures.messages >= messages:
            break
