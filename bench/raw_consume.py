"""The ceiling: consume a topic with confluent-kafka and throw the messages away.

Arguments: bootstrap servers, topic. Prints messages and seconds, start-up not counted.
"""

from __future__ import annotations

import gc
import json
import sys
from time import perf_counter

from confluent_kafka import Consumer, TopicPartition


def main(servers: str, topic: str) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "raw",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "queued.min.messages": 300_000,
            "queued.max.messages.kbytes": 262_144,
            "fetch.max.bytes": 33_554_432,
            "max.partition.fetch.bytes": 4_194_304,
        }
    )
    partitions = list(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
    ends = {
        p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10) for p in partitions
    }
    total = sum(high - low for low, high in ends.values())
    gc.disable()
    started = perf_counter()
    consumer.assign([TopicPartition(topic, p, low) for p, (low, _) in ends.items()])
    read = 0
    while read < total:
        read += len(consumer.consume(min(10_000, total - read), 1.0))
    print(json.dumps({"messages": read, "seconds": perf_counter() - started}))


if __name__ == "__main__":
    main(*sys.argv[1:])
