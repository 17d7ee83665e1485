"""A short soak: workers killed while events flow, S3 restarted, connections cut after the effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from soak.options import Options
from soak.run import soak

OPTIONS = Options(
    events=60_000,
    kills=5,
    stops=0,
    freezes=1,
    broker_kills=0,
    s3_stops=1,
    seconds=15.0,
    seed=35,
    faults=0.15,
)


# A machine that is busy with other things may need minutes; an idle one takes one.
@pytest.mark.timeout(900)
def test_no_offset_is_lost_and_none_is_there_twice(tmp_path: Path) -> None:
    lines: list[str] = []
    summary = soak(OPTIONS, tmp_path, lines.append)
    told = "\n".join([*lines, *summary["findings"], *summary["count"]["examples"]])
    assert summary["ok"], told
    assert (summary["lost"], summary["twice"]) == (0, 0), told
    # The faults did strike: else the run says nothing.
    assert summary["kills"]["total"] >= OPTIONS.kills
    assert (summary["freezes"], summary["s3_stops"]) == (1, 1)
    assert sum(summary["harmed"]["s3"].values()) > 0
    count = summary["count"]
    assert count["produced"] == count["rows"] + count["dead_lettered"] > OPTIONS.events
    assert count["dead_lettered"] > 0
    assert count["aborted"] > 0
