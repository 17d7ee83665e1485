"""The appender: each message in exactly one record, whatever is repeated or raced."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.errors import NeedsOperator, Unreachable
from loader.kafka.dead_letters import DeadLetter
from loader.lake.memory import MemoryStore
from loader.lake.registry import ControlMessage, registry_log
from loader.reconciler.appender import Appender, Incoming, OutOfStep
from loader.reconciler.judges import Refusal

TOPIC = "control"


@dataclass(slots=True)
class Partition:
    """One partition as Kafka would tell of it: the offsets of its readable messages."""

    offsets: Sequence[int] = range(100)
    log_start: int = 0
    high_watermark: int = 100
    group: int | None = None

    def topic_id(self, topic: str) -> str:
        assert topic == TOPIC
        return "id-1"

    def watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        assert (topic, partition) == (TOPIC, 0)
        return self.log_start, self.high_watermark

    def committed(self, topic: str, partition: int) -> int | None:
        assert (topic, partition) == (TOPIC, 0)
        return self.group

    def first_at(self, topic: str, partition: int, offset: int) -> int | None:
        assert (topic, partition) == (TOPIC, 0)
        return next((o for o in self.offsets if o >= offset), None)


@dataclass(slots=True)
class Letters:
    sent: list[DeadLetter] = field(default_factory=list)
    down: bool = False

    def send(self, letters: Sequence[DeadLetter]) -> None:
        if self.down:
            raise Unreachable("no broker")
        self.sent.extend(letters)


def judge(key: bytes | None, value: bytes | None) -> Refusal | None:
    return Refusal("wrong_type", "not good") if value == b"bad" else None


def appender(
    store: MemoryStore, facts: Partition | None = None, letters: Letters | None = None
) -> Appender:
    return Appender(
        registry_log(store),
        facts or Partition(),
        {TOPIC: judge},
        letters or Letters(),
        writer="test",
    )


def incoming(*offsets: int, value: bytes | None = b"v") -> list[Incoming]:
    return [Incoming(offset, 1000 + offset, b"k", value) for offset in offsets]


def recorded(store: MemoryStore) -> list[ControlMessage]:
    log = registry_log(store)
    return [m for record in log.records(TOPIC, 0) for m in record.messages]


def test_messages_become_records_that_follow_each_other() -> None:
    store = MemoryStore()
    one = appender(store)
    assert one.append(TOPIC, 0, incoming(0, 1, 2)) == 3
    assert one.append(TOPIC, 0, incoming(3, value=None)) == 4
    first, second = registry_log(store).records(TOPIC, 0)
    assert (first.first, first.next, first.topic_id, first.writer) == (0, 3, "id-1", "test")
    assert (second.first, second.next) == (3, 4)
    assert second.messages == (ControlMessage(3, 1003, b"k", None, accepted=True),)


def test_repeats_and_overlaps_add_nothing() -> None:
    store = MemoryStore()
    one = appender(store)
    one.append(TOPIC, 0, incoming(0, 1, 2))
    assert one.append(TOPIC, 0, incoming(0, 1)) == 3
    assert one.append(TOPIC, 0, incoming(1, 2, 3, 1, 2, 3, 4)) == 5
    assert [m.offset for m in recorded(store)] == [0, 1, 2, 3, 4]


def test_an_empty_chain_begins_at_the_log_start() -> None:
    store = MemoryStore()
    appender(store, Partition(range(7, 100), log_start=5)).append(TOPIC, 0, incoming(7))
    [record] = registry_log(store).records(TOPIC, 0)
    assert (record.first, record.next) == (5, 8)


def test_a_gap_that_kafka_has_is_covered() -> None:
    store = MemoryStore()
    facts = Partition([0, 1, 4, 9])
    appender(store, facts).append(TOPIC, 0, incoming(0, 1, 4))
    appender(store, facts).append(TOPIC, 0, incoming(9))
    assert [(r.first, r.next) for r in registry_log(store).records(TOPIC, 0)] == [(0, 5), (5, 10)]


def test_a_message_that_comes_too_early_is_not_appended() -> None:
    store = MemoryStore()
    with pytest.raises(OutOfStep) as caught:
        appender(store, Partition([0, 2, 3, 4])).append(TOPIC, 0, incoming(0, 3, 4))
    assert caught.value.position == 2
    assert recorded(store) == []


def test_a_message_that_kafka_does_not_have_stops() -> None:
    with pytest.raises(NeedsOperator, match="offset 5 came where 0 was next"):
        appender(MemoryStore(), Partition([9])).append(TOPIC, 0, incoming(5))


def test_the_loser_of_a_race_goes_on_from_the_winner() -> None:
    store = MemoryStore()
    late, early = appender(store), appender(store)
    late.locate(TOPIC, 0)
    early.append(TOPIC, 0, incoming(0, 1, 2))
    assert late.append(TOPIC, 0, incoming(0, 1, 2, 3, 4)) == 5
    assert [m.offset for m in recorded(store)] == [0, 1, 2, 3, 4]


def test_a_refused_message_is_a_dead_letter_before_it_is_a_record() -> None:
    store = MemoryStore()
    letters = Letters(down=True)
    one = appender(store, letters=letters)
    bad = Incoming(1, 1001, b"k", b"bad", (("h", b"1"),))
    with pytest.raises(Unreachable):
        one.append(TOPIC, 0, [*incoming(0), bad])
    assert recorded(store) == []
    letters.down = False
    one.append(TOPIC, 0, [*incoming(0), bad])
    assert letters.sent == [
        DeadLetter(
            TOPIC, 0, 1, b"k", b"bad", (("h", b"1"),), "wrong_type", "not good", time_ms=1001
        )
    ]
    assert [m.accepted for m in recorded(store)] == [True, False]


def test_a_chain_behind_the_log_start_stops() -> None:
    store = MemoryStore()
    appender(store).append(TOPIC, 0, incoming(0))
    with pytest.raises(NeedsOperator, match="1 to 4 are gone"):
        appender(store, Partition(range(5, 100), log_start=5)).append(TOPIC, 0, incoming(5))


@given(st.data())
def test_any_delivery_to_any_writers_records_each_message_once(data: st.DataObject) -> None:
    """Writers crash, start again, race and are given any part of what they have not acknowledged."""
    offsets = sorted(data.draw(st.sets(st.integers(0, 30), min_size=1)))
    facts = Partition(offsets, high_watermark=31)
    store = MemoryStore()
    writers = [appender(store, facts), appender(store, facts)]
    for _ in range(data.draw(st.integers(0, 8))):
        chosen = data.draw(st.integers(0, 1))
        if data.draw(st.booleans()):
            writers[chosen] = appender(store, facts)
        start, stop = data.draw(st.integers(0, 30)), data.draw(st.integers(0, 31))
        with suppress(OutOfStep):
            writers[chosen].append(TOPIC, 0, incoming(*(o for o in offsets if start <= o < stop)))
    writers[0].append(TOPIC, 0, incoming(*offsets))
    assert [m.offset for m in recorded(store)] == offsets


def test_a_long_chain_is_folded_and_a_store_that_is_away_does_not_hold_it_up() -> None:
    class Store(MemoryStore):
        full = False

        def put_if_absent(self, key: str, body: bytes) -> bool:
            if self.full and key.startswith("checkpoints/"):
                raise Unreachable("the store is away")
            return super().put_if_absent(key, body)

    store = Store()
    made = Appender(
        registry_log(store, fold_records=3), Partition(), {TOPIC: judge}, Letters(), writer="test"
    )
    store.full = True
    for offset in range(5):
        assert made.append(TOPIC, 0, incoming(offset)) == offset + 1
    assert not list(store.scan("checkpoints/"))
    store.full = False
    made.append(TOPIC, 0, incoming(5))
    assert len(list(store.scan("checkpoints/"))) == 1
    records = list(registry_log(store).records(TOPIC, 0))
    assert [record.first for record in records] == list(range(6))
