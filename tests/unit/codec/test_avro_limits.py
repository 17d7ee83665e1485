"""What a few bytes of Avro may cost: depth, items without bytes, sizes that are not there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loader.codec.avro_limits import MAX_EMPTY_ITEMS
from loader.codec.avro_schema import reader_schema
from loader.codec.contract import Reason
from loader.codec.fields import EVENTS
from loader.codec.schemas import FRAME, ShippedSchemas, frame
from loader.codec.values import MAX_DEPTH
from tests.support.avro_writers import pair_of_decoders, varint

REQUIRED = b"\2\4\6\x08" + varint(1) + b"x"
OPTIONAL = len(EVENTS.texts) - 1
NODE = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}


class One:
    def __init__(self, kind: Any) -> None:
        shipped = json.loads(ShippedSchemas().writer_schema(1) or "")
        fields = [*shipped["fields"][:5], {"name": "new", "type": kind}]
        self._schema = json.dumps({**shipped, "fields": fields})

    def writer_schema(self, _: int) -> str:
        return self._schema


def decoded(kind: Any, value: bytes) -> tuple[Any, Any]:
    """The unknown field's text or the refusal's reason, by both decoders, between good messages."""
    outcomes = []
    for made in pair_of_decoders("events", One(kind), reader_schema("events")):
        got = made.decode([frame(9, REQUIRED + value), frame(9, b"")])
        rows = got.rows.to_pylist()
        outcomes.append(rows[0]["extra"][0][1] if rows else got.rejected[0].reason)
    return outcomes[0], outcomes[1]


@pytest.mark.parametrize("depth", [1, MAX_DEPTH - 2, MAX_DEPTH - 1, MAX_DEPTH, 5000, 1 << 20])
def test_a_type_that_contains_itself_nests_only_so_deep(depth: int) -> None:
    fast, slow = decoded(NODE, b"\2" * (depth - 1) + b"\0")
    assert fast == slow
    if depth < MAX_DEPTH:
        assert fast == '{"next":' * depth + "null" + "}" * depth
    else:
        assert fast == Reason.NOT_DECODABLE


@pytest.mark.parametrize(
    "item",
    [
        "null",
        {"type": "fixed", "name": "F", "size": 0},
        {"type": "record", "name": "R", "fields": []},
    ],
)
@pytest.mark.parametrize(
    "count", [1, 3, MAX_EMPTY_ITEMS, MAX_EMPTY_ITEMS + 1, 1 << 40, (1 << 63) - 1]
)
def test_items_without_bytes_are_counted(item: Any, count: int) -> None:
    fast, slow = decoded({"type": "array", "items": item}, varint(count) + b"\0")
    assert fast == slow
    assert (fast == Reason.NOT_DECODABLE) == (count > MAX_EMPTY_ITEMS)


def test_blocks_of_items_without_bytes_count_together() -> None:
    block = varint(MAX_EMPTY_ITEMS // 4)
    many = {"type": "array", "items": {"type": "array", "items": "null"}}
    assert (
        decoded(many, varint(4) + (block + b"\0") * 4 + b"\0")[0].count("null") == MAX_EMPTY_ITEMS
    )
    assert decoded(many, varint(5) + (block + b"\0") * 5 + b"\0") == (Reason.NOT_DECODABLE,) * 2


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", varint(1 << 40)),
        ("string", varint((1 << 63) - 1)),
        ("string", varint(-1)),
        ("string", varint(-(1 << 63))),
        ("bytes", varint(5) + b"abcd"),
        ({"type": "fixed", "name": "F", "size": 5}, b"abcd"),
        ({"type": "array", "items": "long"}, varint(1 << 50) + b"\2" * 100),
        ({"type": "array", "items": "long"}, varint(-(1 << 63)) + b"\2" + b"\2" * 100),
        ({"type": "map", "values": "long"}, varint(1 << 50) + b"\2a\2" * 100),
        ("long", b"\xff" * 9),
        ("double", b"\0" * 7),
        ("float", b"\0" * 3),
        ("boolean", b""),
        (["null", "long"], varint(7)),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, varint(1)),
    ],
)
def test_sizes_that_are_not_there_are_refused(kind: Any, value: bytes) -> None:
    assert decoded(kind, value) == (Reason.NOT_DECODABLE,) * 2


def test_one_message_may_need_more_room_than_all_that_came_before() -> None:
    text = b"\x01" * 300_000
    entries = b"".join(varint(3) + b"%03d" % n + b"\2" for n in range(900))
    kind = {"type": "map", "values": "long"}
    assert decoded("string", varint(len(text)) + text)[0] == '"' + "\\u0001" * len(text) + '"'
    fast, slow = decoded(kind, varint(900) + entries + b"\0")
    assert fast == slow
    assert fast.startswith('{"000":1,"001":1')


def test_a_map_of_more_keys_than_are_remembered_goes_to_the_reference() -> None:
    shipped = ShippedSchemas()
    made, _ = pair_of_decoders("events", shipped, reader_schema("events"))
    entries = b"".join(varint(5) + b"%05d" % n + b"\0" for n in range(5000))
    head = REQUIRED + b"\0" * OPTIONAL
    value = frame(1, head + b"\2" + varint(5000) + entries + b"\0" + b"\0")
    got = made.decode([value, value[: FRAME.size] + head + b"\0\0"])
    assert got.reference_rows == 1
    assert [len(row["properties"] or ()) for row in got.rows.to_pylist()] == [5000, 0]


def test_more_writers_in_a_batch_than_are_told_apart_are_still_read() -> None:
    shipped = ShippedSchemas().writer_schema(1) or ""

    class Same:
        def writer_schema(self, _: int) -> str:
            return shipped

    made, _ = pair_of_decoders("events", Same(), reader_schema("events"))
    values = [frame(100 + number, REQUIRED + b"\0" * (OPTIONAL + 2)) for number in range(200)]
    got = made.decode(values)
    assert got.rejected == ()
    assert got.schema_ids.tolist() == [100 + number for number in range(200)]
