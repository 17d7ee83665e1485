"""Reads single framed Avro messages as plain Python values: what the specification of decoding says."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import fastavro

from loader.codec.avro_limits import Limits
from loader.codec.avro_schema import NotASchema, ReaderSchema, WriterSchema
from loader.codec.contract import Reason
from loader.codec.schemas import FRAME, SchemaSource, unframe
from loader.codec.values import Refused

#: What fastavro raises on bytes that the schema did not write.
_AVRO_FAULTS: Final = (
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)


@dataclass(frozen=True, slots=True)
class _Known:
    schema: WriterSchema
    limits: Limits


class AvroReader:
    """Reads framed Avro records with the writer's schema, resolved to the reader's fields.

    Args:
        schemas: where writer schemas come from.
        reader: what is wanted of them.
    """

    def __init__(self, schemas: SchemaSource, reader: ReaderSchema) -> None:
        self._schemas = schemas
        self._reader = reader
        self._known: dict[int, _Known | Refused] = {}

    def read(self, value: bytes) -> tuple[int, Mapping[str, Any]]:
        """The schema id and the record's fields by the reader's names, logical types undone.

        ``time`` is in microseconds. Fields that the reader does not know have the writer's names.

        Raises:
            Refused: ``NOT_FRAMED``, ``UNKNOWN_SCHEMA``, ``NOT_DECODABLE`` or ``WRONG_TYPE``.
            Unreachable: if its schema cannot be fetched now.
        """
        schema_id = unframe(value)
        if schema_id is None:
            raise Refused(Reason.NOT_FRAMED, "no Confluent frame: 0x00, then a schema id")
        known = self._schema(schema_id)
        known.limits.check(value, FRAME.size)
        body = io.BytesIO(value)
        body.seek(FRAME.size)
        try:
            record = fastavro.schemaless_reader(body, known.schema.parsed, None)
        except _AVRO_FAULTS as fault:
            raise Refused(
                Reason.NOT_DECODABLE,
                f"schema {schema_id} does not read it: {type(fault).__name__} at byte {body.tell()}",
            ) from None
        if body.tell() != len(value):
            raise Refused(
                Reason.NOT_DECODABLE,
                f"{len(value) - body.tell()} bytes follow the record of schema {schema_id}",
            )
        if not isinstance(record, dict):
            raise Refused(Reason.WRONG_TYPE, "the message is not a record")
        time = record.get("time")
        if isinstance(time, int) and not isinstance(time, bool):
            record["time"] = known.schema.time_us(time)
        return schema_id, {**record, **known.schema.missing}

    def _schema(self, schema_id: int) -> _Known:
        known = self._known.get(schema_id)
        if known is None:
            written = self._schemas.writer_schema(schema_id)
            if written is None:
                raise Refused(Reason.UNKNOWN_SCHEMA, f"no schema has the id {schema_id}")
            try:
                schema = WriterSchema.resolve(written, self._reader)
            except NotASchema as fault:
                text = f"schema {schema_id} is no Avro schema ({fault})"
                known = Refused(Reason.UNKNOWN_SCHEMA, text)
            else:
                known = _Known(schema, Limits(schema.parsed))
            self._known[schema_id] = known
        if isinstance(known, Refused):
            raise Refused(known.reason, known.error)
        return known
