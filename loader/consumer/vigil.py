"""Are the topics that are read still the ones that reading began with? Asked all the while.

A topic that is deleted and made again under its name has a new id and its offsets begin anew. The
Kafka client does not mind: where the new topic is long enough it goes on with the offset that it wanted
next, and gives messages of the new topic as if they followed those of the old one. So the ids are
watched, in a thread with a client of its own:

* now and then, so that a change is found though nothing is written;
* before each record: a check that began after the batch's last message was polled, and found the old
  id, proves that all its messages are the old topic's, for an id never comes back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from loader.errors import LoaderError, NeedsOperator, Transient, Unreachable
from loader.kafka.clients import TopicNow
from loader.logs import log

#: Seconds between checks that nobody asked for.
EVERY: Final = 15.0
#: Seconds that a topic may be missing: a broker that has just started may not know it yet.
GRACE: Final = 10.0
#: Seconds until a check that was asked for counts as unanswered.
PATIENCE: Final = 120.0
_AGAIN: Final = 0.5


class Vigil:
    """Watches topics until it is closed. A context manager. Safe for threads.

    Args:
        ask: says what the topics are now; those that do not exist are absent.
        ids: Kafka's id of each topic when reading began.
        every: seconds between checks that nobody asked for.
        grace: seconds that a topic may be missing.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[str]], Mapping[str, TopicNow]],
        ids: Mapping[str, str],
        *,
        every: float = EVERY,
        grace: float = GRACE,
    ) -> None:
        self._ask = ask
        self._ids = dict(ids)
        self._every = every
        self._grace = grace
        self._changed = threading.Condition()
        self._closed = False
        #: Checks that were begun, that are wanted, and that found everything as it was.
        self._begun = self._wanted = self._passed = 0
        self._fault: LoaderError | None = None
        self._missing_since: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._thread = threading.Thread(target=self._watch, name="vigil", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def fault(self) -> LoaderError | None:
        """Why reading must end; None while all is well. Look at it in every turn of the loop."""
        return self._fault

    def ask(self) -> int:
        """Want a check that begins from now on. Returns at once; hand the number to `confirm`."""
        with self._changed:
            ticket = self._begun + 1
            self._wanted = max(self._wanted, ticket)
            self._changed.notify_all()
            return ticket

    def confirm(self, ticket: int | None = None, patience: float = PATIENCE) -> None:
        """Return when a check has found the topics unchanged.

        Args:
            ticket: which check, from `ask`; None asks for one now.
            patience: seconds to wait for Kafka's answer.

        Raises:
            NeedsOperator: a topic is gone, or was made again.
            Unreachable: Kafka did not answer, or the vigil was closed.
            Terminal: we may no longer look at a topic.
        """
        number = self.ask() if ticket is None else ticket
        with self._changed:
            self._changed.wait_for(
                lambda: self._passed >= number or self._fault or self._closed, patience
            )
            if self._fault:
                raise self._fault
            if self._passed < number:
                raise Unreachable(
                    f"Kafka did not say within {patience:.0f} s whether {', '.join(self._ids)} are the "
                    "topics they were."
                    if not self._closed
                    else "Stopped before Kafka said whether the topics are the ones they were."
                )

    def close(self) -> None:
        """End the watch; whoever waits in `confirm` gets an error."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _watch(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closed or self._wanted > self._begun, self._every
                )
                if self._closed:
                    return
                self._begun += 1
                number = self._begun
            passed = self._check()
            with self._changed:
                if passed:
                    self._passed = number
                elif not self._fault:
                    # Whoever waits for this check, or for one before, is served by the next one.
                    self._wanted = max(self._wanted, number + 1)
                self._changed.notify_all()
                if self._fault:
                    return
                if not passed:
                    self._changed.wait_for(lambda: self._closed, _AGAIN)

    def _check(self) -> bool:
        """True if the topics are the ones they were; False if nobody knows yet."""
        try:
            now = self._ask(sorted(self._ids))
        except Transient as error:
            log.debug("topics not checked", error=error.message)
            return False
        except LoaderError as error:
            self._fault = error
            return False
        self._fault = next(
            (
                _made_again(name, known, now[name])
                for name, known in self._ids.items()
                if name in now and now[name].id != known
            ),
            None,
        ) or self._gone(now)
        for name, topic in now.items():
            if topic.partitions > self._counts.setdefault(name, topic.partitions):
                log.info("partitions added", topic=name, partitions=topic.partitions)
                self._counts[name] = topic.partitions
        return not self._fault and not self._missing_since

    def _gone(self, now: Mapping[str, TopicNow]) -> LoaderError | None:
        moment = time.monotonic()
        missing = [name for name in self._ids if name not in now]
        self._missing_since = {n: self._missing_since.get(n, moment) for n in missing}
        for name, since in self._missing_since.items():
            if moment - since >= self._grace:
                return NeedsOperator(
                    f"{name}: the topic was deleted while it was read (its id was {self._ids[name]}).",
                    hint="Messages that were not in the lake yet are gone with it. A new topic of that "
                    "name needs a new lake, or another name.",
                )
        return None


def _made_again(name: str, known: str, now: TopicNow) -> LoaderError:
    return NeedsOperator(
        f"{name}: the topic was deleted and made again while it was read (its id is {now.id}, it was "
        f"{known}). Nothing of the new topic was written.",
        hint="Messages that were not in the lake yet are gone with the old one. Give the new topic "
        "another name, or start a new lake for it.",
    )
