"""The specification of decoding, one message at a time, in plain Python.

The vectorised decoders hand over every message of which they cannot prove that they read it as this
module does; a property test holds the two together. An integer beyond 64 bits stays exact here, so
JSON is read by the standard library and not by a parser that makes it a double.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import fastavro

from loader.codec.contract import Reason
from loader.codec.fields import Contract, FormatName
from loader.codec.schemas import FRAME, SchemaSource, unframe
from loader.codec.values import (
    Refused,
    identifier,
    json_text,
    parse_json,
    properties,
    quote,
    text,
    time_us,
)

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

#: Fields of these logical types count microseconds once multiplied.
_TIME_UNITS: Final = {"timestamp-micros": 1, "timestamp-millis": 1000}


@dataclass(frozen=True, slots=True)
class Row:
    """One accepted message.

    Attributes:
        values: by column name; times in microseconds, maps as name -> JSON text.
        schema_id: the writer's schema id, 0 for JSON.
        unknown: names of the top-level fields that the contract does not know.
    """

    values: Mapping[str, Any]
    schema_id: int
    unknown: tuple[str, ...]


class ReferenceDecoder:
    """Decodes single messages by the specification.

    Args:
        contract: which message this topic carries.
        format: how it is written.
        schemas: where Avro writer schemas come from.
    """

    def __init__(self, contract: Contract, format: FormatName, schemas: SchemaSource) -> None:  # noqa: A002
        self._contract = contract
        self._format = format
        self._avro = AvroReader(schemas)

    def decode_one(self, value: bytes | None) -> Row:
        """Decode one message value.

        Raises:
            Refused: if it cannot become a row.
            Unreachable: if its schema cannot be fetched now.
        """
        if value is None:
            raise Refused(Reason.NULL_VALUE, "the message has no value")
        if not value:
            raise Refused(Reason.EMPTY_VALUE, "the message's value is empty")
        schema_id = 0
        if self._format == "json":
            record = parse_json(value)
            if not isinstance(record, dict):
                raise Refused(Reason.WRONG_TYPE, "the message is not an object")
        else:
            schema_id, record = self._avro.read(value)
        return self._row(record, schema_id)

    def _row(self, record: Mapping[str, Any], schema_id: int) -> Row:
        contract = self._contract
        values: dict[str, Any] = {}
        for name in contract.ids:
            values[name] = identifier(record.get(name), field=name)
        values[contract.time] = time_us(record.get(contract.time), field=contract.time)
        for name in contract.texts:
            required = name in contract.required_texts
            values[name] = text(record.get(name), field=name, required=required)
        for name in contract.maps:
            values[name] = properties(record.get(name), field=name)
        if contract.clearable:
            values["cleared"] = self._cleared(record)
        known = contract.known
        unknown = tuple(name for name in record if name not in known)
        values["extra"] = {
            name: _optional_json(record[name], field=f"unknown field {quote(name[:40])}")
            for name in unknown
        } or None
        return Row(values=values, schema_id=schema_id, unknown=unknown)

    def _cleared(self, record: Mapping[str, Any]) -> list[str] | None:
        """JSON only: Avro cannot tell "absent" from "set to null"."""
        if self._format != "json":
            return None
        names = (name for name in self._contract.clearable if name in record)
        return [name for name in names if record[name] is None] or None


class AvroReader:
    """Reads framed Avro records with the writer's schema, as plain values (logical types undone)."""

    def __init__(self, schemas: SchemaSource) -> None:
        self._schemas = schemas
        self._parsed: dict[int, tuple[Any, int]] = {}

    def read(self, value: bytes) -> tuple[int, Mapping[str, Any]]:
        """The schema id and the record's fields; ``time`` is in microseconds.

        Raises:
            Refused: ``NOT_FRAMED``, ``UNKNOWN_SCHEMA`` or ``NOT_DECODABLE``.
        """
        schema_id = unframe(value)
        if schema_id is None:
            raise Refused(Reason.NOT_FRAMED, "no Confluent frame: 0x00, then a schema id")
        schema, time_unit = self._schema(schema_id)
        body = io.BytesIO(value)
        body.seek(FRAME.size)
        try:
            record = fastavro.schemaless_reader(body, schema, None)
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
        if time_unit != 1 and isinstance(record.get("time"), int):
            record["time"] *= time_unit
        return schema_id, record

    def _schema(self, schema_id: int) -> tuple[Any, int]:
        known = self._parsed.get(schema_id)
        if known is None:
            written = self._schemas.writer_schema(schema_id)
            if written is None:
                raise Refused(Reason.UNKNOWN_SCHEMA, f"no schema has the id {schema_id}")
            schema = json.loads(written)
            known = (fastavro.parse_schema(_without_logical_types(schema)), _time_unit(schema))
            self._parsed[schema_id] = known
        return known


def _without_logical_types(schema: Any) -> Any:
    """The schema of the same bytes, read as plain numbers and bytes."""
    if isinstance(schema, dict):
        return {
            key: _without_logical_types(part)
            for key, part in schema.items()
            if key != "logicalType"
        }
    if isinstance(schema, list):
        return [_without_logical_types(part) for part in schema]
    return schema


def _time_unit(schema: Any) -> int:
    """Microseconds per unit of the field ``time``; a plain long counts microseconds."""
    fields = schema.get("fields", ()) if isinstance(schema, dict) else ()
    for field in fields:
        if field["name"] == "time":
            units = (_TIME_UNITS.get(kind) for kind in _logical_types(field["type"]))
            return next((unit for unit in units if unit), 1)
    return 1


def _logical_types(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict) and "logicalType" in schema:
        yield schema["logicalType"]
    elif isinstance(schema, list):
        for branch in schema:
            yield from _logical_types(branch)


def _optional_json(value: Any, *, field: str) -> str | None:
    return None if value is None else json_text(value, field=field, depth=2)
