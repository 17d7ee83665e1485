"""The dead-letter topic: a refused message with its bytes, its key, its headers, and the reason."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from loader import config
from loader.errors import Unreachable
from loader.kafka.clients import new_producer
from loader.kafka.faults import explain

Headers = Sequence[tuple[str, bytes | None]]

#: Seconds until an unacknowledged letter counts as not written.
DELIVERY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused message.

    Attributes:
        topic: where it stood.
        partition: where it stood.
        offset: where it stood.
        key: its own key.
        value: its own bytes; None for a message without value.
        headers: its own headers, in order.
        reason: a word of the contract, e.g. ``missing_field``.
        error: one sentence; never holds the value.
        time_ms: its Kafka time, milliseconds since the epoch.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    reason: str
    error: str
    time_ms: int

    def all_headers(self) -> list[tuple[str, str | bytes | None]]:
        """The message's own headers, then ours."""
        return [
            *self.headers,
            ("dl-topic", self.topic.encode()),
            ("dl-partition", str(self.partition).encode()),
            ("dl-offset", str(self.offset).encode()),
            ("dl-reason", self.reason.encode()),
            ("dl-error", self.error.encode()),
            ("dl-time", str(self.time_ms).encode()),
        ]


class DeadLetterSink(Protocol):
    """Where refused messages go. Safe for threads."""

    def send(self, letters: Sequence[DeadLetter]) -> None:
        """Return when every letter is acknowledged; a repeat writes it again.

        Raises:
            Unreachable: a letter was not acknowledged in time.
            Terminal: we may not write to the topic.
        """
        ...


class KafkaDeadLetters:
    """The dead-letter topic, through one idempotent producer that is made with the first letter."""

    def __init__(self, settings: config.Kafka, topic: str) -> None:
        self._settings = settings
        self._topic = topic
        self._producer: Producer | None = None
        self._making = threading.Lock()

    def send(self, letters: Sequence[DeadLetter]) -> None:
        """See :class:`DeadLetterSink`."""
        if not letters:
            return
        with self._making:
            if self._producer is None:
                self._producer = new_producer(self._settings)
        producer = self._producer
        failures: list[KafkaError] = []
        acknowledged = 0

        def delivered(error: KafkaError | None, _: Message) -> None:
            nonlocal acknowledged
            if error is None:
                acknowledged += 1
            else:
                failures.append(error)

        for letter in letters:
            self._produce(producer, letter, delivered)
        producer.flush(DELIVERY_SECONDS)
        if acknowledged < len(letters):
            left = f"{len(letters) - acknowledged} of {len(letters)} dead letters"
            if failures and failures[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                raise explain(
                    failures[0],
                    self._settings,
                    f"writing {left}",
                    topic=self._topic,
                    operation="Write",
                )
            cause = failures[0].str() if failures else f"no answer in {DELIVERY_SECONDS:.0f} s"
            raise Unreachable(
                f"Kafka at {self._settings.bootstrap_servers}: {left} were not written to "
                f"{self._topic}: {cause}.",
                hint=f"Does the topic {self._topic} exist, and may we write to it?",
            )

    def _produce(
        self,
        producer: Producer,
        letter: DeadLetter,
        delivered: Callable[[KafkaError | None, Message], None],
    ) -> None:
        while True:
            try:
                producer.produce(
                    self._topic,
                    value=letter.value,
                    key=letter.key,
                    headers=letter.all_headers(),
                    on_delivery=delivered,
                )
            except BufferError:
                producer.poll(0.1)
            except KafkaException as error:
                raise Unreachable(
                    f"Kafka at {self._settings.bootstrap_servers}: {error.args[0].str()}."
                ) from None
            else:
                return
