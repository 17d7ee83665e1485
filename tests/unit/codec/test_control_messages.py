"""Merges and erasures, in both formats."""

from __future__ import annotations

import copy

import pytest

from loader.codec.contract import Reason
from loader.codec.control import ControlReader
from loader.codec.encode import encode_avro, encode_json
from loader.codec.fields import FormatName
from loader.codec.schemas import ShippedSchemas
from loader.codec.values import Refused
from loader.model.control import UserDeletion, UserMigration

SCHEMAS = ShippedSchemas()
formats = pytest.mark.parametrize("written", ["json", "avro"])


def encode(written: FormatName, schema_id: int, message: dict[str, object]) -> bytes:
    if written == "json":
        return encode_json(message)
    return encode_avro(message, schema_id=schema_id, schema=SCHEMAS.writer_schema(schema_id) or "")


@formats
def test_a_merge(written: FormatName) -> None:
    value = encode(written, 3, {"from_user_id": 1, "to_user_id": 2, "time": 3})
    assert ControlReader(written, SCHEMAS).user_migration(value) == UserMigration(1, 2, 3)


@formats
def test_a_merge_at_time_zero_has_no_time(written: FormatName) -> None:
    value = encode(written, 3, {"from_user_id": 1, "to_user_id": 2, "time": 0})
    assert ControlReader(written, SCHEMAS).user_migration(value).time_us is None


@formats
def test_an_erasure(written: FormatName) -> None:
    value = encode(written, 4, {"user_id": 1, "time": 0, "request_id": "r-1"})
    assert ControlReader(written, SCHEMAS).user_deletion(value) == UserDeletion(1, 0, "r-1")


def test_json_takes_decimal_strings_iso_times_and_unknown_fields() -> None:
    value = b'{"from_user_id":"1","to_user_id":2,"time":"1970-01-01T00:00:01Z","why":"x"}'
    got = ControlReader("json", SCHEMAS).user_migration(value)
    assert got == UserMigration(1, 2, 1_000_000)


@pytest.mark.parametrize(
    ("written", "value", "reason"),
    [
        ("json", None, Reason.NULL_VALUE),
        ("avro", b"", Reason.EMPTY_VALUE),
        ("json", b"[1]", Reason.WRONG_TYPE),
        ("json", b"nope", Reason.NOT_DECODABLE),
        ("json", b'{"from_user_id":1,"time":0}', Reason.MISSING_FIELD),
        ("json", b'{"from_user_id":-1,"to_user_id":2,"time":0}', Reason.OUT_OF_RANGE),
        ("json", b'{"from_user_id":1,"to_user_id":2,"time":"soon"}', Reason.BAD_TIME),
        ("avro", b'{"from_user_id":1}', Reason.NOT_FRAMED),
        ("avro", b"\x00\x00\x00\x00\x63\x00", Reason.UNKNOWN_SCHEMA),
        ("avro", b"\x00\x00\x00\x00\x03\x02", Reason.NOT_DECODABLE),
    ],
)
def test_each_fault_has_its_reason(written: FormatName, value: bytes, reason: Reason) -> None:
    with pytest.raises(Refused) as caught:
        ControlReader(written, SCHEMAS).user_migration(value)
    assert caught.value.reason is reason


def test_an_erasure_needs_its_request_id() -> None:
    with pytest.raises(Refused, match="request_id"):
        ControlReader("json", SCHEMAS).user_deletion(b'{"user_id":1,"time":0}')


def test_a_refusal_survives_a_process_boundary() -> None:
    fault = copy.copy(Refused(Reason.BAD_TIME, "time: no"))
    assert (fault.reason, fault.error, str(fault)) == (Reason.BAD_TIME, "time: no", "time: no")
