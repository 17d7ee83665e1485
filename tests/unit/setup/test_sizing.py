"""How large a cluster: the seed's own lines, today's nodes, and measured rows a second."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loader.errors import UsageError
from loader.setup.sizing import PAGEVIEWS_A_SESSION, advice, read_figures, tier_of


@pytest.mark.parametrize(
    ("pageviews", "dc2", "tables", "ra3", "rpu"),
    [
        (0, 4, 35, "3 x ra3.large", 8),
        (74_999_999, 4, 35, "3 x ra3.large", 8),
        (75_000_000, 8, 35, "3 x ra3.xlplus", 8),
        (149_999_999, 8, 35, "3 x ra3.xlplus", 8),
        (150_000_000, 32, 30, "4 x ra3.4xlarge", 32),
        (300_000_000, 64, 20, "8 x ra3.4xlarge", 64),
        (599_999_999, 64, 20, "8 x ra3.4xlarge", 64),
    ],
)
def test_each_tier(pageviews: int, dc2: int, tables: int, ra3: str, rpu: int) -> None:
    tier = tier_of(pageviews)
    assert tier is not None
    assert (tier.dc2, tier.tables, tier.ra3, tier.rpu) == (dc2, tables, ra3, rpu)


def test_above_the_last_tier_it_says_so() -> None:
    assert tier_of(600_000_000) is None
    lines = list(advice(1_000_000_000))
    assert "above what the recommendation covers" in lines[0]
    assert "8 x ra3.4xlarge" in lines[1]


def test_ten_million_sessions_are_a_hundred_million_pageviews() -> None:
    (line,) = advice(10_000_000 * PAGEVIEWS_A_SESSION)
    assert line == (
        "At least 3 x ra3.xlplus (8 x dc2.large once), or Serverless with a base of 8 RPU: "
        "35 tables in under 4 hours."
    )


def test_measured_figures_are_read_where_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    path.write_text(
        json.dumps(
            {"sync": {"rows_per_second": 1000.0}, "copy": [{"rows_per_second": 2000}], "x": 1}
        )
    )
    found = read_figures(path)
    assert [(one.rows_per_second, one.source) for one in found] == [
        (1000.0, f"{path}, sync"),
        (2000.0, f"{path}, copy[0]"),
    ]
    lines = list(advice(30_000_000, found))
    # A million rows a day at a thousand a second.
    assert "takes 16.7 minutes" in lines[1]
    assert str(path) in lines[1]


@pytest.mark.parametrize(
    ("content", "says"), [(None, "No such file"), ("no", "not JSON"), ("{}", "no rows_per_second")]
)
def test_figures_that_are_none(tmp_path: Path, content: str | None, says: str) -> None:
    path = tmp_path / "figures.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=says):
        read_figures(path)
