"""Messages between Faust's stream and the registry: batched, appended off the loop, then acknowledged.

Nothing here raises into the stream: an agent that raises is started again behind the message that
failed, and Faust commits past it. The first fault is kept, everything after it is left alone, and
whoever runs the worker stops it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

from faust.types import TP, EventT

from loader.errors import NeedsOperator
from loader.logs import log
from loader.reconciler.appender import Appender, Incoming, OutOfStep

#: A record is closed at this many messages, this many bytes or this age, whichever is met first.
MAX_MESSAGES: Final = 500
MAX_BYTES: Final = 4 << 20
MAX_AGE_SECONDS: Final = 0.2
#: How long a message that must be read again may take to come.
_AGAIN_SECONDS: Final = 60.0


@dataclass(slots=True)
class _Open:
    """Messages of one partition that are not in the registry yet."""

    since: float
    events: list[EventT[Any]] = field(default_factory=list)
    messages: list[Incoming] = field(default_factory=list)
    bytes: int = 0


class Collector:
    """Batches events and appends them. Lives on the event loop; the appender runs in a thread.

    Args:
        appender: the blocking side.
        on_append: told (topic, partition, messages, chain's end) after each batch.
        seek: makes the consumer read a partition again from an offset.
    """

    def __init__(
        self,
        appender: Appender,
        on_append: Callable[[str, int, int, int], None],
        seek: Callable[[TP, int], Awaitable[None]],
    ) -> None:
        self._seek = seek
        self._awaited: dict[TP, tuple[int, float]] = {}
        self._appender = appender
        self._on_append = on_append
        self._open: dict[TP, _Open] = {}
        # The appender takes one call at a time, and batches of one partition keep their order.
        self._lock = asyncio.Lock()
        self.failure: BaseException | None = None
        #: Where each chain ends as far as this process knows.
        self.ends: dict[TP, int] = {}

    async def add(self, event: EventT[Any]) -> None:
        """Take an event; returns when there is room for another one."""
        if self.failure is not None:
            return
        message = event.message
        if message.tp in self._awaited:
            if message.offset > self._awaited[message.tp][0]:
                return
            del self._awaited[message.tp]
        headers = message.headers or ()
        incoming = Incoming(
            message.offset,
            round((message.timestamp or 0) * 1000),
            message.key,
            message.value,
            tuple(headers.items() if isinstance(headers, Mapping) else headers),
        )
        batch = self._open.setdefault(message.tp, _Open(time.monotonic()))
        batch.events.append(event)
        batch.messages.append(incoming)
        batch.bytes += len(incoming.key or b"") + len(incoming.value or b"")
        if len(batch.events) >= MAX_MESSAGES or batch.bytes >= MAX_BYTES:
            await self.flush(message.tp)

    async def flush_due(self) -> None:
        """Append what is old enough."""
        for tp, (offset, since) in self._awaited.items():
            if time.monotonic() - since > _AGAIN_SECONDS and self.failure is None:
                self.failure = NeedsOperator(
                    f"{tp.topic}[{tp.partition}]: offset {offset} is in Kafka and did not come "
                    f"within {_AGAIN_SECONDS:.0f} s.",
                    hint="Start the reconciler again: it reads on from the registry's end.",
                )
        due = time.monotonic() - MAX_AGE_SECONDS
        for tp in [tp for tp, batch in self._open.items() if batch.since <= due]:
            await self.flush(tp)

    async def flush_all(self) -> None:
        """Append everything."""
        for tp in list(self._open):
            await self.flush(tp)

    async def flush(self, tp: TP) -> None:
        """Append what is open of one partition, then acknowledge it."""
        async with self._lock:
            batch = self._open.pop(tp, None)
            if batch is None or self.failure is not None:
                return
            try:
                end, again = await asyncio.to_thread(self._append, tp, batch.messages)
                if again is not None:
                    # What came meanwhile lies behind it, and will come again too.
                    self._open.pop(tp, None)
                    self._awaited[tp] = (again.position, time.monotonic())
                    await self._seek(tp, again.position)
                    return
            except Exception as error:  # noqa: BLE001 - see the module: nothing may be raised here
                self.failure = error
                return
            self.ends[tp] = end
            for event in batch.events:
                event.ack()
            self._on_append(tp.topic, tp.partition, len(batch.events), end)

    def _append(self, tp: TP, messages: list[Incoming]) -> tuple[int, OutOfStep | None]:
        try:
            return self._appender.append(tp.topic, tp.partition, messages), None
        except OutOfStep as error:
            log.warning("out of step", topic=tp.topic, partition=tp.partition, error=str(error))
            return 0, error

    async def locate(self, assigned: AbstractSet[TP]) -> dict[TP, int]:
        """Where to read the assigned partitions from.

        What is open stays: it is appended whoever owns the partition now, once, by the chain's rule.
        """
        async with self._lock:
            found: dict[TP, int] = {}
            try:
                for tp in sorted(assigned):
                    found[tp] = await asyncio.to_thread(
                        self._appender.locate, tp.topic, tp.partition
                    )
            except Exception as error:  # noqa: BLE001 - kept; the worker is stopped for it
                self.failure = error
            self.ends |= found
            return found
