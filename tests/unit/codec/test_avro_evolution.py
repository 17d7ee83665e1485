"""Writers' schemas that differ from the reader's are resolved as the specification says.

fastavro's own resolution is the measure: writer's and reader's schema in, the reader's record out.
"""

from __future__ import annotations

import io
import json
import os
import random
from typing import Any

import fastavro
import pytest
from fastavro.read import SchemaResolutionError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loader.codec.avro_schema import NotASchema, ReaderSchema, WriterSchema, reader_schema
from loader.codec.contract import Decoded, Reason
from loader.codec.encode import encode_avro
from loader.codec.fields import CONTRACTS, ContractName
from loader.codec.schemas import ShippedSchemas, frame
from loader.codec.values import json_text
from tests.support.avro_writers import (
    ALIASES,
    DEFAULTS,
    MessageWriter,
    SchemaEdits,
    pair_of_decoders,
    reader_with_more,
    varint,
)

SHIPPED = ShippedSchemas()
SCHEMA_IDS: dict[ContractName, int] = {"events": 1, "user_updates": 2}
both_contracts = pytest.mark.parametrize("contract", ["events", "user_updates"])
#: Of a schema and its messages: a thousand choices made one by one could not be made simpler in time.
seeds = st.integers(0, (1 << 32) - 1)
few = settings(
    max_examples=int(os.environ.get("CODEC_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
#: Microseconds in a unit, as a fraction.
UNITS = {
    "timestamp-millis": (1000, 1),
    "timestamp-nanos": (1, 1000),
    "local-timestamp-millis": (1000, 1),
}
EVENT: dict[str, Any] = {"event_id": 1, "user_id": 2, "session_id": 3, "time": 4, "type": "click"}


class One:
    """A source of one schema."""

    def __init__(self, schema: Any) -> None:
        self._text = schema if isinstance(schema, str) else json.dumps(schema)

    def writer_schema(self, schema_id: int) -> str | None:
        return self._text if schema_id == 9 else None


def shipped(contract: ContractName) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(SHIPPED.writer_schema(SCHEMA_IDS[contract]) or "")
    return schema


def plain(schema: Any) -> Any:
    """Without logical types: numbers stay numbers."""
    if isinstance(schema, dict):
        return {key: plain(part) for key, part in schema.items() if key != "logicalType"}
    return [plain(part) for part in schema] if isinstance(schema, list) else schema


def unit(schema: Any) -> tuple[int, int]:
    """Of the field that is read as the time."""
    for field in schema["fields"]:
        if field["name"] in ("time", *ALIASES["time"]):
            kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
            names = [kind.get("logicalType") for kind in kinds if isinstance(kind, dict)]
            return next((UNITS[name] for name in names if name in UNITS), (1, 1))
    return 1, 1


def resolved(contract: ContractName, schema: Any, body: bytes) -> dict[str, Any] | None:
    """The contract's values by fastavro's resolution; None if there is none."""
    reader = plain(shipped(contract))
    for field in reader["fields"]:
        field["aliases"] = list(ALIASES.get(field["name"], ()))
        if field["name"] in DEFAULTS:
            field["default"] = DEFAULTS[field["name"]]
    try:
        record = fastavro.schemaless_reader(
            io.BytesIO(body), fastavro.parse_schema(plain(schema)), fastavro.parse_schema(reader)
        )
    except SchemaResolutionError:
        return None
    assert isinstance(record, dict)
    times, over = unit(schema)
    record["time"] = record["time"] * times // over
    for name in CONTRACTS[contract].maps:
        if record[name] is not None:
            record[name] = [
                (key, None if value is None else json_text(value, field=name, depth=3))
                for key, value in record[name].items()
            ]
    return record


def rows(decoded: Decoded, contract: ContractName) -> list[dict[str, Any]]:
    known = [*CONTRACTS[contract].known]
    columns = decoded.rows.select(known)
    time = columns.column("time").cast("int64")
    columns = columns.set_column(columns.schema.get_field_index("time"), "time", time)
    found: list[dict[str, Any]] = columns.to_pylist()
    return found


@both_contracts
@few
@given(seed=seeds)
def test_three_ways_of_resolution_agree(contract: ContractName, seed: int) -> None:
    draw = random.Random(seed)
    schema = SchemaEdits(draw, odd=False).edited(shipped(contract))
    bodies = [MessageWriter(draw, finite=True).message(schema) for _ in range(4)]
    expected = [resolved(contract, schema, body) for body in bodies]
    fast, slow = pair_of_decoders(contract, One(schema), reader_with_more(contract))
    values = [frame(9, body) for body in bodies]
    for decoded in (fast.decode(values), slow.decode(values)):
        accepted = [row for row in expected if row is not None]
        assert [
            {name: row[name] for name in CONTRACTS[contract].known} for row in accepted
        ] == rows(decoded, contract)
        assert [refusal.reason for refusal in decoded.rejected] == [Reason.MISSING_FIELD] * (
            len(values) - len(accepted)
        )


@both_contracts
@few
@given(draw=st.randoms(use_true_random=False))
def test_types_that_do_not_fit_are_judged_alike(
    contract: ContractName, draw: random.Random
) -> None:
    schema = SchemaEdits(draw, odd=True).edited(shipped(contract))
    values: list[bytes | None] = [
        frame(9, MessageWriter(draw, faults=draw.choice([0.0, 0.02])).message(schema))
        for _ in range(6)
    ]
    fast, slow = pair_of_decoders(contract, One(schema), reader_with_more(contract))
    got, expected = fast.decode(values), slow.decode(values)
    assert got.rejected == expected.rejected
    assert got.rows.equals(expected.rows)
    assert got.unknown_fields == expected.unknown_fields


def event_schema(*fields: dict[str, Any], **types: Any) -> dict[str, Any]:
    """The shipped event's required fields, some with another type, and more fields."""
    required = [field for field in shipped("events")["fields"] if field["name"] in EVENT]
    kept = [{**field, "type": types.get(field["name"], field["type"])} for field in required]
    return {"type": "record", "name": "Event", "fields": [*kept, *fields]}


def one_row(schema: Any, message: dict[str, Any]) -> dict[str, Any]:
    """What both decoders make of a message; the fast one must not ask the other."""
    pair = pair_of_decoders("events", One(schema), reader_schema("events"))
    value = encode_avro(message, schema_id=9, schema=json.dumps(schema))
    got, expected = (made.decode([value]) for made in pair)
    assert got.rejected == expected.rejected == ()
    assert got.rows.equals(expected.rows)
    assert got.reference_rows == 0
    row: dict[str, Any] = got.rows.to_pylist()[0]
    return row


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (["null", "string"], None, None),
        (["null", "string"], 'a"b', '"a\\"b"'),
        ("long", -5, "-5"),
        ("float", 0.5, "0.5"),
        ("double", 1e22, "1e+22"),
        ("boolean", True, "true"),
        ("bytes", b"\xff\n", '"\u00ff\\n"'),
        ({"type": "fixed", "name": "F", "size": 2}, b"\x80a", '"\u0080a"'),
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, "B", '"B"'),
        ({"type": "array", "items": "long"}, [], "[]"),
        ({"type": "array", "items": ["null", "long"]}, [1, None, 3], "[1,null,3]"),
        ({"type": "map", "values": "string"}, {"k": "v", "l": "w"}, '{"k":"v","l":"w"}'),
        (
            {
                "type": "record",
                "name": "R",
                "fields": [
                    {"name": "x", "type": "int"},
                    {"name": "more", "type": ["null", {"type": "array", "items": "R"}]},
                ],
            },
            {"x": 1, "more": [{"x": 2, "more": None}, {"x": 3, "more": []}]},
            '{"x":1,"more":[{"x":2,"more":null},{"x":3,"more":[]}]}',
        ),
    ],
)
def test_a_newer_producers_field_is_rendered_without_the_reference(
    kind: Any, value: Any, text: str | None
) -> None:
    row = one_row(event_schema({"name": "new", "type": kind}), {**EVENT, "new": value})
    assert row["extra"] == [("new", text)]


