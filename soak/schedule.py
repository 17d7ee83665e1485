"""The faults of a run, drawn from its seed: what, when, to whom."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from itertools import cycle
from typing import Any, Final

from soak.options import SESSION_SECONDS, Options
from soak.requests import COMMIT, DATA, JOIN, LETTER, LIST, RECORD

#: Where a kill may strike besides "any" moment: a request and the moment of it.
MOMENTS: Final = ("before", "in", "after")
#: At work, at no chosen moment; and right after the process was started.
ANY: Final = "any"
START: Final = "start"
_PHASES: Final = tuple(
    f"{moment} {request}"
    for request in (DATA, RECORD, LETTER, COMMIT, JOIN, LIST)
    for moment in MOMENTS
)
#: Of ten kills so many strike at a moment that nobody chose, and so many while a worker starts.
_ANY_IN_TEN: Final = 3
_START_IN_TEN: Final = 1
#: Seconds that the broker or S3 stay away: none, less than a worker's retries, and more.
_AWAY: Final = (0.0, 2.0, 8.0, 20.0)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        at: seconds after the traffic began; later where the fault before it took longer.
        kind: ``kill``, ``stop``, ``freeze`` (of a worker), ``broker``, ``s3``.
        worker: which one; -1 for none.
        where: of a kill or a freeze ``any`` or a moment of a request, of a kill also ``start``; of
            S3 ``term`` or ``kill``.
        seconds: how long a freeze lasts, or the dependency stays away; how far into its start a
            process is killed after the one before it was.
    """

    at: float
    kind: str
    worker: int = -1
    where: str = ANY
    seconds: float = 0.0

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "at": round(self.at, 1), "seconds": round(self.seconds, 1)}

    def __str__(self) -> str:
        match self.kind:
            case "kill":
                return f"kill worker {self.worker}, {self.where}"
            case "stop":
                return f"stop worker {self.worker}"
            case "freeze":
                return f"freeze worker {self.worker}, {self.where}, for {self.seconds:.1f} s"
            case "s3":
                return f"s3 ends by {self.where}, away for {self.seconds:.0f} s"
            case _:
                return f"broker killed, away for {self.seconds:.0f} s"


def worker_faults(options: Options) -> list[Fault]:
    """Kills, stops and freezes in order of time; one is over before the next begins."""
    rng = random.Random(f"workers {options.seed}")
    # Every phase comes before any comes again: a hundred kills must not miss one by bad luck.
    phases: list[str] = []
    while len(phases) < options.kills:
        phases += rng.sample(_PHASES, len(_PHASES))
    kinds = ["kill"] * options.kills + ["stop"] * options.stops + ["freeze"] * options.freezes
    rng.shuffle(kinds)
    frozen = cycle((f"before {RECORD}", f"before {DATA}", ANY))
    gap = options.seconds / (len(kinds) + 1)
    faults = []
    for number, kind in enumerate(kinds, start=1):
        at = gap * (number + rng.uniform(-0.45, 0.45))
        worker = rng.randrange(options.workers)
        if kind == "kill":
            where = _moment(rng.randrange(10), phases)
            into = rng.uniform(0.0, 2.5) if where == START else 0.0
            faults.append(Fault(at, kind, worker, where, into))
        elif kind == "freeze":
            seconds = SESSION_SECONDS + rng.uniform(2.0, 6.0)
            faults.append(Fault(at, kind, worker, next(frozen), seconds))
        else:
            faults.append(Fault(at, kind, worker))
    return faults


def _moment(of_ten: int, phases: list[str]) -> str:
    if of_ten < _ANY_IN_TEN:
        return ANY
    return START if of_ten < _ANY_IN_TEN + _START_IN_TEN else phases.pop()


def outages(options: Options) -> list[Fault]:
    """Ends of the broker and of S3 in order of time; one is over before the next begins."""
    rng = random.Random(f"outages {options.seed}")
    kinds = ["broker"] * options.broker_kills + ["s3"] * options.s3_stops
    rng.shuffle(kinds)
    gap = options.seconds / (len(kinds) + 1)
    longest = [seconds for seconds in _AWAY if seconds <= gap / 2]
    ends = ["term", "kill"] * len(kinds)
    return [
        Fault(
            gap * (number + rng.uniform(-0.3, 0.3)),
            kind,
            where=ends.pop(0) if kind == "s3" else "kill",
            seconds=rng.choice(longest),
        )
        for number, kind in enumerate(kinds, start=1)
    ]
