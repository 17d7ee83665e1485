"""The specification of decoding, one message at a time, in plain Python.

The vectorised decoders hand over every message of which they cannot prove that they read it as this
module does; a property test holds the two together. An integer beyond 64 bits stays exact here, so
JSON is read by the standard library and not by a parser that makes it a double.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loader.codec.avro_reader import AvroReader
from loader.codec.avro_schema import ReaderSchema, reader_schema
from loader.codec.contract import Reason
from loader.codec.fields import Contract, FormatName
from loader.codec.schemas import SchemaSource
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
        reader: what is wanted of them; None is the shipped schema of the contract.
    """

    def __init__(
        self,
        contract: Contract,
        format: FormatName,  # noqa: A002
        schemas: SchemaSource,
        reader: ReaderSchema | None = None,
    ) -> None:
        self._contract = contract
        self._format = format
        self._avro = AvroReader(schemas, reader or reader_schema(contract.name))

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


def _optional_json(value: Any, *, field: str) -> str | None:
    return None if value is None else json_text(value, field=field, depth=2)