def test_nested_property_values_are_rendered_without_the_reference() -> None:
    values = ["string", {"type": "array", "items": "double"}, {"type": "map", "values": "long"}]
    schema = event_schema({"name": "properties", "type": {"type": "map", "values": values}})
    row = one_row(schema, {**EVENT, "properties": {"a": [0.1, 2.5e-7], "b": {"x": 1}, "c": "s"}})
    assert row["properties"] == [("a", "[0.1,2.5e-07]"), ("b", '{"x":1}'), ("c", '"s"')]


def test_an_enum_in_a_text_column_is_its_symbol() -> None:
    kind = {"type": "enum", "name": "Kind", "symbols": ["click", "pageview"]}
    schema = event_schema({"name": "platform", "type": ["null", "Kind"]}, type=kind)
    row = one_row(schema, {**EVENT, "type": "pageview", "platform": "click"})
    assert (row["type"], row["platform"]) == ("pageview", "click")


def test_an_id_may_be_a_string_of_digits() -> None:
    row = one_row(event_schema(user_id="string"), {**EVENT, "user_id": str((1 << 63) - 1)})
    assert row["user_id"] == (1 << 63) - 1


@pytest.mark.parametrize(
    ("kind", "value", "micros"),
    [
        ("timestamp-millis", -1, -1000),
        ("timestamp-nanos", -1, -1),
        ("timestamp-nanos", 1999, 1),
        ("local-timestamp-millis", 5, 5000),
        ("local-timestamp-micros", 5, 5),
        ("something-else", 5, 5),
    ],
)
def test_times_of_any_unit_become_microseconds(kind: str, value: int, micros: int) -> None:
    schema = event_schema(time={"type": "long", "logicalType": kind})
    pair = pair_of_decoders("events", One(schema), reader_schema("events"))
    body = b"".join(varint(EVENT[name]) for name in ("event_id", "user_id", "session_id"))
    message = frame(9, body + varint(value) + varint(1) + b"x")
    for made in pair:
        assert made.decode([message]).number("time").tolist() == [micros]


