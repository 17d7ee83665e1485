"""What Faust and its Kafka client log, in our own lines."""

from __future__ import annotations

import logging
from typing import Final

from loader.logs import log

_LOGGERS: Final = ("faust", "mode", "aiokafka", "asyncio")
#: These repeat every fault many times a second; whether a broker answers is watched elsewhere.
_NOISY: Final = ("aiokafka", "asyncio")


class _Forward(logging.Handler):
    """Errors as warnings (what stops us is raised by ourselves), everything else for ``-v``."""

    def emit(self, record: logging.LogRecord) -> None:
        loud = record.levelno >= logging.ERROR and not record.name.startswith(_NOISY)
        say = log.warning if loud else log.debug
        # Not formatted by a Formatter: that would add a traceback.
        say("faust", logger=record.name, message=record.getMessage())


def forward_faust_logs() -> None:
    """Send what those libraries log through the loader's own log; again changes nothing."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [_Forward()]
        logger.setLevel(logging.WARNING)
        logger.propagate = False
