"""The collector: batches, acknowledges only what is recorded, and never raises into a stream."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from faust.types import TP

from loader.errors import NeedsOperator, Unreachable
from loader.reconciler import collector as module
from loader.reconciler.appender import Appender, Incoming, OutOfStep
from loader.reconciler.collector import Collector

HERE = TP("control", 0)


@dataclass(slots=True)
class Message:
    offset: int
    tp: TP = HERE
    timestamp: float | None = 1.5
    key: bytes | None = b"k"
    value: bytes | None = b"v"
    headers: Any = None


@dataclass(slots=True)
class Event:
    message: Message
    acked: bool = False

    def ack(self) -> bool:
        self.acked = True
        return True


@dataclass(slots=True)
class Recording:
    """An appender that keeps what it is given, or fails as told."""

    faults: list[Exception] = field(default_factory=list)
    batches: list[list[int]] = field(default_factory=list)
    seeks: list[tuple[TP, int]] = field(default_factory=list)

    def append(self, topic: str, partition: int, messages: list[Incoming]) -> int:
        assert (topic, partition) == HERE
        if self.faults:
            raise self.faults.pop(0)
        assert messages[0].time_ms == 1500
        self.batches.append([m.offset for m in messages])
        return messages[-1].offset + 1

    def locate(self, topic: str, partition: int) -> int:
        assert (topic, partition) == HERE
        if self.faults:
            raise self.faults.pop(0)
        return 7

    async def seek(self, tp: TP, offset: int) -> None:
        self.seeks.append((tp, offset))


def collector(appender: Recording) -> Collector:
    return Collector(cast("Appender", appender), lambda *_: None, appender.seek)


async def give(to: Collector, *offsets: int) -> list[Event]:
    events = [Event(Message(offset)) for offset in offsets]
    for event in events:
        await to.add(cast("Any", event))
    return events


def test_a_full_batch_is_appended_at_once_and_acknowledged_after_it() -> None:
    async def scenario() -> None:
        appender = Recording()
        one = collector(appender)
        events = await give(one, *range(module.MAX_MESSAGES + 1))
        assert appender.batches == [list(range(module.MAX_MESSAGES))]
        assert [e.acked for e in events] == [True] * module.MAX_MESSAGES + [False]
        await one.flush_all()
        assert all(e.acked for e in events)
        assert one.ends == {HERE: module.MAX_MESSAGES + 1}

    asyncio.run(scenario())


def test_what_cannot_be_appended_is_kept_as_the_failure_and_not_acknowledged() -> None:
    async def scenario() -> None:
        appender = Recording([Unreachable("no lake")])
        one = collector(appender)
        events = await give(one, 0, 1)
        await one.flush_all()
        assert isinstance(one.failure, Unreachable)
        events += await give(one, 2)
        await one.flush_all()
        assert appender.batches == []
        assert not any(e.acked for e in events)

    asyncio.run(scenario())


def test_what_comes_too_early_is_dropped_until_the_missing_message_came_again() -> None:
    async def scenario() -> None:
        appender = Recording([OutOfStep("control", 0, 3, 3, 5)])
        one = collector(appender)
        early = await give(one, 5, 6)
        await one.flush_all()
        assert appender.seeks == [(HERE, 3)]
        early += await give(one, 7, 8)
        again = await give(one, 3, 4, 5, 6, 7, 8)
        await one.flush_all()
        assert appender.batches == [[3, 4, 5, 6, 7, 8]]
        assert not any(e.acked for e in early)
        assert all(e.acked for e in again)

    asyncio.run(scenario())


def test_a_fault_at_an_assignment_is_kept() -> None:
    async def scenario() -> None:
        one = collector(Recording())
        assert await one.locate({HERE}) == {HERE: 7}
        two = collector(Recording([NeedsOperator("lost")]))
        assert await two.locate({HERE}) == {}
        assert isinstance(two.failure, NeedsOperator)

    asyncio.run(scenario())
