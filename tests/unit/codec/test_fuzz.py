"""A few thousand broken messages in every run, and that a difference would be seen.

A long search: ``./scripts/fuzz json --messages 1000000 --seed 1``.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from loader.codec.contract import Decoded
from loader.codec.decoders import decoder
from loader.codec.fields import FormatName
from loader.codec.schemas import ShippedSchemas
from tests.fuzz.compare import Different, Figures, compare
from tests.fuzz.mutate import mutate
from tests.fuzz.run import run
from tests.fuzz.seeds import SEEDS

EVENT = b'{"event_id":1,"user_id":2,"session_id":3,"time":4,"type":"click"}'


@pytest.mark.parametrize("written", sorted(SEEDS))
def test_broken_messages_are_judged_alike(written: FormatName) -> None:
    *_, figures = run(written, messages=4000, seed=random.randrange(1 << 32))
    assert figures.messages == 4000
    # Neither kind is rare, or this would prove little.
    assert figures.rows > 400
    assert figures.refused.total() > 400


def test_the_same_seed_gives_the_same_messages() -> None:
    one, other = (
        [mutate(draw, SEEDS["json"](draw, "events")) for _ in range(200)]
        for draw in (random.Random(7), random.Random(7))
    )
    assert one == other
    assert len(set(one)) > 150


class Forgetful:
    """A decoder that never sees one message."""

    def __init__(self) -> None:
        self._decoder = decoder("events", "json", ShippedSchemas())

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        return self._decoder.decode([None if value == EVENT else value for value in values])


def test_a_difference_is_told_with_the_message_that_shows_it() -> None:
    good = decoder("events", "json", ShippedSchemas())
    compare(Forgetful(), good, [b"{", b"", None], Figures())
    with pytest.raises(Different) as fault:
        compare(Forgetful(), good, [b"{", b"", EVENT, None, b"[]"], Figures())
    assert str(fault.value) == f"rejected: [{EVENT!r}]"
