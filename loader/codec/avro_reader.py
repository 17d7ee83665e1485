"""pyruhvro: a list of datums to Arrow columns in one call, and the checks that it leaves out.

pyruhvro 0.4 takes some input that the rules refuse:

* bytes after a record. Every datum gets a sentinel appended, and the schema a last field that must
  read exactly it. The sentinel is drawn at random for each call, so no message can contain it.
* text that is not UTF-8. Arrow's full validation finds it.

The Confluent frame is read as columns too: five ``int`` fields before the record's own. That holds
while each byte of the id is below 0x80; other ids have their frames cut off first.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyruhvro

from loader.codec.columns import Mask
from loader.codec.fields import Contract
from loader.codec.schemas import FRAME, frame

_FRAME_FIELDS: Final = tuple(f"_frame{place}" for place in range(FRAME.size))
_SENTINEL: Final = "_sentinel"
_BRANCHES: Final = {"null", "string", "long", "int", "double", "boolean"}


@dataclass(frozen=True, slots=True)
class Plan:
    """How the records of one writer schema become columns.

    Attributes:
        schema_id: the writer's schema.
        framed: whether the frame is read as columns.
        schema: what pyruhvro reads, JSON text.
        fields: names of the record's own fields.
    """

    schema_id: int
    framed: bool
    schema: str
    fields: frozenset[str]


def plan_for(contract: Contract, schema_id: int, written: str) -> Plan | None:
    """A plan for a writer schema whose every field is a known one of the usual type, else None."""
    schema = json.loads(written)
    if not isinstance(schema, dict) or schema.get("type") != "record":
        return None
    own: list[dict[str, Any]] = []
    for described in schema["fields"]:
        kind = _usual(contract, described["name"], described["type"])
        if kind is None:
            return None
        own.append({"name": described["name"], "type": kind})
    names = frozenset(described["name"] for described in own)
    if not names.issuperset({*contract.ids, contract.time, *contract.required_texts}):
        return None
    framed = all(byte < 0x80 for byte in frame(schema_id, b""))
    fields = [{"name": name, "type": "int"} for name in _FRAME_FIELDS if framed]
    fields += [*own, {"name": _SENTINEL, "type": "long"}]
    reader = {"type": "record", "name": "Framed", "fields": fields}
    return Plan(schema_id=schema_id, framed=framed, schema=json.dumps(reader), fields=names)


def _usual(contract: Contract, name: str, kind: Any) -> Any:
    """The type to read a field with, or None if only the reference decoder knows what to do."""
    if name in contract.maps:
        return kind if _is_usual_map(kind) else None
    if name == contract.time and kind == {"type": "long", "logicalType": "timestamp-micros"}:
        return "long"
    usual: tuple[Any, ...] = ()
    if name in contract.ids or name == contract.time:
        usual = ("long",)
    elif name in contract.required_texts:
        usual = ("string",)
    elif name in contract.texts:
        usual = ("string", ["null", "string"])
    return kind if kind in usual else None


def _is_usual_map(kind: Any) -> bool:
    """A map of a union of JSON's scalar types, nullable or not."""
    if isinstance(kind, list) and len(kind) == 2 and kind[0] == "null":
        kind = kind[1]
    if not isinstance(kind, dict) or set(kind) != {"type", "values"} or kind["type"] != "map":
        return False
    branches = kind["values"]
    return isinstance(branches, list) and all(
        isinstance(branch, str) and branch in _BRANCHES for branch in branches
    )


def sealed(plan: Plan, values: Sequence[bytes]) -> tuple[list[bytes], int]:
    """The datums to read, each with a sentinel behind it, and the sentinel."""
    sentinel = (1 << 62) | secrets.randbits(62)
    tail = _long(sentinel)
    if plan.framed:
        return [value + tail for value in values], sentinel
    return [value[FRAME.size :] + tail for value in values], sentinel


def read(plan: Plan, datums: Sequence[bytes], sentinel: int) -> tuple[pa.RecordBatch, Mask] | None:
    """Read sealed datums.

    Returns:
        The columns, and the mask of the rows that are not exactly one record of the schema. None if
        there is a datum that cannot be read at all.
    """
    try:
        columns = pyruhvro.deserialize_array(datums, plan.schema)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException:  # noqa: BLE001 - a Rust panic is not an Exception
        return None
    try:
        columns.validate(full=True)
    except pa.ArrowInvalid:
        return None
    wrong = columns.column(_SENTINEL).to_numpy() != sentinel
    if plan.framed:
        for name, byte in zip(_FRAME_FIELDS, frame(plan.schema_id, b""), strict=True):
            wrong |= columns.column(name).to_numpy() != (byte >> 1) ^ -(byte & 1)
    return columns, wrong


def _long(number: int) -> bytes:
    """A non-negative number as Avro writes a long: zig-zag, then seven bits a byte."""
    number <<= 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
