"""The registry log: every message of the control topics, kept for ever, in the order of its topic.

State (the union-find of users, the versions of definitions, tombstones) is a fold of this log, so a
message that is appended again changes nothing and a restart needs no state of its own. A record may
hold several messages; it is keyed by its first offset under the chain rule of the commit log. The
format is public and described in docs/formats/registry-log.md.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from loader.lake import layout
from loader.lake.chain import FOLD_RECORDS, Chains
from loader.lake.store import ObjectStore

RECORD_VERSION = 1


@dataclass(frozen=True, slots=True)
class ControlMessage:
    """One message of a control topic, as Kafka gave it.

    Attributes:
        offset: its offset.
        time_ms: its Kafka time, milliseconds since the epoch.
        key: its key; None where it has none.
        value: its value; None for a tombstone.
        accepted: false if it does not parse: it was sent to the dead letters and a fold skips it.
    """

    offset: int
    time_ms: int
    key: bytes | None
    value: bytes | None
    accepted: bool


@dataclass(frozen=True, slots=True)
class RegistryRecord:
    """Offsets ``[first, next)`` of one control partition, and the messages in them."""

    topic: str
    partition: int
    first: int
    next: int
    topic_id: str
    batch: str
    writer: str
    created: str
    messages: tuple[ControlMessage, ...]

    def encode(self) -> bytes:
        """The record as it stands in the lake; keys and values in base64."""
        return orjson.dumps(
            {
                "version": RECORD_VERSION,
                "topic": self.topic,
                "partition": self.partition,
                "first": self.first,
                "next": self.next,
                "topic_id": self.topic_id,
                "batch": self.batch,
                "writer": self.writer,
                "created": self.created,
                "messages": [
                    {
                        "offset": message.offset,
                        "time_ms": message.time_ms,
                        "key": _encode(message.key),
                        "value": _encode(message.value),
                        "accepted": message.accepted,
                    }
                    for message in self.messages
                ],
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )


def _encode(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _decode(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def decode_record(body: bytes) -> RegistryRecord:
    """Read a record back.

    Raises:
        ValueError: not a record, or one of a version that this loader does not know.
    """
    fields: dict[str, Any] = orjson.loads(body)
    if not isinstance(fields, dict) or "version" not in fields:
        raise ValueError("not a registry record")
    version = fields.pop("version")
    if version != RECORD_VERSION:
        raise ValueError(f"registry record version {version}; this loader knows {RECORD_VERSION}")
    try:
        fields["messages"] = tuple(
            ControlMessage(
                message["offset"],
                message["time_ms"],
                _decode(message["key"]),
                _decode(message["value"]),
                message["accepted"],
            )
            for message in fields["messages"]
        )
        return RegistryRecord(**fields)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a registry record: {error}") from error


def registry_log(store: ObjectStore, *, fold_records: int = FOLD_RECORDS) -> Chains[RegistryRecord]:
    """The registry log of a lake; ``fold_records`` of a chain make a checkpoint."""
    return Chains(store, layout.REGISTRY, decode_record, fold_records=fold_records)


def accepted_messages(
    log: Chains[RegistryRecord], topic: str, cut: dict[int, int]
) -> Iterator[tuple[int, ControlMessage]]:
    """Messages of ``topic`` below ``cut`` (partition to offset) as ``(partition, message)``.

    By partition, then by offset; only those that parse.
    """
    for partition in sorted(cut):
        for record in log.records(topic, partition):
            if record.first >= cut[partition]:
                break
            for message in record.messages:
                if message.accepted and message.offset < cut[partition]:
                    yield partition, message
