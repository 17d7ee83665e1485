"""Everything that a consumer does to the world outside, by name.

A crash can come before each of these and after it; nothing in between can be seen from outside. The
crash tests take the list from here, so an effect that is added is crashed too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Literal

#: On which side of an effect.
Side = Literal["before", "after"]


class Effect(StrEnum):
    """What a consumer does, in the order in which a batch meets it."""

    LIST_CHAIN = "list_chain"
    """Ask the lake how far a partition has been read."""
    POLL = "poll"
    """Take messages from Kafka's client."""
    PUT_DATA = "put_data"
    """Put a data file."""
    SEND_LETTERS = "send_letters"
    """Send refused messages to the dead-letter topic and await that they are acknowledged."""
    PUT_RECORD = "put_record"
    """Put the commit record: now the batch exists."""
    COMMIT_OFFSET = "commit_offset"
    """Tell Kafka's group how far the lake is."""
    PUT_CHECKPOINT = "put_checkpoint"
    """Fold a long chain into a checkpoint."""


def _unwatched(_effect: Effect, _side: Side) -> None:
    pass


class Effects:
    """The seam at which a test can watch effects, or end the process at one.

    Args:
        watch: told before and after each effect, in the thread that does it; must be safe for threads.
    """

    def __init__(self, watch: Callable[[Effect, Side], None] = _unwatched) -> None:
        self._watch = watch

    @contextmanager
    def doing(self, effect: Effect) -> Iterator[None]:
        """Do an effect inside. An effect that raises has no "after"."""
        self._watch(effect, "before")
        yield
        self._watch(effect, "after")
