"""Traffic into Kafka: keyed, in order, with the arrival as message time, and no faster than asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from confluent_kafka import KafkaError, Message

from loader.config import Kafka
from loader.errors import Unreachable, UsageError
from loader.kafka.clients import Cluster, explain, new_producer
from loader.local.simulator.messages import Messages
from loader.local.simulator.stream import EVENTS, TOPICS, TrafficChunk

#: Called with the number of messages handed over so far.
OnProgress = Callable[[int], None]

#: Messages that librdkafka may hold; what bounds the memory of a fast simulator at a slow broker.
_QUEUE_MESSAGES: Final = 100_000
_QUEUE_KBYTES: Final = 131_072
#: Messages between two looks at delivery reports, and events between two looks at the clock.
_STRIDE: Final = 500
_SETTLE_SECONDS: Final = 5.0
_NEW_TOPIC_SECONDS: Final = 3.0


def publish(
    chunks: Iterable[TrafficChunk],
    settings: Kafka,
    topics: Mapping[str, str],
    *,
    rate: float | None = None,
    on_progress: OnProgress | None = None,
    timeout: float = 60.0,
) -> dict[str, int]:
    """Write all messages and wait until the brokers have acknowledged them.

    The producer is idempotent, so a message stands once and in order in its partition whatever the
    network does. A full queue makes the simulator wait.

    Args:
        chunks: the traffic; taken one by one, so it may be endless.
        settings: servers and the user's client properties.
        topics: Kafka's names of ``events``, ``user_updates`` and ``user_migrations``.
        rate: event messages a second, above 0; None is as fast as possible.
        on_progress: told how many messages were handed over.
        timeout: seconds that a message may take to be acknowledged.

    Returns:
        Messages written, by topic key.

    Raises:
        UsageError: a topic does not exist, or ``rate`` is not above 0.
        Unreachable: no broker took the messages in time.
    """
    if rate is not None and rate <= 0:
        raise UsageError(f"rate must be above 0 events a second, not {rate}.")
    names = {key: topics[key] for key in TOPICS}
    _check_topics(settings, names)
    sender = _Sender(settings, timeout)
    sent = dict.fromkeys(names, 0)
    pace = _Pace(rate)
    try:
        for chunk in chunks:
            for key, messages in chunk.topics.items():
                sender.send(names[key], messages, pace if key == EVENTS else None)
                sent[key] += len(messages)
                if on_progress is not None:
                    on_progress(sum(sent.values()))
        sender.settle()
    except BaseException:
        sender.drop()
        raise
    return sent


def _check_topics(settings: Kafka, topics: Mapping[str, str]) -> None:
    """A topic made a moment ago may not be known to every broker yet, so "missing" is asked again."""
    cluster = Cluster(settings)
    give_up = time.monotonic() + _NEW_TOPIC_SECONDS
    while missing := sorted(set(topics.values()) - cluster.partitions(topics.values()).keys()):
        if time.monotonic() > give_up:
            raise UsageError(
                f"Topic {missing[0]} does not exist on {settings.bootstrap_servers}.",
                hint="`heap-loader local up` makes the local ones; elsewhere create it first.",
            )
        time.sleep(0.1)


def _bounded(settings: Kafka, timeout: float) -> Kafka:
    """The settings with a bounded queue; what the user set goes first."""
    ours: dict[str, str | int | float | bool] = {
        "queue.buffering.max.messages": _QUEUE_MESSAGES,
        "queue.buffering.max.kbytes": _QUEUE_KBYTES,
        "message.timeout.ms": max(int(timeout * 1000), 1000),
        "batch.num.messages": 10_000,
        "delivery.report.only.error": True,
    }
    return settings.model_copy(update={"client": ours | settings.client})


class _Sender:
    """A producer that raises the first delivery that failed for good."""

    def __init__(self, settings: Kafka, timeout: float) -> None:
        self._settings = settings
        self._timeout = timeout
        self._producer = new_producer(_bounded(settings, timeout))
        self._failure: KafkaError | None = None

    def send(self, topic: str, messages: Messages, pace: _Pace | None) -> None:
        """Hand messages over, in order; a full queue is waited for."""
        produce, report = self._producer.produce, self._report
        rows = zip(messages.keys, messages.values, messages.arrival_ms.tolist(), strict=True)
        for count, (key, value, arrival) in enumerate(rows):
            if count % _STRIDE == 0:
                self._serve(0)
                if pace is not None:
                    pace.wait(min(_STRIDE, len(messages) - count), self._serve)
            while True:
                try:
                    produce(topic, value, key, timestamp=arrival, on_delivery=report)
                    break
                except BufferError:
                    self._serve(0.05)

    def settle(self) -> None:
        """Wait until everything is acknowledged."""
        left = self._producer.flush(self._timeout + _SETTLE_SECONDS)
        self._serve(0)
        if left:
            raise Unreachable(
                f"Kafka at {self._settings.bootstrap_servers}: {left} messages were not "
                f"acknowledged in {self._timeout:.0f} s.",
                hint="Is the broker up?",
            )

    def drop(self) -> None:
        """Forget what was not sent, so that the process can end."""
        self._producer.purge()
        self._producer.poll(0)

    def _serve(self, seconds: float) -> None:
        """Take delivery reports for up to ``seconds``."""
        self._producer.poll(seconds)
        if self._failure is not None:
            raise explain(self._failure, self._settings, "produce")

    def _report(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None and self._failure is None:
            self._failure = error


class _Pace:
    """Keeps to a rate, counted from the first message, so that waits never add up to a drift."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._began: float | None = None
        self._count = 0

    def wait(self, count: int, serve: Callable[[float], None]) -> None:
        """Return when ``count`` further messages may go; deliveries are served meanwhile."""
        if self._rate is None:
            return
        self._began = self._began or time.monotonic()
        due = self._began + self._count / self._rate
        self._count += count
        while (left := due - time.monotonic()) > 0:
            serve(min(left, 0.2))
