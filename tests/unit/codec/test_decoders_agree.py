"""The vectorised decoders give what the reference decoder gives: same rows, same refusals."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from loader.codec.contract import Decoder
from loader.codec.decoders import decoder, reference_decoder
from loader.codec.encode import encode_avro, encode_json
from loader.codec.fields import CONTRACTS, Contract, ContractName, FormatName
from loader.codec.schemas import FRAME, ShippedSchemas
from loader.codec.values import MAX_TIME_US, MIN_TIME_US
from loader.model.events import MAX_ID

SCHEMAS = ShippedSchemas()
SCHEMA_IDS: dict[ContractName, int] = {"events": 1, "user_updates": 2}
CASES: list[tuple[ContractName, FormatName]] = [
    ("events", "json"),
    ("events", "avro"),
    ("user_updates", "json"),
    ("user_updates", "avro"),
]
both_contracts = pytest.mark.parametrize("contract", ["events", "user_updates"])
everywhere = pytest.mark.parametrize(("contract", "written"), CASES)
# More examples for a long search: CODEC_EXAMPLES=5000 pytest tests/unit/codec
few = settings(
    max_examples=int(os.environ.get("CODEC_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

IDS = st.integers(0, MAX_ID) | st.integers(0, 300) | st.sampled_from([0, MAX_ID])
TIMES = st.integers(MIN_TIME_US, MAX_TIME_US) | st.sampled_from([MIN_TIME_US, -1, 0, MAX_TIME_US])
TEXTS = st.text(max_size=8) | st.sampled_from(
    ["", "5", "-1.5e3", "true", "null", "{}", "[1]", "NaN", "a,]", '"', "\\", "\x00", "\x1f/é"]
)
NAMES = st.sampled_from(["plan", "Plan", "a b", "", 'q"', "é", "\n", "user_id"]) | st.text(
    max_size=4
)
LONGS = st.integers(-(1 << 63), MAX_ID) | st.integers(-5, 5)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [0.0, -0.0, 1e-4, 1e-5, 0.1 + 0.2, 1e15, 1e16, 1e22, 5e-324, 123456789.25]
)
SCALARS = st.none() | TEXTS | LONGS | DOUBLES | st.booleans()


@cache
def fast(contract: ContractName, written: FormatName) -> Decoder:
    return decoder(contract, written, SCHEMAS)


@cache
def slow(contract: ContractName, written: FormatName) -> Decoder:
    return reference_decoder(contract, written, SCHEMAS)


def agree(contract: ContractName, written: FormatName, values: Sequence[bytes | None]) -> None:
    got = fast(contract, written).decode(values)
    expected = slow(contract, written).decode(values)
    assert got.rejected == expected.rejected
    assert got.positions.tolist() == expected.positions.tolist()
    assert got.rows.to_pylist() == expected.rows.to_pylist()
    assert got.rows.equals(expected.rows)
    assert got.rows.schema.equals(CONTRACTS[contract].columns)
    assert got.schema_ids.tolist() == expected.schema_ids.tolist()
    assert got.unknown_fields == expected.unknown_fields
    got.rows.validate(full=True)
    places = sorted([*got.positions.tolist(), *(refusal.position for refusal in got.rejected)])
    assert places == list(range(len(values)))


@st.composite
def messages(draw: DrawFn, name: ContractName) -> dict[str, Any]:
    """A message that either format can carry, with integer times."""
    contract = CONTRACTS[name]
    message: dict[str, Any] = {field: draw(IDS) for field in contract.ids}
    message[contract.time] = draw(TIMES)
    for field in sorted(contract.required_texts):
        message[field] = draw(TEXTS)
    optional = [field for field in contract.texts if field not in contract.required_texts]
    for field in draw(st.lists(st.sampled_from(optional), unique=True, max_size=4)):
        message[field] = draw(st.none() | TEXTS)
    for field in draw(st.lists(st.sampled_from(contract.maps), unique=True)):
        message[field] = draw(st.none() | st.dictionaries(NAMES, SCALARS, max_size=4))
    return message


def batches(name: ContractName) -> SearchStrategy[list[dict[str, Any]]]:
    return st.lists(messages(name), min_size=1, max_size=6)


def to_avro(name: ContractName, message: dict[str, Any]) -> bytes:
    schema_id = SCHEMA_IDS[name]
    schema = SCHEMAS.writer_schema(schema_id)
    assert schema is not None
    return encode_avro(message, schema_id=schema_id, schema=schema)


ENCODERS: dict[FormatName, Callable[[ContractName, dict[str, Any]], bytes]] = {
    "json": lambda _, message: encode_json(message),
    "avro": to_avro,
}


@both_contracts
@few
@given(data=st.data())
def test_a_message_gives_the_same_row_in_both_formats(
    contract: ContractName, data: st.DataObject
) -> None:
    sent = data.draw(batches(contract))
    agree(contract, "json", [encode_json(message) for message in sent])
    agree(contract, "avro", [to_avro(contract, message) for message in sent])
    as_json = fast(contract, "json").decode([encode_json(message) for message in sent])
    as_avro = fast(contract, "avro").decode([to_avro(contract, message) for message in sent])
    assert as_json.rejected == as_avro.rejected == ()
    # The slow path sees none of them, or this would prove nothing.
    assert as_json.reference_rows == 0
    assert as_avro.reference_rows == 0
    own = [name for name in as_json.rows.schema.names if name not in ("extra", "cleared")]
    assert as_json.rows.select(own).equals(as_avro.rows.select(own))


@st.composite
def mangled(draw: DrawFn, value: bytes) -> bytes | None:
    """One accident that can befall the bytes of a message."""
    at = draw(st.integers(0, len(value) - 1))
    flipped = bytes([value[at] ^ 1 << draw(st.integers(0, 7))])
    more = draw(st.binary(min_size=1, max_size=3))
    tail = draw(st.sampled_from([b"\x00", b" ", b"x", b"\xff\xff", value]))
    return draw(
        st.sampled_from(
            [
                value,
                value[:at] + flipped + value[at + 1 :],
                value[:at],
                value[:at] + more + value[at:],
                value[:at] + value[at + 1 :],
                value + tail,
                None,
                b"",
            ]
        )
    )


@everywhere
@few
@given(data=st.data())
def test_mangled_messages_are_judged_alike(
    contract: ContractName, written: FormatName, data: st.DataObject
) -> None:
    sent = [ENCODERS[written](contract, message) for message in data.draw(batches(contract))]
    agree(contract, written, [data.draw(mangled(value)) for value in sent])


@both_contracts
@few
@given(data=st.data())
def test_any_avro_body_is_judged_alike(contract: ContractName, data: st.DataObject) -> None:
    """Bodies that are made up entirely, most of them nonsense."""
    schema_id = st.sampled_from([SCHEMA_IDS[contract]] * 6 + [2, 3, 4, 9, 255, (1 << 31) - 1])
    bodies = st.lists(st.tuples(schema_id, st.binary(max_size=80)), min_size=1, max_size=6)
    agree(contract, "avro", [FRAME.pack(0, number) + body for number, body in data.draw(bodies)])


# --- JSON, written by hand: what no library would write ---------------------------------------

SPACES = st.sampled_from(["", "", "", " ", "\n\t", "\r"])
DEEP = [("[" * depth) + ("]" * depth) for depth in (1, 61, 62, 63, 64, 65, 66, 5000)]
ODD_VALUES = [
    *("NaN", "nan", "-nan", "Infinity", "-Infinity", "inf", "-inf", "1e999", "-1e999", "1E400"),
    *(
        "-0",
        "-0.0",
        "0",
        "01",
        "+1",
        ".5",
        "5.",
        "1.50",
        "1e3",
        "1E-7",
        "1e16",
        "0.00001",
        "1e-320",
    ),
    *("123456789012345678901234567890", "9223372036854775807", "9223372036854775808", "-1"),
    *("18446744073709551615", "18446744073709551616", "1" * 999, "1" * 1001, "-" + "9" * 20),
    *('"5"', '"05"', '"-5"', '"+5"', '" 5"', '"5.0"', '"9223372036854775808"', '""', '"0"'),
    *("true", "false", "null", "True", "nul", '"\\ud800"', '"\\udc00\\ud800"', '"\\ud83d\\ude00"'),
    *('"\\u0000"', '"\\u001b\\n\\/\\u00e9"', '"a,]"', '"a, }"', "'x'", '"\x01"', '"\x7f\u2028"'),
    *("[]", "{}", "[1,]", '{"a":1,}', "[1 2]", "[1.10,1e16,-0,{}]", '{"a":1,"b":2,"a":3}', "[NaN]"),
    *('{"a":{"b":[null,true,"\\u0041"]}}', "[1e999]", '{"\\u0061":1,"a":2}', "/**/1", "1//"),
    *('{"d":0.1,"e":12345678901234567890123}', '["\\ud800"]'),
    *DEEP,
]
ODD_TIMES = [
    *("2026-11-22T10:00:00Z", "2026-11-22T10:00:00.123456Z", "2026-11-22T10:00:00.1234567+01:00"),
    *("2026-11-22T10:00:00.123456789Z", "2026-11-22T10:00:00.1234567891Z", "2026-11-22T10:00:00"),
    *("2026-11-22 10:00:00Z", "2026-11-22T10:00Z", "2026-11-22T10:00:00z", "2026-11-22"),
    *(
        "2026-02-29T00:00:00Z",
        "2024-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2000-02-29T00:00:00Z",
    ),
    *(
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-04-31T00:00:00Z",
    ),
    *(
        "2026-01-01T24:00:00Z",
        "2026-01-01T23:60:00Z",
        "2026-01-01T23:59:60Z",
        "2026-01-01T1:00:00Z",
    ),
    *("2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+23:59", "2026-01-01T00:00:00-00:60"),
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01", "0000-12-31T23:59:59-01:00"),
    *("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999-00:01", "-001-01-01T00:00:00Z"),
    *("2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+0100", "2026-01-01T00:00:00+01", "5", ""),
    *("\u0662026-01-01T00:00:00Z", "2026-01-01T00:00:00.\u0661Z", "2026-11-22T10:00:0Z0"),
]


def raw_value(draw: DrawFn, contract: Contract, name: str) -> str:
    """JSON text for a field: mostly a fitting one."""
    odd = draw(st.integers(0, 9)) == 0
    if odd or name not in contract.known:
        return draw(st.sampled_from(ODD_VALUES) | SCALARS.map(json.dumps))
    if name in contract.ids:
        return draw(IDS.map(str) | IDS.map(lambda number: f'"{number}"'))
    if name == contract.time:
        iso = st.datetimes(
            timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5, minutes=-30))])
        )
        written = iso.map(datetime.isoformat).map(json.dumps)
        return draw(TIMES.map(str) | written | st.sampled_from(ODD_TIMES).map(json.dumps))
    if name in contract.texts:
        ascii_only = draw(st.booleans())
        return json.dumps(draw(TEXTS), ensure_ascii=ascii_only)
    pairs = draw(
        st.lists(
            st.tuples(NAMES, st.sampled_from(ODD_VALUES) | SCALARS.map(json.dumps)), max_size=3
        )
    )
    return "{" + ",".join(f"{json.dumps(key)}:{value}" for key, value in pairs) + "}"


@st.composite
def documents(draw: DrawFn, name: ContractName) -> bytes:
    """The text of one message: fields in any order, some twice, some unknown, odd spacing."""
    contract = CONTRACTS[name]
    fields = [*contract.ids, contract.time, *sorted(contract.required_texts), *contract.maps]
    more = st.sampled_from([*contract.known[-8:], "new", "cleared", "extra", "Time", "", "_x"])
    fields += draw(st.lists(more, max_size=4))
    draw(st.randoms(use_true_random=False)).shuffle(fields)
    members = []
    for field in fields:
        key = (
            json.dumps(field)
            if draw(st.integers(0, 15))
            else f'"\\u{ord(field[:1] or "x"):04x}{field[1:]}"'
        )
        members.append(
            f"{draw(SPACES)}{key}{draw(SPACES)}:{draw(SPACES)}{raw_value(draw, contract, field)}"
        )
    tail = draw(st.sampled_from([""] * 12 + [",", " , "]))
    return f"{draw(SPACES)}{{{','.join(members)}{tail}}}{draw(SPACES)}".encode(
        "utf-8", "surrogatepass"
    )


@both_contracts
@few
@given(data=st.data())
def test_any_json_text_is_judged_alike(contract: ContractName, data: st.DataObject) -> None:
    agree(contract, "json", data.draw(st.lists(documents(contract), min_size=1, max_size=6)))


@everywhere
@pytest.mark.parametrize("share", [0.01, 1.0])
def test_bad_messages_in_a_large_batch_are_told_apart(
    contract: ContractName, written: FormatName, share: float
) -> None:
    """Deterministic: a few bad messages among many, and a batch of nothing else."""
    draw = random.Random(7)
    good = {"event_id": 1, "user_id": 2, "session_id": 3, "time": 4, "type": "click", "email": "e"}
    fields = {name: good[name] for name in CONTRACTS[contract].known if name in good}
    value = ENCODERS[written](contract, {**fields, "properties": {"plan": "pro", "n": 1.5}})
    damage: list[Callable[[bytes], bytes | None]] = [
        lambda value: value[:-1],
        lambda value: value + b"\x00",
        lambda value: value[:7] + b"\xff" + value[8:],
        lambda value: value.replace(b"pro", b"p\xffo"),
        lambda _: b"{}",
        lambda _: None,
    ]
    values = [draw.choice(damage)(value) if draw.random() < share else value for _ in range(3000)]
    agree(contract, written, values)
