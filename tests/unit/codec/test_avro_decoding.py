"""What an Avro message becomes, and why one is refused: the same for both decoders."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import pytest

from loader.codec.contract import Decoder, Reason
from loader.codec.decoders import decoder, reference_decoder
from loader.codec.encode import encode_avro
from loader.codec.schemas import FRAME, ShippedSchemas, frame

SHIPPED = ShippedSchemas()
EVENT: dict[str, Any] = {"event_id": 1, "user_id": 2, "session_id": 3, "time": 4, "type": "click"}


class Schemas:
    """Shipped schemas and some of another producer's."""

    def __init__(self, more: dict[int, Any] | None = None) -> None:
        self.more = {schema_id: json.dumps(schema) for schema_id, schema in (more or {}).items()}
        self.asked: list[int] = []

    def writer_schema(self, schema_id: int) -> str | None:
        self.asked.append(schema_id)
        return self.more.get(schema_id) or SHIPPED.writer_schema(schema_id)


makers = pytest.mark.parametrize("make", [decoder, reference_decoder], ids=["fast", "reference"])


def shipped(**more: Any) -> bytes:
    schema = SHIPPED.writer_schema(1)
    assert schema is not None
    return encode_avro({**EVENT, **more}, schema_id=1, schema=schema)


def record(*fields: dict[str, Any]) -> dict[str, Any]:
    required = [{"name": name, "type": "long"} for name in ("event_id", "user_id", "session_id")]
    return {
        "type": "record",
        "name": "Other",
        "fields": [*required, {"name": "type", "type": "string"}, *fields],
    }


@makers
def test_values_of_every_branch_become_json_text(make: Any) -> None:
    value = shipped(properties={"s": 'a"\n', "l": -5, "d": 0.1, "i": 2.0, "b": False, "n": None})
    row = make("events", "avro", SHIPPED).decode([value]).rows.to_pylist()[0]
    assert row["properties"] == [
        ("s", '"a\\"\\n"'),
        ("l", "-5"),
        ("d", "0.1"),
        ("i", "2.0"),
        ("b", "false"),
        ("n", None),
    ]
    assert row["session_properties"] is None
    assert row["extra"] is None


@makers
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Reason.NULL_VALUE),
        (b"", Reason.EMPTY_VALUE),
        (b"\x00\x00\x00", Reason.NOT_FRAMED),
        (b"\x01" + shipped()[1:], Reason.NOT_FRAMED),
        (b'{"event_id":1}', Reason.NOT_FRAMED),
        (b"\x00\x80\x00\x00\x01" + shipped()[FRAME.size :], Reason.NOT_FRAMED),
        (frame(99, shipped()[FRAME.size :]), Reason.UNKNOWN_SCHEMA),
        (shipped()[:-1], Reason.NOT_DECODABLE),
        (shipped() + b"\x00", Reason.NOT_DECODABLE),
        (shipped(path="abc").replace(b"abc", b"a\xffc"), Reason.NOT_DECODABLE),
        (shipped(event_id=-1), Reason.OUT_OF_RANGE),
        (shipped(time=1 << 62), Reason.BAD_TIME),
        (shipped(properties={"x": float("nan")}), Reason.OUT_OF_RANGE),
        (frame(3, b"\x02\x04\x00"), Reason.MISSING_FIELD),
    ],
)
def test_each_fault_has_its_reason(make: Any, value: bytes | None, reason: Reason) -> None:
    decoded = make("events", "avro", SHIPPED).decode([shipped(), value, shipped()])
    assert [(refusal.position, refusal.reason) for refusal in decoded.rejected] == [(1, reason)]
    assert decoded.positions.tolist() == [0, 2]
    assert decoded.schema_ids.tolist() == [1, 1]


def test_a_message_cut_anywhere_takes_none_of_the_others_along() -> None:
    whole = shipped(path="/a", properties={"plan": "pro", "n": 5}, session_properties={"b": True})
    cut = [whole[:size] for size in range(FRAME.size, len(whole))]
    values = [value for pair in zip([whole] * len(cut), cut, strict=True) for value in pair]
    decoded = decoder("events", "avro", SHIPPED).decode(values)
    assert decoded.positions.tolist() == list(range(0, len(values), 2))
    assert {refusal.reason for refusal in decoded.rejected} == {Reason.NOT_DECODABLE}
    # None of the good ones has to be read again.
    assert decoded.reference_rows == len(cut)


@makers
@pytest.mark.parametrize("schema_id", [7, 200, 0x00FF7F80, 0x7FFFFFFF])
def test_any_schema_id_is_read_from_the_frame(make: Any, schema_id: int) -> None:
    source = Schemas({schema_id: json.loads(SHIPPED.writer_schema(1) or "")})
    value = frame(schema_id, shipped()[FRAME.size :])
    decoded = make("events", "avro", source).decode([value, shipped(), value])
    assert decoded.schema_ids.tolist() == [schema_id, 1, schema_id]
    assert decoded.rejected == ()


@makers
def test_a_repeated_property_takes_the_last_value(make: Any) -> None:
    value = shipped(properties={"a": 1, "b": 2, "c": 3}).replace(b"\x02c", b"\x02a")
    row = make("events", "avro", SHIPPED).decode([value]).rows.to_pylist()[0]
    assert row["properties"] == [("a", "3"), ("b", "2")]


@makers
def test_a_newer_producers_fields_are_kept_as_json(make: Any) -> None:
    schema = record(
        {"name": "time", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "path", "type": ["string", "null"]},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "raw", "type": "bytes"},
        {"name": "properties", "type": {"type": "map", "values": ["string", "float"]}},
    )
    message = {**EVENT, "path": "/", "tags": ["a"], "raw": b"\xff", "properties": {"f": 0.5}}
    value = encode_avro(message, schema_id=8, schema=json.dumps(schema))
    decoded = make("events", "avro", Schemas({8: schema})).decode([value])
    row = decoded.rows.to_pylist()[0]
    assert decoded.rows.column("time").cast("int64").to_pylist() == [4000]
    assert (row["path"], row["properties"]) == ("/", [("f", "0.5")])
    assert row["extra"] == [("tags", '["a"]'), ("raw", '"ÿ"')]
    assert decoded.unknown_fields == {"tags": 1, "raw": 1}


@makers
def test_an_older_producers_missing_fields_are_null(make: Any) -> None:
    schema = record({"name": "time", "type": "long"})
    value = encode_avro(EVENT, schema_id=8, schema=json.dumps(schema))
    row = make("events", "avro", Schemas({8: schema})).decode([value, value]).rows.to_pylist()[1]
    assert (row["event_id"], row["type"], row["path"], row["properties"]) == (
        1,
        "click",
        None,
        None,
    )


def test_a_schema_is_fetched_once_and_an_unknown_id_is_asked_for_again() -> None:
    source = Schemas()
    made: Decoder = decoder("events", "avro", source)
    for _ in range(3):
        made.decode([shipped(), shipped()])
    assert source.asked == [1]
    unknown = frame(99, b"\x00")
    made.decode([unknown])
    before = len(source.asked)
    made.decode([unknown])
    assert source.asked.count(99) > 1
    assert set(source.asked[before:]) == {99}


def test_encoding_fills_in_what_is_nullable() -> None:
    body = io.BytesIO(shipped()[FRAME.size :])
    schema = fastavro.parse_schema(json.loads(SHIPPED.writer_schema(1) or ""))
    decoded = fastavro.schemaless_reader(body, schema, None)
    assert isinstance(decoded, dict)
    assert decoded["path"] is None
