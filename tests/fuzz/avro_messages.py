"""Framed Avro messages of many writers, and accidents that know how Avro is written."""

from __future__ import annotations

import json
import random
from typing import Any, Final

from loader.codec.fields import ContractName
from loader.codec.schemas import SHIPPED_IDS, ShippedSchemas, frame
from tests.support.avro_writers import MessageWriter, SchemaEdits

_SHIPPED: Final = ShippedSchemas()
_RECURSIVE: Final = [
    "null",
    {
        "type": "record",
        "name": "Node",
        "fields": [
            {"name": "next", "type": ["null", "Node"]},
            {"name": "v", "type": ["null", "long"]},
        ],
    },
]
_EMPTY: Final = {"type": "array", "items": {"type": "array", "items": "null"}}


class ManyWriters:
    """A source of schemas: the shipped ones, and random edits of them.

    Args:
        seed: the same seed gives the same schemas.
        writers: edits of each contract's schema.
    """

    def __init__(self, seed: int, writers: int = 40) -> None:
        draw = random.Random(seed)
        self._schemas: dict[int, Any] = {
            schema_id: json.loads(_SHIPPED.writer_schema(schema_id) or "")
            for schema_id in SHIPPED_IDS
        }
        self.ids: dict[ContractName, list[int]] = {"events": [1] * 8, "user_updates": [2] * 8}
        for name, shipped in (("events", 1), ("user_updates", 2)):
            for number in range(writers):
                edits = SchemaEdits(draw, odd=number % 2 == 0)
                edited = edits.edited(self._schemas[shipped])
                if number % 5 == 0:
                    edited["fields"].append({"name": "node", "type": _RECURSIVE})
                if number % 5 == 1:
                    edited["fields"].append({"name": "empty", "type": _EMPTY})
                schema_id = draw.choice([100, 1000, 70_000, 1 << 30]) + len(self._schemas)
                self._schemas[schema_id] = edited
                self.ids[name].append(schema_id)  # type: ignore[index]
        self._schemas[50] = "no schema at all"

    def writer_schema(self, schema_id: int) -> str | None:
        """The schema, or None."""
        schema = self._schemas.get(schema_id)
        return None if schema is None else json.dumps(schema)

    def schema(self, schema_id: int) -> Any:
        """The schema as it was made."""
        return self._schemas[schema_id]


def messages(
    draw: random.Random, name: ContractName, schemas: ManyWriters, count: int
) -> list[bytes]:
    """Well-formed messages of any of the writers."""
    return [message(draw, name, schemas, faults=0.0) for _ in range(count)]


def message(
    draw: random.Random, name: ContractName, schemas: ManyWriters, *, faults: float
) -> bytes:
    """One message; each of its values is wrong with the chance of ``faults``."""
    schema_id = draw.choice(schemas.ids[name])
    return frame(schema_id, MessageWriter(draw, faults=faults).message(schemas.schema(schema_id)))


def accident(draw: random.Random, value: bytes) -> bytes | None:
    """``value`` with one accident."""
    place = draw.randrange(len(value) + 1)
    match draw.randrange(9):
        case 0:
            flipped = bytes([byte ^ 1 << draw.randrange(8) for byte in value[place : place + 1]])
            return value[:place] + flipped + value[place + 1 :]
        case 1:
            return value[:place]
        case 2:
            return value + draw.choice([b"\0", b"\2a", value, draw.randbytes(3)])
        case 3:
            return value[:place] + value[place + draw.choice([1, 2, 8, 16]) :]
        case 4:
            again = value[place : place + draw.choice([1, 2, 8, 16, 33])]
            return value[:place] + again + value[place:]
        case 5:
            more = draw.choice(
                [b"\x02" * 3000, b"\xff" * 10, b"\x80" * 9, b"\xfe\xff\xff\xff\x0f", b"\0" * 9]
            )
            return value[:place] + more + value[place:]
        case 6:
            return value[:5] + draw.randbytes(draw.randrange(60))
        case 7:
            other = draw.choice(
                [b"\0\0\0\0\x32", b"\0\0\0\0\1", b"\0\0\0\0\2", b"\0\xff\0\0\1", b"\1", b"\0\0"]
            )
            return other + value[5:]
    return draw.choice([None, b"", value[:5], b"\0", draw.randbytes(20)])
