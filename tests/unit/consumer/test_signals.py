"""A signal that comes at the worst moment is not lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from loader.consumer.signals import stop_on_signals


@pytest.fixture
def _handlers() -> Iterator[None]:
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_handlers")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_event_is_being_waited_for_does_not_hang(number: int) -> None:
    stop = stop_on_signals()
    with stop._cond:  # type: ignore[attr-defined]
        os.kill(os.getpid(), number)
    assert stop.wait(60)
