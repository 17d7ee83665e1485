"""Where writer schemas come from, and the Confluent frame that names one.

A framed value is the byte 0x00, the schema id as four bytes big-endian, then the Avro body
(Confluent docs: Schema Registry wire format). The newer frame, 0x01 and a GUID, is not read, nor are ids
in headers.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from loader.errors import UsageError

FRAME: Final = struct.Struct(">Bi")
MAGIC: Final = 0

#: The ids of the schemas that come with the loader.
SHIPPED_IDS: Final[Mapping[int, str]] = MappingProxyType(
    {1: "event", 2: "user_update", 3: "user_migration", 4: "user_deletion"}
)

_PACKAGE: Final = Path(__file__).resolve().parent.parent


class SchemaSource(Protocol):
    """Gives the schema that a message was written with. Ids are immutable, so answers may be kept."""

    def writer_schema(self, schema_id: int) -> str | None:
        """The Avro schema as JSON text, or None if there is no such id.

        A None is not remembered by the caller: it asks again for every message with that id.

        Raises:
            Unreachable: if the source cannot tell now. That is no fault of the message: the caller
                waits, it does not refuse.
        """
        ...


class ShippedSchemas:
    """The schemas in ``schemas/``, under the ids of ``SHIPPED_IDS``."""

    def __init__(self, directory: Path | None = None) -> None:
        folder = directory or schema_directory()
        self._texts = {
            schema_id: (folder / f"{name}.avsc").read_text(encoding="utf-8")
            for schema_id, name in SHIPPED_IDS.items()
        }

    def writer_schema(self, schema_id: int) -> str | None:
        """The schema as JSON text, or None for an id that is not shipped."""
        return self._texts.get(schema_id)


def schema_directory() -> Path:
    """The folder of the shipped schemas: in an installed wheel, else in a source checkout.

    Raises:
        UsageError: if the package was installed without them.
    """
    for folder in (_PACKAGE / "_schemas", _PACKAGE.parent / "schemas"):
        if (folder / "event.avsc").is_file():
            return folder
    raise UsageError(
        f"The Avro schemas are missing: no event.avsc below {_PACKAGE}.",
        hint="Install heap-loader again.",
    )


def frame(schema_id: int, body: bytes) -> bytes:
    """``body`` behind its Confluent frame; ``schema_id`` in 0 .. 2^31-1."""
    return FRAME.pack(MAGIC, schema_id) + body


def unframe(value: bytes) -> int | None:
    """The schema id that ``value`` names, or None if it is not framed. The body starts at byte 5.

    An id is a positive Java int, so one beyond 2^31-1 was never given.
    """
    if len(value) < FRAME.size or value[0] != MAGIC:
        return None
    schema_id: int = FRAME.unpack_from(value)[1]
    return schema_id if schema_id >= 0 else None
