"""Places are 32-bit: an arena that would outgrow them says so instead of pointing elsewhere."""

from __future__ import annotations

import pytest

from loader.codec.spans import MAX_BYTES, Arena
from loader.errors import NeedsOperator


def test_texts_get_places_behind_the_messages() -> None:
    arena = Arena(base=100, capacity=4)
    assert [arena.add(b"abc"), arena.add(b""), arena.add(b"defgh")] == [
        (100, 3),
        (103, 0),
        (103, 5),
    ]
    assert bytes(arena.array[: arena.used]) == b"abcdefgh"


@pytest.mark.parametrize("capacity", [0, 4])
def test_an_arena_that_outgrows_its_places_is_refused(capacity: int) -> None:
    with pytest.raises(NeedsOperator, match="2 GiB"):
        Arena(base=MAX_BYTES - 3, capacity=capacity).add(b"texts")
