"""The vectorised reader of times against ``datetime``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.codec.iso_times import parse_iso

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def parse(texts: list[str]) -> tuple[list[int], list[bool]]:
    encoded = [text.encode() for text in texts]
    lengths = np.array([len(text) for text in encoded], np.int64)
    data = np.frombuffer(b"".join(encoded), np.uint8)
    micros, good = parse_iso(data, np.cumsum(lengths) - lengths, lengths)
    return micros.tolist(), good.tolist()


@settings(deadline=None)
@given(st.lists(st.datetimes(timezones=OFFSETS), min_size=1, max_size=20))
def test_every_moment_is_read(moments: list[datetime]) -> None:
    micros, good = parse([moment.isoformat() for moment in moments])
    assert all(good)
    assert micros == [(moment - EPOCH) // timedelta(microseconds=1) for moment in moments]


@settings(deadline=None, max_examples=300)
@given(st.datetimes(), st.integers(0, 40), st.characters(codec="utf-8"))
def test_a_text_with_one_wrong_character_is_never_read_wrongly(
    moment: datetime, place: int, wrong: str
) -> None:
    text = moment.isoformat() + "Z"
    changed = text[:place] + wrong + text[place + 1 :]
    (micros,), (good,) = parse([changed])
    if good:
        read = datetime.fromisoformat(changed)
        assert micros == (read - EPOCH) // timedelta(microseconds=1)
