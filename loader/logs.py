"""Logs: one line an event, on stderr; readable on a terminal, JSON elsewhere. And bounded retries.

A line is an event name and key-value pairs. Values that could be secret never come here: settings
hold them as ``SecretStr``.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, TypeVar

import stamina
import structlog

from loader.errors import Transient

T = TypeVar("T")

#: Attempts and seconds after which a dependency counts as unreachable.
ATTEMPTS: Final = 5
RETRY_SECONDS: Final = 30.0

log: structlog.stdlib.BoundLogger = structlog.get_logger("heap-loader")


def configure(
    *,
    verbose: bool = False,
    json: bool | None = None,
    context: Mapping[str, object] | None = None,
) -> None:
    """Set up logging for a process.

    Args:
        verbose: show debug lines too.
        json: one JSON document a line; None decides by whether stderr is a terminal.
        context: key-value pairs that stand in every line of this process, from every thread.
    """
    as_json = json_by_default() if json is None else json
    pairs = dict(context or {})
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(pad_event_to=24)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            lambda _logger, _method, event: {**event, **pairs},
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.DEBUG if verbose else logging.INFO
        ),
        # Asked for at each line: whoever puts another stream in its place (a test does) wants the lines
        # there. A line and its end in one write: workers share their supervisor's stderr.
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    stamina.instrumentation.set_on_retry_hooks([_log_retry])


def json_by_default() -> bool:
    """Whether lines are JSON unless told otherwise: where no terminal shows them."""
    return not sys.stderr.isatty()


def _log_retry(details: stamina.instrumentation.RetryDetails) -> None:
    log.warning(
        "retry",
        attempt=details.retry_num,
        of=ATTEMPTS - 1,
        wait_seconds=round(details.wait_for, 2),
        error=str(details.caused_by),
    )


def retried(call: Callable[[], T]) -> T:
    """Run ``call``, again on :class:`~loader.errors.Transient`, with back-off, a line a retry.

    Raises:
        Transient: the last one, after 5 attempts or 30 seconds.
    """
    for attempt in stamina.retry_context(
        on=Transient, attempts=ATTEMPTS, timeout=RETRY_SECONDS, wait_initial=0.2, wait_max=5.0
    ):
        with attempt:
            return call()
    raise AssertionError("stamina either returns or raises")


@contextmanager
def bound(**context: object) -> Iterator[None]:
    """Add key-value pairs to every line logged inside."""
    with structlog.contextvars.bound_contextvars(**context):
        yield