def test_a_name_of_the_readers_own_goes_before_an_alias() -> None:
    schema = event_schema(
        {"name": "page_path", "type": "string"}, {"name": "path", "type": "string"}
    )
    message = {**EVENT, "page_path": "/old", "path": "/new"}
    value = encode_avro(message, schema_id=9, schema=json.dumps(schema))
    for made in pair_of_decoders("events", One(schema), reader_with_more("events")):
        row = made.decode([value]).rows.to_pylist()[0]
        assert (row["path"], row["extra"]) == ("/new", [("page_path", '"/old"')])


def test_bytes_that_are_no_text_are_refused_where_a_string_is_wanted() -> None:
    schema = event_schema({"name": "path", "type": "bytes"})
    value = encode_avro({**EVENT, "path": b"\xff"}, schema_id=9, schema=json.dumps(schema))
    for made in pair_of_decoders("events", One(schema), reader_schema("events")):
        assert [refusal.reason for refusal in made.decode([value]).rejected] == [
            Reason.NOT_DECODABLE
        ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '"Unknown"',
        '{"type":"object","properties":{}}',
        '{"type":"record","name":"R"}x',
        '{"type":"record","name":"R","fields":[{"name":"a"}]}',
        '{"type":"record","name":"R","fields":[{"name":"\\ud800","type":"null"}]}',
        "[" * 5000,
        "syntax = 'proto3';",
    ],
)
def test_a_schema_that_is_none_refuses_its_messages(text: str) -> None:
    with pytest.raises(NotASchema):
        WriterSchema.resolve(text, reader_schema("events"))
    for made in pair_of_decoders("events", One(text), reader_schema("events")):
        decoded = made.decode([frame(9, b"\2"), frame(9, b"\2")])
        assert {refusal.reason for refusal in decoded.rejected} == {Reason.UNKNOWN_SCHEMA}


def test_the_shipped_readers_know_their_fields() -> None:
    for contract in CONTRACTS.values():
        reader = reader_schema(contract.name)
        assert set(reader.names) == set(contract.known)
        assert reader.texts == set(contract.texts)
        assert reader.maps == set(contract.maps)
    assert ReaderSchema.of(shipped("events")) == reader_schema("events")
