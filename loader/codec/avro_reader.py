"""pyruhvro: a list of datums to Arrow columns in one call, and the checks that it leaves out.

pyruhvro 0.4 takes some input that the rules refuse:

* bytes after a record. Every datum gets a seal appended, and the schema a last field that must read
  exactly it. The seal is drawn at random for each call, so no message can contain it.
* text that is not UTF-8. Arrow's full validation finds it.

One datum that it cannot read fails the whole call, and it does not say which. So the seal is made to be
read by any field, with padding behind: a record that ends too early is mostly read to a wrong seal.

The Confluent frame is read as columns too: five ``int`` fields before the record's own. That holds
while each byte of the id is below 0x80; other ids have their frames cut off first.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyruhvro

from loader.codec.columns import Mask, map_parts, mask_of, not_utf8, rows_of
from loader.codec.fields import Contract
from loader.codec.schemas import FRAME, frame

_FRAME_FIELDS: Final = tuple(f"_frame{place}" for place in range(FRAME.size))
_SEAL: Final = "_seal"
#: Characters of a seal, one random bit each. Their bytes, 0x00 and 0x02, are fitting branches of a
#: union, and as lengths 0 and 1.
_SEAL_SIZE: Final = 63
#: Zeros behind the seal: a null or an empty text each.
_PADDING: Final = bytes(192)
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
    fields: list[dict[str, Any]]
    fields = [{"name": name, "type": "int"} for name in _FRAME_FIELDS if framed]
    fields += [*own, {"name": _SEAL, "type": ["null", "string"]}]
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


def sealed(plan: Plan, values: Sequence[bytes]) -> tuple[list[bytes], str]:
    """The datums to read, each with a seal behind it, and the seal."""
    bits = secrets.randbits(_SEAL_SIZE)
    seal = "".join("\0\2"[bits >> place & 1] for place in range(_SEAL_SIZE))
    # Branch 1 of the union, then the length, zig-zag.
    tail = bytes([1 << 1, _SEAL_SIZE << 1]) + seal.encode() + _PADDING
    if plan.framed:
        return [value + tail for value in values], seal
    return [value[FRAME.size :] + tail for value in values], seal


def read(plan: Plan, datums: Sequence[bytes], seal: str) -> tuple[pa.RecordBatch, Mask] | None:
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
    wrong = ~mask_of(pc.equal(columns.column(_SEAL), seal).fill_null(False))
    if plan.framed:
        for name, byte in zip(_FRAME_FIELDS, frame(plan.schema_id, b""), strict=True):
            wrong |= columns.column(name).to_numpy() != (byte >> 1) ^ -(byte & 1)
    for column in columns.columns:
        if pa.types.is_string(column.type):
            wrong |= not_utf8(column)
        elif pa.types.is_map(column.type):
            wrong |= _unreadable_map(column)
    return columns, wrong


def _unreadable_map(column: pa.Array[Any]) -> Mask:
    """Rows in which a key or a text of a map of unions is not UTF-8."""
    offsets, keys, union, _ = map_parts(column)
    bad = not_utf8(keys)
    for branch in map(union.field, range(union.type.num_fields)):
        if pa.types.is_string(branch.type):
            bad |= not_utf8(branch)
    wrong = np.zeros(len(column), np.bool_)
    wrong[rows_of(offsets)[bad]] = True
    return wrong
