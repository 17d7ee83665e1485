"""What traffic to make. Same options, same bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from loader.errors import UsageError

Format = Literal["json", "avro"]

DAY_US: Final = 86_400_000_000
#: 2024-01-01T00:00:00Z in microseconds.
_EPOCH_US: Final = 1_704_067_200_000_000
_RATES: Final = (
    "duplicates",
    "late",
    "malformed",
    "merges",
    "updates",
    "skewed_clocks",
    "unknown_fields",
    "text_ids",
)


@dataclass(frozen=True, slots=True)
class TrafficOptions:
    """One run of the simulator.

    The world behind it (people, sessions, pages) is a function of ``seed``, ``users``, the density
    ``events / days``, the rates and the format. A run shows the events ``[skip, skip + events)`` of it; a
    later run with the same world and ``skip`` moved on continues it, with new ids and no overlap.

    Attributes:
        events: distinct well-formed events, 1 or more. Duplicates and malformed messages come on
            top, user updates and migrations too.
        users: people of the world, 1 or more. Not all of them show up in a short run.
        seed: any integer.
        days: days of event time that ``events`` span, above 0.
        format: of events, user updates and migrations. Definitions are JSON always.
        duplicates: share of messages that are sent a second time, 0 to 1; half of them much later.
        late: share of messages that arrive hours to days after their time, 0 to 1.
        malformed: malformed messages as a share of the well-formed ones, 0 to 1, on every topic.
        merges: share of sessions in which somebody identifies, 0 to 1. 0 means no migration at all.
        updates: share of sessions that write user properties, 0 to 1.
        skewed_clocks: share of sessions on a device whose clock is off, 0 to 1.
        unknown_fields: share of events with a top-level field that the contract does not know, JSON
            only, 0 to 1.
        text_ids: share of events whose ids are decimal strings and of those whose time is integer
            microseconds, JSON only, 0 to 1.
        skip: index of the first event to show, 0 or more.
        start_us: time of event 0, microseconds since the epoch, UTC; None derives a midnight in
            2024 from the seed. The wall clock is never asked.
    """

    events: int
    users: int = 10_000
    seed: int = 1
    days: float = 7.0
    format: Format = "json"
    duplicates: float = 0.01
    late: float = 0.01
    malformed: float = 0.001
    merges: float = 0.05
    updates: float = 0.12
    skewed_clocks: float = 0.01
    unknown_fields: float = 0.002
    text_ids: float = 0.01
    skip: int = 0
    start_us: int | None = None

    def __post_init__(self) -> None:
        """Check every range.

        Raises:
            UsageError: an option is out of its range, named.
        """
        for name, lowest in (("events", 1), ("users", 1), ("skip", 0)):
            if getattr(self, name) < lowest:
                raise UsageError(f"{name} must be {lowest} or more, not {getattr(self, name)}.")
        if not 0 < self.days <= 36_500:
            raise UsageError(f"days must be above 0 and at most 36500, not {self.days}.")
        if self.format not in {"json", "avro"}:
            raise UsageError(f"format must be json or avro, not {self.format!r}.")
        for name in _RATES:
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is a share from 0 to 1, not {getattr(self, name)}.")

    @property
    def first_time_us(self) -> int:
        """True time of event 0, in microseconds."""
        if self.start_us is not None:
            return self.start_us
        return _EPOCH_US + (self.seed % 366) * DAY_US

    @property
    def gap_us(self) -> float:
        """Mean true time from one event to the next, in microseconds."""
        return self.days * DAY_US / self.events
