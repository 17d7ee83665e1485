"""Every error that the loader raises on purpose, sorted by who can do something about it.

Three kinds, and each knows its exit status (the public contract of the console script):

* :class:`Transient` - the same call may succeed later. Retried in place, within bounds.
* :class:`Terminal` - the same call will fail again. A person has to change something.
* :class:`NeedsOperator` - going on could lose or corrupt data. The loader stops and says what it saw.

A message says what happened and where; ``hint`` says what to do next. Neither ever holds a secret.
"""

from __future__ import annotations

from typing import ClassVar


class LoaderError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: what happened and where (topic, partition, offset, file, table), one sentence.
        hint: what to do next, one sentence; empty where the message says it already.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def __reduce__(self) -> tuple[object, ...]:
        """Keep ``hint`` when an error crosses a process boundary."""
        return (_rebuild, (type(self), self.message, self.hint))


def _rebuild(kind: type[LoaderError], message: str, hint: str) -> LoaderError:
    return kind(message, hint=hint)


class Transient(LoaderError):
    """May succeed when tried again: a dropped socket, a 503, a serialization conflict."""


class Terminal(LoaderError):
    """Will fail again until somebody changes the input, the schema or the code."""


class UsageError(Terminal):
    """A wrong option, configuration or definition file. Nothing was started."""

    exit_code = 2


class CheckFailed(LoaderError):
    """A check that was asked for did not hold."""

    exit_code = 3


class Unreachable(Transient):
    """A dependency stayed unreachable, or refused us, after bounded retries."""

    exit_code = 4


class NeedsOperator(LoaderError):
    """Stopped to protect data: offsets lost, a file missing or altered, too many dead letters."""

    exit_code = 5
