"""One run of the Faust app on its own event loop.

Faust carries the messages: group membership, rebalancing, streams, graceful ends. It holds no
truth: no table, no changelog, and its committed offsets are a mirror of the registry's chains.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, cast

import faust
from faust.types import TP, AppT, StreamT

from loader import config
from loader.errors import LoaderError, Terminal
from loader.logs import log
from loader.reconciler.appender import Appender
from loader.reconciler.collector import Collector
from loader.reconciler.security import faust_security
from loader.reconciler.transport import Transport

#: Seconds between looks at what is open, and at a silent broker.
_PULSE: Final = 0.05
_BROKER_WATCH: Final = 10.0
#: Seconds that Faust may take to commit and to leave the group.
_STOP_SECONDS: Final = 10.0
#: Seconds without a message after which a bounded run asks whether any is left.
_QUIET: Final = 1.0


class Worker:
    """A Faust worker that feeds an appender. Good for one `run`.

    Args:
        kafka: how to reach the brokers.
        group: the consumer group, which is Faust's app id.
        topics: the control topics, all of which exist.
        appender: the blocking side.
        folder: an empty folder for Faust, which wants one.
        behind: asked, in a thread, which partitions still lack a message; None runs until stopped.
        alive: asked, in a thread, whether the brokers answer; raises where they do not.
    """

    def __init__(
        self,
        kafka: config.Kafka,
        group: str,
        topics: list[str],
        appender: Appender,
        *,
        folder: str,
        behind: Callable[[], bool] | None,
        alive: Callable[[], object],
    ) -> None:
        self._behind = behind
        self._alive = alive
        self._topics = topics
        self._messages = 0
        self._quiet_since = 0.0
        self._collector = Collector(appender, self._appended, self._seek)
        self._app = self._new_app(kafka, group, folder)

    async def run(self) -> int:
        """Run until stopped, caught up or failed.

        Returns:
            How many messages were handed to the registry.

        Raises:
            LoaderError: what stopped it.
        """
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, stop.set)
        self._quiet_since = loop.time()
        tasks = [asyncio.create_task(self._app.start()), asyncio.create_task(self._watch())]
        try:
            while not stop.is_set() and not self._failed(tasks[0]) and not await self._caught_up():
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _PULSE)
                await self._collector.flush_due()
            await self._collector.flush_all()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._end()
        if self._collector.failure is not None:
            raise self._collector.failure
        return self._messages

    def _new_app(self, kafka: config.Kafka, group: str, folder: str) -> AppT:
        app = faust.App(
            group,
            broker=[f"kafka://{server.strip()}" for server in kafka.bootstrap_servers.split(",")],
            store="memory://",
            datadir=folder,
            autodiscover=False,
            web_enabled=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            # A worker that died is replaced after ten seconds instead of a minute.
            broker_session_timeout=10.0,
            broker_heartbeat_interval=1.0,
            consumer_auto_offset_reset="earliest",
            # Bounds what Faust itself holds.
            stream_buffer_maxsize=1000,
            broker_max_poll_records=500,
            **faust_security(kafka.client),
        )
        transport = Transport(app.conf.broker_consumer, app)
        transport.locate = self._collector.locate
        app.transport = transport
        topic = app.topic(
            *self._topics,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
        )

        async def registry(stream: StreamT[Any]) -> None:
            async for event in cast("faust.Stream[Any]", stream).noack().events():
                await self._collector.add(event)

        app.agent(topic, name="registry", concurrency=1)(registry)
        return app

    async def _end(self) -> None:
        """Commit, leave the group, stop; without a broker there is nobody to tell, so not for ever."""
        try:
            await asyncio.wait_for(self._app.stop(), _STOP_SECONDS)
        except TimeoutError:
            log.warning("faust did not stop in time", seconds=_STOP_SECONDS)

    async def _seek(self, tp: TP, offset: int) -> None:
        await self._app.consumer.seek_wait({tp: offset})

    def _appended(self, topic: str, partition: int, messages: int, end: int) -> None:
        self._messages += messages
        self._quiet_since = asyncio.get_running_loop().time()
        log.info("registry record", topic=topic, partition=partition, messages=messages, next=end)

    def _failed(self, started: asyncio.Task[None]) -> bool:
        """Whether anything failed; the first fault is kept in the collector."""
        reason = self._app.crash_reason if self._app.crashed else None
        if reason is None and started.done() and not started.cancelled():
            reason = started.exception()
        if reason is not None and self._collector.failure is None:
            known = isinstance(reason, LoaderError)
            self._collector.failure = (
                reason
                if known
                else Terminal(f"The Faust worker failed: {type(reason).__name__}: {reason}.")
            )
        return self._collector.failure is not None

    async def _caught_up(self) -> bool:
        now = asyncio.get_running_loop().time()
        if self._behind is None or now - self._quiet_since < _QUIET:
            return False
        self._quiet_since = now
        return not await asyncio.to_thread(self._behind)

    async def _watch(self) -> None:
        """A broker that is gone for good ends the run: Faust itself would wait for ever."""
        while self._collector.failure is None:
            await asyncio.sleep(_BROKER_WATCH)
            try:
                await asyncio.to_thread(self._alive)
            except LoaderError as error:
                self._collector.failure = error
