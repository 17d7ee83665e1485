"""Makes ready what every test process needs: Kafka's jars and the decoders' machine code."""

from __future__ import annotations

import sys

from loader.codec.warm import warm_up
from loader.local.kafka_jars import kafka_jars


def main() -> None:
    """Download and compile; at once where that was done before."""
    kafka_jars(lambda text: print(text, file=sys.stderr))  # noqa: T201
    for written in ("json", "avro"):
        warm_up("events", written)


if __name__ == "__main__":
    main()
