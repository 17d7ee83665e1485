"""What a JSON message becomes, and why one is refused: the same for both decoders."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from loader.codec.contract import Decoder, Reason
from loader.codec.decoders import decoder, reference_decoder
from loader.codec.schemas import ShippedSchemas

EVENT: dict[str, Any] = {
    "event_id": 9007199254740993,
    "user_id": "9223372036854775807",
    "session_id": 0,
    "time": "2026-11-22T10:00:00.5+01:00",
    "type": "click",
}
US = 1_795_338_000_500_000


@pytest.fixture(params=[decoder, reference_decoder], ids=["fast", "reference"])
def events(request: pytest.FixtureRequest) -> Decoder:
    made: Decoder = request.param("events", "json", ShippedSchemas())
    return made


@pytest.fixture(params=[decoder, reference_decoder], ids=["fast", "reference"])
def updates(request: pytest.FixtureRequest) -> Decoder:
    made: Decoder = request.param("user_updates", "json", ShippedSchemas())
    return made


def one(decoder: Decoder, value: bytes) -> dict[str, Any]:
    decoded = decoder.decode([value])
    assert decoded.rejected == ()
    row: dict[str, Any] = decoded.rows.to_pylist()[0]
    return row


def sent(**more: Any) -> bytes:
    return orjson.dumps({**EVENT, **more})


def raw(field: str, text: str) -> bytes:
    """A fitting message but for one field, whose JSON text is given."""
    rest = orjson.dumps({name: value for name, value in EVENT.items() if name != field})
    return rest[:-1] + f',"{field}":{text}}}'.encode()


def test_ids_are_exact_and_times_are_utc_microseconds(events: Decoder) -> None:
    decoded = events.decode([sent(), sent(time=US)])
    ids = decoded.rows.select(["event_id", "user_id", "session_id"]).to_pylist()
    assert ids == [{"event_id": (1 << 53) + 1, "user_id": (1 << 63) - 1, "session_id": 0}] * 2
    assert decoded.rows.column("time").cast("int64").to_pylist() == [US, US]
    assert decoded.schema_ids.tolist() == [0, 0]


def test_a_property_keeps_its_type_as_json_text(events: Decoder) -> None:
    value = raw(
        "properties",
        r'{"plan":"pro \"\/\u00e9\u001b","n":123456789012345678901234567890,"x":1.50,"e":1E16,"t":true,'
        r'"none":null,"list":[1, {"b":2, "a":1.0}], "":""}',
    )
    assert dict(one(events, value)["properties"]) == {
        "plan": '"pro \\"/é\\u001B"',
        "n": "123456789012345678901234567890",
        "x": "1.5",
        "e": "1e+16",
        "t": "true",
        "none": None,
        "list": '[1,{"b":2,"a":1.0}]',
        "": '""',
    }


def test_unknown_fields_are_kept_and_counted(events: Decoder) -> None:
    decoded = events.decode([sent(), sent(new=[1], other=None), sent(new="x")])
    assert [row["extra"] for row in decoded.rows.to_pylist()] == [
        None,
        [("new", "[1]"), ("other", None)],
        [("new", '"x"')],
    ]
    assert decoded.unknown_fields == {"new": 2, "other": 1}


@pytest.mark.parametrize(
    ("number", "text", "hidden"),
    [("1e5", "100000.0", ',"":1'), ("2e-3", "0.002", ","), ("[1e5]", "[100000.0]", ',"":1')],
)
def test_a_number_that_grows_does_not_hide_what_else_is_in_a_message(
    events: Decoder, number: str, text: str, hidden: str
) -> None:
    """As rendered the message has the length of its known fields alone."""
    value = raw("properties", f'{{"a":{number}}}')
    decoded = events.decode([value[:-1] + f"{hidden}}}".encode()])
    if hidden == ",":
        assert [refusal.reason for refusal in decoded.rejected] == [Reason.NOT_DECODABLE]
        return
    (row,) = decoded.rows.to_pylist()
    assert (row["properties"], row["extra"]) == ([("a", text)], [("", "1")])


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_ids_as_text_and_spaces_need_no_reference(separators: tuple[str, str]) -> None:
    message = {**EVENT, "event_id": "17", "path": None, "properties": {"n": 1.5}}
    value = json.dumps(message, separators=separators).encode()
    decoded = decoder("events", "json", ShippedSchemas()).decode([value, sent()])
    assert decoded.rows.column("event_id").to_pylist() == [17, (1 << 53) + 1]
    assert decoded.reference_rows == 0


def test_of_a_repeated_key_the_last_value_stands(events: Decoder) -> None:
    row = one(events, sent()[:-1] + b',"type":"a","type":"b","properties":{"k":1,"j":2,"k":3}}')
    assert row["type"] == "b"
    assert row["properties"] == [("k", "3"), ("j", "2")]


@pytest.mark.parametrize("field", ["type", "path", "user_id", "new"])
def test_a_repeated_field_alone_takes_the_last_value(events: Decoder, field: str) -> None:
    value = sent()[:-1] + f',"{field}":"1","{field}":"2"}}'.encode()
    row = one(events, value)
    assert row.get(field, dict(row["extra"] or {}).get(field)) in ("2", 2, '"2"')


def test_absent_and_null_are_told_apart_where_it_matters(updates: Decoder) -> None:
    value = {"user_id": 1, "time": 2, "email": None, "handle": "h", "properties": {"plan": None}}
    row = one(updates, orjson.dumps(value))
    assert (row["identity"], row["handle"], row["email"]) == (None, "h", None)
    assert row["cleared"] == ["email"]
    assert row["properties"] == [("plan", None)]
    assert one(updates, b'{"user_id":1,"time":2,"properties":{}}')["cleared"] is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Reason.NULL_VALUE),
        (b"", Reason.EMPTY_VALUE),
        (b"{", Reason.NOT_DECODABLE),
        (b"\xff", Reason.NOT_DECODABLE),
        (b"[]", Reason.WRONG_TYPE),
        (sent() + b"{}", Reason.NOT_DECODABLE),
        (sent()[:-1] + b",}", Reason.NOT_DECODABLE),
        (raw("properties", '{"a":NaN}'), Reason.NOT_DECODABLE),
        (raw("properties", '{"a":[-Infinity]}'), Reason.NOT_DECODABLE),
        (raw("properties", '{"a":1e999}'), Reason.OUT_OF_RANGE),
        (raw("properties", '{"a":' + "[" * 62 + "]" * 62 + "}"), None),
        (raw("properties", '{"a":' + "[" * 63 + "]" * 63 + "}"), Reason.NOT_DECODABLE),
        (raw("strange", "[" * 100_000 + "]" * 100_000), Reason.NOT_DECODABLE),
        (raw("properties", '"text"'), Reason.WRONG_TYPE),
        (raw("path", "5"), Reason.WRONG_TYPE),
        (raw("path", '"5"'), None),
        (raw("path", "{}"), Reason.WRONG_TYPE),
        (raw("path", '"\\ud800"'), Reason.NOT_DECODABLE),
        (raw("type", "null"), Reason.MISSING_FIELD),
        (b'{"event_id":1}', Reason.MISSING_FIELD),
        (raw("user_id", "-1"), Reason.OUT_OF_RANGE),
        (raw("user_id", "9223372036854775808"), Reason.OUT_OF_RANGE),
        (raw("user_id", '"9223372036854775808"'), Reason.OUT_OF_RANGE),
        (raw("user_id", "1.0"), Reason.WRONG_TYPE),
        (raw("user_id", "true"), Reason.WRONG_TYPE),
        (raw("user_id", '"01"'), Reason.WRONG_TYPE),
        (raw("time", '"2026-11-22T10:00:00"'), Reason.BAD_TIME),
        (raw("time", '"2026-02-30T10:00:00Z"'), Reason.BAD_TIME),
        (raw("time", '"1795338000500000"'), Reason.BAD_TIME),
        (raw("time", "9000000000000000000"), Reason.BAD_TIME),
        (raw("time", "1.5"), Reason.WRONG_TYPE),
        (raw("time", "-62135596800000000"), None),
    ],
)
def test_each_fault_has_its_reason(
    events: Decoder, value: bytes | None, reason: Reason | None
) -> None:
    decoded = events.decode([sent(), value, sent()])
    if reason is None:
        assert decoded.rejected == ()
        return
    assert [(refusal.position, refusal.reason) for refusal in decoded.rejected] == [(1, reason)]
    assert decoded.positions.tolist() == [0, 2]


@pytest.mark.parametrize("shift", [0, 1])
def test_a_long_text_that_is_not_json_is_only_refused(events: Decoder, shift: int) -> None:
    decoded = events.decode([sent(), ("x" * shift + "é" * 500).encode()])
    assert [refusal.reason for refusal in decoded.rejected] == [Reason.NOT_DECODABLE]


def test_an_error_names_the_field_and_never_the_value(events: Decoder) -> None:
    values = [raw("path", "31337"), raw("time", '"31337"'), raw("user_id", "-31337")]
    errors = [refusal.error for refusal in events.decode(values).rejected]
    assert [error.split(":")[0] for error in errors] == ["path", "time", "user_id"]
    assert not any("31337" in error for error in errors)


def test_digits_past_the_microsecond_are_cut_off(events: Decoder) -> None:
    values = [
        sent(time=f"1969-12-31T23:59:59.{digits}Z") for digits in ("9", "9999999", "0000009999")
    ]
    times = events.decode(values).rows.column("time").cast("int64").to_pylist()
    assert times == [-100_000, -1, -1_000_000]


def test_a_list_of_nothing_is_a_batch_of_no_rows(events: Decoder) -> None:
    decoded = events.decode([])
    assert decoded.rows.num_rows == 0
    assert decoded.rejected == ()


def test_rows_stay_in_message_order_where_some_need_the_reference() -> None:
    slow = sent()[:-1] + b',"properties":{"a":1,"a":2}}'
    decoded = decoder("events", "json", ShippedSchemas()).decode(
        [slow, sent(event_id=1), b"", slow, sent(event_id=2)]
    )
    assert decoded.positions.tolist() == [0, 1, 3, 4]
    assert decoded.rows.column("event_id").to_pylist() == [(1 << 53) + 1, 1, (1 << 53) + 1, 2]
    assert decoded.reference_rows == 3
