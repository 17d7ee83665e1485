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
from loader.codec.spans import Messages
from tests.fuzz.compare import Batch, Different, Figures, compare
from tests.fuzz.run import SOURCES, run

EVENT = b'{"event_id":1,"user_id":2,"session_id":3,"time":4,"type":"click"}'


@pytest.mark.parametrize("written", sorted(SOURCES))
def test_broken_messages_are_judged_alike(written: FormatName) -> None:
    *_, figures = run(written, messages=4000, seed=random.randrange(1 << 32))
    assert figures.messages == 4000
    # Neither kind is rare, or this would prove little.
    assert figures.rows > 400
    assert figures.refused.total() > 400


@pytest.mark.parametrize("written", sorted(SOURCES))
def test_the_same_seed_gives_the_same_messages(written: FormatName) -> None:
    one, other = (next(SOURCES[written](7)).values for _ in range(2))
    assert one == other
    assert len(set(one)) > len(one) // 2


class Forgetful:
    """A decoder that never sees one message."""

    def __init__(self) -> None:
        self._decoder = decoder("events", "json", ShippedSchemas())

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        return self._decoder.decode([None if value == EVENT else value for value in values])

    def decode_joined(self, messages: Messages) -> Decoded:
        return self.decode([messages.value(place) for place in range(len(messages))])


def test_a_difference_is_told_with_the_message_that_shows_it() -> None:
    good = decoder("events", "json", ShippedSchemas())
    compare(Batch(Forgetful(), good, [b"{", b"", None]), Figures())
    with pytest.raises(Different) as fault:
        compare(Batch(Forgetful(), good, [b"{", b"", EVENT, None, b"[]"], "here"), Figures())
    assert str(fault.value) == f"here: rejected: [{EVENT!r}]"
