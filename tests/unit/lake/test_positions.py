"""Where reading begins, and the five cases in which only a person may decide."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loader.errors import NeedsOperator
from loader.lake.positions import Evidence, offset_out_of_range, start_offset

KNOWN = Evidence(
    topic="heap.events",
    partition=3,
    topic_id="id",
    chain_next=50,
    chain_topic_id="id",
    committed=50,
    log_start=10,
    high_watermark=90,
)
FRESH = replace(KNOWN, chain_next=None, chain_topic_id=None, committed=None)


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (KNOWN, 50),
        (replace(KNOWN, committed=None), 50),
        (replace(KNOWN, committed=20), 50),
        (replace(KNOWN, log_start=50), 50),
        (replace(KNOWN, high_watermark=50), 50),
        (FRESH, 10),
        (replace(FRESH, committed=10), 10),
        (replace(FRESH, committed=0), 10),
    ],
)
def test_the_lake_decides_where_to_begin(evidence: Evidence, expected: int) -> None:
    assert start_offset(evidence) == expected


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        (replace(KNOWN, log_start=60), r"offsets 50 to 59 are gone from Kafka"),
        (replace(KNOWN, high_watermark=40), r"read up to offset 50, Kafka ends at 40"),
        (replace(KNOWN, committed=70), r"committed offset 70, the lake ends at 50"),
        (replace(KNOWN, topic_id="other"), r"deleted and made again"),
        (replace(FRESH, committed=30), r"committed offset 30, the lake has nothing"),
    ],
)
def test_what_could_lose_data_stops_with_the_range_named(evidence: Evidence, message: str) -> None:
    with pytest.raises(NeedsOperator, match=message) as stopped:
        start_offset(evidence)
    assert "heap.events[3]" in stopped.value.message
    assert stopped.value.hint
    assert stopped.value.exit_code == 5


@pytest.mark.parametrize(
    ("evidence", "position", "message"),
    [
        (
            replace(KNOWN, log_start=80),
            70,
            r"heap\.events\[3\]: offsets 70 to 79 are gone from Kafka",
        ),
        (KNOWN, 95, r"read up to offset 95, Kafka ends at 90: the log was truncated"),
        (replace(KNOWN, topic_id="other"), 70, r"deleted and made again"),
        (KNOWN, 70, r"refused offset 70, though it has 10 to 89 now: truncated"),
        (FRESH, 5, r"offsets 5 to 9 are gone"),
    ],
)
def test_an_offset_that_is_refused_in_mid_flight_is_explained_as_at_the_start(
    evidence: Evidence, position: int, message: str
) -> None:
    stopped = offset_out_of_range(evidence, position, "truncated")
    assert stopped.hint
    with pytest.raises(NeedsOperator, match=message):
        raise stopped
