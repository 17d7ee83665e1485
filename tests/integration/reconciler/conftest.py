"""Control topics of a test's own, and small ways to write to them and to read the registry."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import Producer

from loader.config import Settings
from loader.kafka.clients import producer_settings
from loader.kafka.dead_letters import DeadLetter
from loader.lake.memory import MemoryStore
from loader.lake.registry import ControlMessage, RegistryRecord, registry_log
from loader.lake.store import ObjectStore

Publish = Callable[..., None]


@dataclass(slots=True)
class Letters:
    """Dead letters in a list."""

    sent: list[DeadLetter] = field(default_factory=list)

    def send(self, letters: Any) -> None:
        self.sent.extend(letters)


def definition(id_: str = "cta", **fields: Any) -> bytes:
    document = {"id": id_, "name": f"Click {id_}", "source": "web", "event": "click"} | fields
    return json.dumps(document).encode()


def migration(from_id: int, to_id: int, time: int = 1_700_000_000_000_000) -> bytes:
    return json.dumps({"from_user_id": from_id, "to_user_id": to_id, "time": time}).encode()


def records(store: ObjectStore, topic: str) -> list[RegistryRecord]:
    log = registry_log(store)
    return [record for p in log.partitions(topic) for record in log.records(topic, p)]


def messages(store: ObjectStore, topic: str) -> list[ControlMessage]:
    return [message for record in records(store, topic) for message in record.messages]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def publish(settings: Settings) -> Publish:
    """``publish(topic, key, value, partition=0)``: written when it returns."""

    def write(topic: str, *pairs: tuple[bytes | None, bytes | None], partition: int = 0) -> None:
        producer = Producer(producer_settings(settings.kafka))
        errors: list[object] = []
        for key, value in pairs:
            producer.produce(
                topic,
                value,
                key,
                partition=partition,
                on_delivery=lambda error, _: errors.append(error) if error else None,
            )
        assert producer.flush(30) == 0
        assert errors == []

    return write
