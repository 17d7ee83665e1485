"""Messages into a topic, and messages out of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from confluent_kafka import Consumer, Message, Producer, TopicPartition


def event(n: int, **fields: Any) -> dict[str, Any]:
    """A small valid event; ``n`` makes its id and its time."""
    return {
        "event_id": n,
        "user_id": 1000 + n % 7,
        "session_id": 50 + n % 7,
        "time": 1_700_000_000_000_000 + n * 1_000_000,
        "type": "pageview",
        "path": f"/page/{n % 5}",
        **fields,
    }


def produce(
    servers: str,
    topic: str,
    values: Iterable[dict[str, Any] | bytes | None],
    *,
    partition: int | None = None,
) -> None:
    """Write messages and wait until all are acknowledged; dicts become JSON, keyed by user id."""
    producer = Producer(
        {"bootstrap.servers": servers, "partitioner": "murmur2_random", "linger.ms": 5}
    )
    place: dict[str, Any] = {} if partition is None else {"partition": partition}
    for value in values:
        key = str(value["user_id"]) if isinstance(value, dict) else "key"
        body = orjson.dumps(value) if isinstance(value, dict) else value
        producer.produce(topic, value=body, key=key, **place)
        producer.poll(0)
    assert producer.flush(30) == 0


def read_all(servers: str, topic: str, partitions: Sequence[int] = (0,)) -> list[Message]:
    """Every message that stands in the topic now, by partition and offset."""
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "reader", "enable.partition.eof": True}
    )
    messages: list[Message] = []
    open_ = set(partitions)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    while open_:
        for message in consumer.consume(1000, 0.1):
            if message.error() is not None:
                open_.discard(message.partition() or 0)
            else:
                messages.append(message)
    consumer.close()
    return sorted(messages, key=lambda m: (m.partition(), m.offset()))
