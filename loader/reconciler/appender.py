"""From messages to the registry log: one partition's messages become records of its chain.

Each message ends in exactly one record, whatever is repeated: what lies below the chain's end is
skipped, and where two reconcilers append at once the store lets one win and the other goes on from
the winner's end. Refused messages are in the dead-letter topic before the record that names them.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loader.errors import NeedsOperator, Transient
from loader.kafka.dead_letters import DeadLetter, DeadLetterSink, Headers
from loader.lake.chain import Chains, Lost
from loader.lake.positions import Evidence, start_offset
from loader.lake.registry import ControlMessage, RegistryRecord
from loader.logs import log
from loader.reconciler.facts import Facts
from loader.reconciler.judges import Judge

Partition = tuple[str, int]

#: Characters of the reason that goes into a dead letter's header.
_ERROR_LENGTH: Final = 1000


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message as read. ``time_ms`` is milliseconds since the epoch."""

    offset: int
    time_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class OutOfStep(Transient):
    """A message came while one before it is still to come: it must be read again from there.

    ``position`` is the first readable offset that is not in the registry.
    """

    def __init__(self, topic: str, partition: int, expected: int, position: int, got: int) -> None:
        super().__init__(
            f"{topic}[{partition}]: offset {got} came before {position}, the registry ends at "
            f"{expected}."
        )
        self.position = position


class Appender:
    """Appends to the chains of all control partitions. Blocking; one thread at a time.

    Args:
        chains: the registry log.
        facts: what Kafka says.
        judges: by topic, what a message must be.
        dead_letters: where refused messages go.
        writer: who this is, in every record.
        clock: the present time, UTC.
    """

    def __init__(
        self,
        chains: Chains[RegistryRecord],
        facts: Facts,
        judges: Mapping[str, Judge],
        dead_letters: DeadLetterSink,
        *,
        writer: str,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._chains = chains
        self._facts = facts
        self._judges = judges
        self._dead_letters = dead_letters
        self._writer = writer
        self._clock = clock
        self._next: dict[Partition, int] = {}

    def locate(self, topic: str, partition: int) -> int:
        """Look up where reading goes on, in the registry and in Kafka.

        Raises:
            NeedsOperator: control messages were lost.
            Unreachable: Kafka or the lake stayed away.
        """
        tail = self._chains.tail(topic, partition)
        # Last, so that nothing that is committed or produced meanwhile looks like a fault.
        committed = self._facts.committed(topic, partition)
        log_start, high_watermark = self._facts.watermarks(topic, partition)
        if tail is not None and committed is not None and committed > tail.next:
            # Another reconciler may have appended and committed between the two questions.
            tail = self._chains.tail(topic, partition)
        evidence = Evidence(
            topic,
            partition,
            self._facts.topic_id(topic),
            None if tail is None else tail.next,
            None if tail is None else tail.topic_id,
            committed,
            log_start,
            high_watermark,
        )
        self._next[topic, partition] = start_offset(evidence)
        return self._next[topic, partition]

    def end(self, topic: str, partition: int) -> int:
        """Where the chain ends in the lake now; the log start as last located where there is none."""
        tail = self._chains.tail(topic, partition)
        return self._next[topic, partition] if tail is None else tail.next

    def append(self, topic: str, partition: int, messages: Sequence[Incoming]) -> int:
        """Make ``messages`` (ascending by offset) part of the registry.

        Returns:
            Where the chain ends now.

        Raises:
            NeedsOperator: Kafka and the messages contradict each other.
            OutOfStep: an earlier message is still to be read; nothing of the rest was appended.
            Unreachable: Kafka or the lake stayed away; appending again is safe.
        """
        if (topic, partition) not in self._next:
            self.locate(topic, partition)
        while True:
            first = self._next[topic, partition]
            left = _ascending(messages, first)
            if not left:
                self._fold(topic, partition)
                return first
            self._check_gaps(topic, partition, first, left)
            record = self._record(topic, partition, first, left)
            outcome = self._chains.append(record)
            self._next[topic, partition] = (
                outcome.next if isinstance(outcome, Lost) else record.next
            )

    def _fold(self, topic: str, partition: int) -> None:
        """Put a checkpoint where the chain is long enough. It is a cache: a failure can wait."""
        if not self._chains.fold_due(topic, partition):
            return
        try:
            self._chains.fold(topic, partition)
        except Transient as error:
            log.warning("chain not folded", topic=topic, partition=partition, error=str(error))

    def _check_gaps(
        self, topic: str, partition: int, expected: int, messages: Sequence[Incoming]
    ) -> None:
        """Transaction markers, aborted messages and compaction leave gaps that mean nothing."""
        for message in messages:
            if message.offset != expected:
                self._check_gap(topic, partition, expected, message.offset)
            expected = message.offset + 1

    def _check_gap(self, topic: str, partition: int, expected: int, got: int) -> None:
        really = self._facts.first_at(topic, partition, expected)
        if really == got:
            return
        if really is not None and really < got:
            raise OutOfStep(topic, partition, expected, really, got)
        raise NeedsOperator(
            f"{topic}[{partition}]: offset {got} came where {expected} was next, and Kafka now has "
            f"{'nothing' if really is None else f'offset {really} first'} there.",
            hint="Was the topic made anew, or its log truncated? Start the reconciler again: it "
            "compares Kafka with the registry before it reads.",
        )

    def _record(
        self, topic: str, partition: int, first: int, messages: Sequence[Incoming]
    ) -> RegistryRecord:
        judge = self._judges[topic]
        letters: list[DeadLetter] = []
        kept: list[ControlMessage] = []
        for message in messages:
            refusal = judge(message.key, message.value)
            if refusal is not None:
                letters.append(
                    DeadLetter(
                        topic=topic,
                        partition=partition,
                        offset=message.offset,
                        key=message.key,
                        value=message.value,
                        headers=message.headers,
                        reason=refusal.reason,
                        error=refusal.error[:_ERROR_LENGTH],
                        time_ms=message.time_ms,
                    )
                )
            kept.append(
                ControlMessage(
                    message.offset, message.time_ms, message.key, message.value, refusal is None
                )
            )
        if letters:
            self._dead_letters.send(letters)
        return RegistryRecord(
            topic=topic,
            partition=partition,
            first=first,
            next=messages[-1].offset + 1,
            topic_id=self._facts.topic_id(topic),
            batch=uuid.uuid4().hex,
            writer=self._writer,
            created=self._clock().isoformat(),
            messages=tuple(kept),
        )


def _ascending(messages: Sequence[Incoming], first: int) -> list[Incoming]:
    """Those from ``first`` on, each once: after a rebalance some come a second time."""
    kept: list[Incoming] = []
    for message in messages:
        if message.offset >= first:
            kept.append(message)
            first = message.offset + 1
    return kept
