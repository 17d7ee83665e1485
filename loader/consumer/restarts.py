"""When a worker that ended is started again. Pure: no clock, no process."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """Seconds, but for ``attempts``.

    Attributes:
        first_delay: before the first restart.
        max_delay: the most that is ever waited; each failure in a row doubles the delay.
        healthy: a worker that ran for so long has failed for a new reason.
        attempts: failures in a row of one worker after which a bounded run gives up; None never does.
        stop_timeout: from SIGTERM to SIGKILL.
    """

    first_delay: float = 1.0
    max_delay: float = 30.0
    healthy: float = 60.0
    attempts: int | None = None
    stop_timeout: float = 30.0


class Restarts:
    """Of one worker: counts its failures in a row.

    Args:
        policy: see there.
        rng: spreads the restarts of workers that failed together.
    """

    def __init__(self, policy: Policy, rng: random.Random) -> None:
        self._policy = policy
        self._rng = rng
        self.failures = 0

    def failed(self, ran: float) -> float | None:
        """The worker failed after ``ran`` seconds: how long to wait, or None to give up."""
        policy = self._policy
        self.failures = 1 if ran >= policy.healthy else self.failures + 1
        if policy.attempts is not None and self.failures >= policy.attempts:
            return None
        # Beyond the cap the exponent would only overflow.
        delay: float = min(policy.first_delay * 2.0 ** min(self.failures - 1, 32), policy.max_delay)
        return delay * self._rng.uniform(0.5, 1.0)
