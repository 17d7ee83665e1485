"""Where a control partition is read from, and what only a person may decide."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loader.errors import NeedsOperator
from loader.reconciler.positions import Standing, read_from

FRESH = Standing("t", 0, "id-1", None, None, None, 0, 10)
READ = replace(FRESH, chain_next=5, chain_topic_id="id-1")


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        (FRESH, 0),
        (replace(FRESH, log_start=4), 4),
        (READ, 5),
        (replace(READ, committed=5), 5),
        (replace(READ, committed=2), 5),
        (replace(READ, log_start=5), 5),
        (replace(READ, chain_next=10), 10),
    ],
)
def test_the_chain_decides(standing: Standing, expected: int) -> None:
    assert read_from(standing) == expected


@pytest.mark.parametrize(
    ("standing", "named"),
    [
        (replace(READ, log_start=8), "control messages 5 to 7 are gone"),
        (replace(READ, high_watermark=4), "Kafka ends at 4"),
        (replace(READ, committed=9), "control messages 5 to 8 have no record"),
        (replace(FRESH, committed=3), "control messages 0 to 2 have no record"),
        (replace(READ, topic_id="id-2"), "deleted and made again"),
    ],
)
def test_a_loss_stops_and_names_the_range(standing: Standing, named: str) -> None:
    with pytest.raises(NeedsOperator, match=named):
        read_from(standing)
