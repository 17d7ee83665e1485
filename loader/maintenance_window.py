"""The maintenance window: hours of the week, in UTC, in which tables may be tidied up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FORM: Final = re.compile(
    r"(?:(?P<days>[a-z,]+)\s+)?(?P<h1>\d\d):(?P<m1>\d\d)-(?P<h2>\d\d):(?P<m2>\d\d)"
)


@dataclass(frozen=True, slots=True)
class Window:
    """``[sat,sun ]02:00-05:00``: from one time of day to the next such other one.

    Attributes:
        days: days on which it opens, Monday is 0; all of them where none is named.
        opens: time of day.
        closes: time of day; the next day's where it is not later than ``opens``.
    """

    days: frozenset[int]
    opens: time
    closes: time

    def holds(self, moment: datetime) -> bool:
        """Whether it is open at a moment, UTC."""
        today = datetime.combine(moment.date(), self.opens, moment.tzinfo)
        for opened in (today, today - timedelta(days=1)):
            closed = datetime.combine(opened.date(), self.closes, moment.tzinfo)
            if closed <= opened:
                closed += timedelta(days=1)
            if opened.weekday() in self.days and opened <= moment < closed:
                return True
        return False


def parse_window(text: str) -> Window:
    """Read a window.

    Raises:
        ValueError: it is not of the form, or names a day or a time that there is not.
    """
    match = _FORM.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(f"{text!r} is no window, e.g. 02:00-05:00 or sat,sun 02:00-05:00 (UTC)")
    names = match["days"].split(",") if match["days"] else list(DAYS)
    unknown = [name for name in names if name not in DAYS]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no day: {', '.join(DAYS)}")
    return Window(
        frozenset(DAYS.index(name) for name in names),
        time(int(match["h1"]), int(match["m1"])),
        time(int(match["h2"]), int(match["m2"])),
    )
