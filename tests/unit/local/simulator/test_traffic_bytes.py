"""Bytes say what the logical rows say: read back by fastavro and orjson, not by the loader."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import fastavro
import orjson
import pytest

from loader.local.simulator import (
    EVENTS,
    TOPICS,
    USER_MIGRATIONS,
    USER_UPDATES,
    TrafficChunk,
    TrafficOptions,
    generate,
)
from loader.model.events import EVENT_TEXT_FIELDS

SCHEMAS = Path(__file__).parents[4] / "schemas"
FILES = {EVENTS: "event", USER_UPDATES: "user_update", USER_MIGRATIONS: "user_migration"}
SCHEMA_IDS = {EVENTS: 1, USER_UPDATES: 2, USER_MIGRATIONS: 3}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@cache
def chunks(kind: str) -> tuple[TrafficChunk, ...]:
    options = TrafficOptions(
        6000,
        users=300,
        format=kind,  # type: ignore[arg-type]
        late=0.05,
        duplicates=0.05,
        malformed=0.02,
        merges=0.3,
        updates=0.5,
        text_ids=0.2,
        unknown_fields=0.1,
        skewed_clocks=0.2,
    )
    return tuple(generate(options))


def decode(kind: str, topic: str, value: bytes) -> dict[str, Any]:
    """A good message's fields; times as microseconds."""
    if kind == "json":
        document: dict[str, Any] = orjson.loads(value)
        time = document["time"]
        if isinstance(time, str):
            document["time"] = (datetime.fromisoformat(time) - EPOCH) // timedelta(microseconds=1)
        return document
    schema = fastavro.parse_schema(json.loads((SCHEMAS / f"{FILES[topic]}.avsc").read_text()))
    body = io.BytesIO(value)
    assert body.read(5) == b"\0" + SCHEMA_IDS[topic].to_bytes(4, "big")
    record: Any = fastavro.schemaless_reader(body, schema)
    assert not body.read(), "bytes after the datum"
    fields: dict[str, Any] = record
    fields["time"] = (fields["time"] - EPOCH) // timedelta(microseconds=1)
    return fields


def properties(items: list[tuple[str, str | None]] | None) -> dict[str, Any] | None:
    """A logical property map as Python values."""
    if items is None:
        return None
    return {key: None if text is None else json.loads(text) for key, text in items}


def pairs(kind: str, topic: str) -> list[tuple[bytes, dict[str, Any], dict[str, Any]]]:
    """Of each good message: key, decoded fields, logical row (time in microseconds)."""
    found = []
    for chunk in chunks(kind):
        messages = chunk.topics[topic]
        good = [
            (key, value)
            for key, value, fault in zip(
                messages.keys, messages.values, messages.faults, strict=True
            )
            if fault is None
        ]
        for (key, value), row in zip(good, messages.rows().to_pylist(), strict=True):
            assert value is not None
            row["time"] = (row["time"].replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
            found.append((key, decode(kind, topic, value), row))
    return found


@pytest.mark.parametrize("kind", ["json", "avro"])
def test_events_say_what_their_rows_say(kind: str) -> None:
    found = pairs(kind, EVENTS)
    assert len(found) > 6000
    for key, message, row in found:
        assert int(message["user_id"]) == row["user_id"]
        assert key == str(row["user_id"]).encode()
        for name in ("event_id", "session_id", "time"):
            assert int(message[name]) == row[name]
        assert {name: message.get(name) for name in ("type", *EVENT_TEXT_FIELDS)} == {
            name: row[name] for name in ("type", *EVENT_TEXT_FIELDS)
        }
        for name in ("properties", "session_properties"):
            assert message.get(name) == properties(row[name])
            assert typed(message.get(name)) == typed(properties(row[name]))
        known = {"event_id", "user_id", "session_id", "time", "type", *EVENT_TEXT_FIELDS}
        extra = {
            name: value
            for name, value in message.items()
            if name not in {*known, "properties", "session_properties"}
        }
        assert extra == (properties(row["extra"]) or {})


def typed(values: dict[str, Any] | None) -> list[type]:
    """Types, since 5 == 5.0 == True-ish in Python."""
    return [type(value) for value in (values or {}).values()]


@pytest.mark.parametrize("kind", ["json", "avro"])
def test_user_updates_say_what_their_rows_say(kind: str) -> None:
    found = pairs(kind, USER_UPDATES)
    assert len(found) > 100
    for key, message, row in found:
        assert key == str(row["user_id"]).encode()
        assert (message["user_id"], message["time"]) == (row["user_id"], row["time"])
        for name in ("identity", "handle", "email"):
            assert message.get(name) == row[name]
        assert message.get("properties") == properties(row["properties"])
        if kind == "json":
            texts = {"identity", "handle", "email"} & message.keys()
            assert {name for name in texts if message[name] is None} == set(row["cleared"] or ())
        else:
            assert not row["cleared"]
    assert kind == "avro" or any(row["cleared"] for _, _, row in found)


@pytest.mark.parametrize("kind", ["json", "avro"])
def test_migrations_say_what_their_rows_say(kind: str) -> None:
    found = pairs(kind, USER_MIGRATIONS)
    for key, message, row in found:
        assert key == str(row["from_user_id"]).encode()
        assert message == row
    assert any(row["time"] == 0 for _, _, row in found)
    assert any(row["from_user_id"] == row["to_user_id"] for _, _, row in found)


@pytest.mark.parametrize("kind", ["json", "avro"])
def test_bad_messages_carry_a_valid_key_and_no_good_ones_id(kind: str) -> None:
    events = {row["event_id"] for _, _, row in pairs(kind, EVENTS)}
    for topic in TOPICS:
        messages = [chunk.topics[topic] for chunk in chunks(kind)]
        bad = [
            (key, value, fault)
            for each in messages
            for key, value, fault in zip(each.keys, each.values, each.faults, strict=True)
            if fault is not None
        ]
        assert len(bad) == sum(each.refused for each in messages) > 0
        assert all(key.isdigit() for key, _, _ in bad)
        if topic == EVENTS:
            kept = {_event_id(kind, value) for _, value, _ in bad}
            assert len(kept) > 10
            assert not events & kept


def _event_id(kind: str, value: bytes | None) -> int | None:
    """The id of a bad message where its bytes still show one."""
    if kind == "avro":
        return None if value is None or len(value) < 20 else _first_long(value)
    found = re.match(rb'\{"event_id":"?(\d+)', value or b"")
    return int(found[1]) if found else None


def _first_long(value: bytes) -> int:
    number = 0
    for place, byte in enumerate(value[5:15]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            break
    return number >> 1


def test_every_kind_of_event_and_odd_value_comes_up() -> None:
    rows = [row for _, _, row in pairs("json", EVENTS)]
    assert {row["type"] for row in rows} >= {
        "session",
        "pageview",
        "click",
        "change",
        "submit",
        "touch",
        "edit_field",
        "gesture",
        "screen_view",
        "custom",
    }
    texts = "".join(row["target_text"] or "" for row in rows)
    assert all(character in texts for character in '"\\\n日🙂')
    hierarchy = next(r["hierarchy"] for r in rows if r["target_id"] == "cta-pro")
    assert hierarchy.endswith("|div.plan.pro|button#cta-pro.cta.primary[type=button]")
    values = [v for row in rows for v in (properties(row["properties"]) or {}).values()]
    assert {type(value) for value in values} == {str, int, float, bool, type(None)}
