from __future__ import annotations

from datetime import datetime

import pytest

from loader.config import Settings, Sync
from loader.maintenance_window import parse_window


def at(text: str) -> datetime:
    return datetime.fromisoformat(text + "+00:00")


@pytest.mark.parametrize(
    ("window", "moment", "open_"),
    [
        ("02:00-05:00", "2026-11-25T02:00", True),
        ("02:00-05:00", "2026-11-25T05:00", False),
        ("02:00-05:00", "2026-11-25T01:59", False),
        ("22:00-02:00", "2026-11-25T23:00", True),
        ("22:00-02:00", "2026-11-25T01:59", True),
        ("22:00-02:00", "2026-11-25T02:00", False),
        ("00:00-00:00", "2026-11-25T12:34", True),
        # 2026-11-28 is a Saturday; the night that began then belongs to it.
        ("sat 22:00-02:00", "2026-11-28T23:00", True),
        ("sat 22:00-02:00", "2026-11-29T01:00", True),
        ("sat 22:00-02:00", "2026-11-28T01:00", False),
        ("sat,sun 02:00-05:00", "2026-11-29T03:00", True),
        ("sat,sun 02:00-05:00", "2026-11-27T03:00", False),
    ],
)
def test_when_it_is_open(window: str, moment: str, open_: bool) -> None:
    assert parse_window(window).holds(at(moment)) is open_


@pytest.mark.parametrize("text", ["", "2-5", "25:00-26:00", "caturday 02:00-05:00", "02:00"])
def test_what_is_no_window(text: str) -> None:
    with pytest.raises(ValueError, match=r"window|day|hour"):
        parse_window(text)


def test_the_setting_is_checked() -> None:
    assert Settings().sync.maintenance_window is None
    with pytest.raises(ValueError, match="is no window"):
        Sync(maintenance_window="always")
