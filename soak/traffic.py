"""The producer, a process of its own: simulated traffic, plain and in transactions, some aborted.

An aborted transaction's messages are sent again, so every message comes to stand for good once. Its
first copies and all control records are gaps that a reader of committed messages never sees.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from loader.local.simulator.options import TrafficOptions
from loader.local.simulator.stream import TrafficChunk, generate
from soak.ledger import HEADER, Writing
from soak.options import Options

#: Messages of one transaction, or of one run of plain ones: from, to.
_RUN: Final = (200, 4000)
_PLAIN, _COMMITTED, _ABORTED = "plain", "committed", "aborted"
_WEIGHTS: Final = {_PLAIN: 5, _COMMITTED: 3, _ABORTED: 2}
#: Of a hundred transactions so many stay open for seconds: nobody may read beyond them meanwhile.
_HELD_IN_HUNDRED: Final = 4
#: Seconds that the broker may be away before the producer gives up.
_PATIENCE: Final = 240.0


Report = Callable[[KafkaError | None, Message], None]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send: its number in the ledger, and what it says."""

    number: int
    topic: str
    key: bytes
    value: bytes | None
    time_ms: int


def produce(
    options: Options,
    servers: str,
    allowed: Synchronized[int],
    sent: Synchronized[int],
    ledger: Path,
) -> None:
    """Send all traffic, never more than ``allowed`` messages so far, and write the ledger."""
    rng = random.Random(f"traffic {options.seed}")
    writing = Writing()
    plain = Producer(_settings(servers))
    transactions = _Transactions(servers, writing)
    for run in _runs(_messages(options, writing), rng):
        while allowed.value < sent.value + len(run):
            plain.poll(0.05)
        kind = rng.choices(list(_WEIGHTS), weights=list(_WEIGHTS.values()))[0]
        held = rng.uniform(0.5, 3.0) if rng.randrange(100) < _HELD_IN_HUNDRED else 0.0
        if kind == _COMMITTED:
            left = transactions.send(run, held=held, commit=True)
        elif kind == _ABORTED:
            left = transactions.send(run, held=held, commit=False)
        else:
            left = run
        for message in left:
            _hand_over(plain, message, partial(_stands, writing, message.number))
        plain.poll(0)
        sent.value += len(run)
    if plain.flush(_PATIENCE):
        raise RuntimeError("the broker did not acknowledge everything")
    writing.save(ledger)


def _settings(servers: str) -> dict[str, str | int | bool]:
    return {
        "bootstrap.servers": servers,
        "enable.idempotence": True,
        "compression.type": "lz4",
        "linger.ms": 5,
        "partitioner": "murmur2_random",
        "message.timeout.ms": int(_PATIENCE * 1000),
        "log_level": 0,
    }


def _messages(options: Options, writing: Writing) -> Iterator[Outgoing]:
    """The traffic, in order; each message gets its number and its line in the ledger."""
    traffic = TrafficOptions(
        events=options.events,
        seed=options.seed,
        format=options.format,
        # Copies of an event would be right in the lake, and blur what is counted here.
        duplicates=0.0,
        malformed=0.003,
        merges=0.0,
        updates=0.05,
    )
    for chunk in generate(traffic):
        yield from _of_chunk(chunk, writing)


def _of_chunk(chunk: TrafficChunk, writing: Writing) -> Iterator[Outgoing]:
    for key in ("events", "user_updates"):
        messages = chunk.topics[key]
        batch = messages.batch
        ids = batch.column("event_id").to_pylist() if key == "events" else [0] * len(messages)
        rows = zip(
            messages.keys,
            messages.values,
            messages.arrival_ms.tolist(),
            messages.faults,
            ids,
            strict=True,
        )
        for name, value, arrival, fault, event_id in rows:
            number = len(writing.ids)
            writing.ids.append(event_id if fault is None else 0)
            writing.good.append(fault is None)
            yield Outgoing(number, f"soak.{key}", name, value, arrival)


def _runs(messages: Iterator[Outgoing], rng: random.Random) -> Iterator[list[Outgoing]]:
    while True:
        run = list(islice(messages, rng.randint(*_RUN)))
        if not run:
            return
        yield run


def _hand_over(producer: Producer, message: Outgoing, report: Report) -> None:
    while True:
        try:
            producer.produce(
                message.topic,
                message.value,
                message.key,
                timestamp=message.time_ms,
                headers=[(HEADER, str(message.number).encode())],
                on_delivery=report,
            )
        except BufferError:
            producer.poll(0.05)
        else:
            return


def _stands(writing: Writing, number: int, error: KafkaError | None, message: Message) -> None:
    if error is not None:
        raise KafkaException(error)
    writing.commit((message.topic() or "", message.partition() or 0), number, _offset(message))


def _offset(message: Message) -> int:
    offset = message.offset()
    return -1 if offset is None else offset


class _Transactions:
    """The transactional producer, made anew when the broker fenced it."""

    def __init__(self, servers: str, writing: Writing) -> None:
        self._servers = servers
        self._writing = writing
        self._producer = self._new()

    def send(self, run: list[Outgoing], *, held: float, commit: bool) -> list[Outgoing]:
        """Send a run in one transaction; returns what does not stand for good by that.

        Where nobody can say whether the broker committed, the messages count as sent: what Kafka
        holds is read back in the end.
        """
        reports: list[tuple[int, str, int, int]] = []

        def report(number: int, error: KafkaError | None, message: Message) -> None:
            if error is None:
                place = (message.topic() or "", message.partition() or 0)
                reports.append((number, *place, _offset(message)))

        committing = False
        try:
            self._producer.begin_transaction()
            for message in run:
                _hand_over(self._producer, message, partial(report, message.number))
            self._producer.flush(_PATIENCE)
            self._wait(held)
            committing = commit
            self._finish(commit=commit)
        except KafkaException as error:
            return self._recover(error.args[0], run, reports, committing=committing)
        for number, topic, partition, offset in reports:
            if commit:
                self._writing.commit((topic, partition), number, offset)
            else:
                self._writing.abort((topic, partition), offset)
        return [] if commit else run

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._producer.poll(left)

    def _finish(self, *, commit: bool) -> None:
        call = self._producer.commit_transaction if commit else self._producer.abort_transaction
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                call(_PATIENCE)
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > until:
                    raise
            else:
                return

    def _recover(
        self,
        error: KafkaError,
        run: list[Outgoing],
        reports: list[tuple[int, str, int, int]],
        *,
        committing: bool,
    ) -> list[Outgoing]:
        if error.txn_requires_abort():
            self._finish(commit=False)
            committing = False
        else:
            # Making it anew aborts what is open under its id; a commit under way may have won.
            self._producer = self._new()
        if committing:
            return []
        for _, topic, partition, offset in reports:
            self._writing.abort((topic, partition), offset)
        return run

    def _new(self) -> Producer:
        producer = Producer(
            {
                **_settings(self._servers),
                "transactional.id": "soak",
                "transaction.timeout.ms": int(_PATIENCE * 1000) + 60_000,
            }
        )
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                producer.init_transactions(30.0)
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > until:
                    raise
            else:
                return producer
