"""Faust's Kafka transport with two changes: where reading begins, and what is read.

Faust goes on from the group's committed offsets and reads uncommitted messages. Here the registry's
chain is the truth, so an assignment seeks to the chains' ends; and a message of a transaction that
was aborted must never be recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Any, Final, cast

from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.threads import WorkerThread

#: Seconds to wait for the consumer's thread at the end.
_THREAD_SECONDS: Final = 5.0

#: Asked with the assigned partitions: the offset to read each one from.
Locate = Callable[[AbstractSet[TP]], Awaitable[Mapping[TP, int]]]


class _BoundedThread(WorkerThread):
    """A thread that nobody waits for for ever: with its broker gone it may never end."""

    def __init__(self, service: Any, **kwargs: Any) -> None:
        super().__init__(service, **kwargs)
        self.daemon = True

    def run(self) -> None:
        """Its faults are the worker's: they show as a crash of the app, not as a traceback here."""
        with suppress(Exception, asyncio.CancelledError):
            super().run()

    def stop(self) -> None:
        """Called on the event loop when everything else has stopped; blocks it, hence the bound."""
        self.is_stopped.wait(_THREAD_SECONDS)


class _ReadCommitted(driver.AIOKafkaConsumerThread):
    """The thread that owns the consumer."""

    Worker = _BoundedThread

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust couples the isolation level to its own transactions, which nothing here uses;
        # aiokafka hands this attribute to its fetcher when it starts.
        consumer._isolation_level = "read_committed"
        return consumer


class _FromTheChain(driver.Consumer):
    """Begins at the ends of the registry's chains."""

    def _new_consumer_thread(self) -> _ReadCommitted:
        return _ReadCommitted(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """Called after every assignment, before the first message flows."""
        locate = cast("Transport", self.transport).locate
        positions = await locate(self.assignment())
        await self.seek_wait(positions)
        self._committed_offset.update(positions)


class Transport(driver.Transport):
    """See the module. ``locate`` is set before the app starts."""

    Consumer = _FromTheChain
    locate: Locate
