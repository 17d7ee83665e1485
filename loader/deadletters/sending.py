"""Sends messages again to the topics they came from, and says which of them Kafka has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from loader import config
from loader.deadletters.letters import Chunk, headers_again
from loader.errors import LoaderError, Unreachable
from loader.kafka.clients import Cluster, explain, new_producer

DELIVERY_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a chunk: each message's partition and offset, None where ``failure`` says why."""

    places: Sequence[tuple[int, int] | None]
    failure: LoaderError | None = None


class Sender(Protocol):
    """Where messages are sent again."""

    def send(self, chunk: Chunk) -> Delivery:
        """Send messages to their own topics; returns when all are acknowledged or have failed.

        Raises:
            LoaderError: nothing was sent.
        """
        ...


class KafkaSender:
    """Sends through one idempotent producer, made with the first message.

    Args:
        settings: how to reach the brokers.
    """

    def __init__(self, settings: config.Kafka) -> None:
        self._settings = settings
        self._producer: Producer | None = None
        self._topics: set[str] = set()

    def send(self, chunk: Chunk) -> Delivery:
        """See `Sender`."""
        self._check_topics({letter.origin.topic for letter, _ in chunk})
        producer = self._producer = self._producer or new_producer(self._settings)
        places: list[tuple[int, int] | None] = [None] * len(chunk)
        failed: list[KafkaError] = []

        def delivered(number: int, error: KafkaError | None, message: Message) -> None:
            partition, offset = message.partition(), message.offset()
            if error is not None:
                failed.append(error)
            elif partition is not None and offset is not None:
                places[number] = (partition, offset)

        try:
            for number, (letter, content) in enumerate(chunk):
                producer.produce(
                    letter.origin.topic,
                    value=content.value,
                    key=content.key,
                    headers=headers_again(letter.origin, content),
                    # 0 is the present time: for a message that had none.
                    timestamp=max(letter.time_ms, 0),
                    on_delivery=partial(delivered, number),
                )
        except KafkaException as error:
            failed.append(error.args[0])
        producer.flush(DELIVERY_SECONDS)
        failure: LoaderError | None = None
        if failed:
            failure = explain(failed[0], self._settings, "sending dead letters again")
        elif None in places:
            failure = Unreachable(
                f"Kafka at {self._settings.bootstrap_servers}: {places.count(None)} of "
                f"{len(chunk)} messages were not acknowledged within {DELIVERY_SECONDS:.0f} s.",
                hint="Run it again: what has a marker is not sent again.",
            )
        return Delivery(places, failure)

    def _check_topics(self, topics: set[str]) -> None:
        new = topics - self._topics
        missing = new - Cluster(self._settings).partitions(new).keys() if new else set()
        if missing:
            raise Unreachable(
                f"Kafka at {self._settings.bootstrap_servers} has no topic "
                f"{', '.join(sorted(missing))}.",
                hint="Create it, or correct [topics].",
            )
        self._topics |= topics
