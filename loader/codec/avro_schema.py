"""Avro schemas: the writer's, resolved to the fields that a topic's reader knows.

Resolution is the Avro specification's (1.12, "Schema Resolution"), done once for a schema and not for
each message: fields are matched by name, else by one of the reader's aliases, and renamed; where the
reader wants a string and the writer gives bytes, they are read as a string; missing fields take the
reader's default. What a value may then be is the business of ``loader.codec.values``, which takes more
than resolution does: an id as a string, an enum's symbol as a text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final, Literal

import fastavro
from fastavro.schema import SchemaParseException, UnknownType

from loader.codec.schemas import schema_directory

#: What parsing raises on a text that is no Avro schema.
_NO_SCHEMA: Final = (
    AttributeError,
    LookupError,
    RecursionError,
    SchemaParseException,
    TypeError,
    UnknownType,
    ValueError,
)

_TIME: Final = "time"
_MICROSECOND: Final = 1000

#: Nanoseconds in a unit of these logical types; without one a time counts microseconds. Local times
#: are taken as UTC.
_TIME_UNITS: Final = {
    "timestamp-millis": 1_000_000,
    "timestamp-micros": 1000,
    "timestamp-nanos": 1,
    "local-timestamp-millis": 1_000_000,
    "local-timestamp-micros": 1000,
    "local-timestamp-nanos": 1,
}


class NotASchema(ValueError):
    """A text that is no Avro schema."""


@dataclass(frozen=True, slots=True)
class ReaderSchema:
    """What a topic's reader knows of its messages' fields.

    Attributes:
        texts: fields that it wants as strings.
        maps: fields that it wants as maps.
        names: all its fields, in order.
        aliases: for a field the other names that a writer may use.
        defaults: values of fields that a writer leaves out; nulls are not listed.
    """

    texts: frozenset[str]
    maps: frozenset[str]
    names: tuple[str, ...]
    aliases: Mapping[str, Sequence[str]]
    defaults: Mapping[str, Any]

    @classmethod
    def of(cls, schema: Mapping[str, Any]) -> ReaderSchema:
        """The fields of a record's schema."""
        fields = schema["fields"]
        return cls(
            texts=frozenset(f["name"] for f in fields if "string" in _kinds(f["type"])),
            maps=frozenset(f["name"] for f in fields if "map" in _kinds(f["type"])),
            names=tuple(f["name"] for f in fields),
            aliases={f["name"]: tuple(f["aliases"]) for f in fields if f.get("aliases")},
            defaults={f["name"]: f["default"] for f in fields if f.get("default") is not None},
        )


TopicName = Literal["events", "user_updates", "user_migrations", "user_deletions"]


@cache
def reader_schema(topic: TopicName) -> ReaderSchema:
    """The reader's schema of a topic: that in ``schemas/``, where a deployment may add aliases.

    Raises:
        UsageError: if the package was installed without them.
    """
    file = schema_directory() / f"{topic.removesuffix('s')}.avsc"
    text = file.read_text(encoding="utf-8")
    return ReaderSchema.of(json.loads(text))


@dataclass(frozen=True, slots=True)
class WriterSchema:
    """A writer's schema, resolved.

    Attributes:
        parsed: what fastavro reads the messages with. Same bytes, but the top-level fields have the
            reader's names, and logical types are left out: numbers stay numbers.
        time_unit: nanoseconds that a unit of the field ``time`` is.
        missing: fields that the writer does not have, with the reader's default.
    """

    parsed: Any
    time_unit: int
    missing: Mapping[str, Any]

    @classmethod
    def resolve(cls, text: str, reader: ReaderSchema) -> WriterSchema:
        """Resolve a schema.

        Args:
            text: the writer's schema, JSON.
            reader: what is wanted.

        Raises:
            NotASchema: that is none.
        """
        try:
            schema = json.loads(text)
            json.dumps(
                schema, ensure_ascii=False
            ).encode()  # a name may be half of a surrogate pair
            unit = _MICROSECOND
            missing: dict[str, Any] = dict(reader.defaults)
            if isinstance(schema, dict) and isinstance(schema.get("fields"), list):
                schema = _renamed(schema, reader)
                names = {field["name"] for field in schema["fields"]}
                missing = {n: value for n, value in missing.items() if n not in names}
                unit = _time_unit(schema["fields"])
            parsed = fastavro.parse_schema(_plain(schema))
        except _NO_SCHEMA as fault:
            raise NotASchema(f"{type(fault).__name__}: {fault}") from None
        return cls(parsed=parsed, time_unit=unit, missing=MappingProxyType(missing))

    def time_us(self, value: int) -> int:
        """Microseconds of a value of the field ``time``; what is below one is dropped."""
        return value * self.time_unit // _MICROSECOND


def _renamed(schema: Mapping[str, Any], reader: ReaderSchema) -> dict[str, Any]:
    """The schema with the reader's names, and strings for bytes where it wants text."""
    written = [field["name"] for field in schema["fields"]]
    names: dict[str, str] = {}
    for name in reader.names:
        if name not in written:
            alias = next((a for a in reader.aliases.get(name, ()) if a in written), None)
            if alias is not None and alias not in reader.names:
                names.setdefault(alias, name)
    fields = []
    for field in schema["fields"]:
        name = names.get(field["name"], field["name"])
        kind = field["type"]
        if name in reader.texts:
            kind = _as_string(kind)
        elif name in reader.maps:
            kind = _map_of_strings(kind)
        fields.append({**field, "name": name, "type": kind})
    return {**schema, "fields": fields}


def _as_string(kind: Any) -> Any:
    """``kind`` with strings for bytes; they are written alike."""
    if isinstance(kind, list):
        return [_as_string(branch) for branch in kind]
    is_bytes = kind == "bytes" or (isinstance(kind, dict) and kind.get("type") == "bytes")
    return "string" if is_bytes else kind


def _map_of_strings(kind: Any) -> Any:
    if isinstance(kind, list):
        return [_map_of_strings(branch) for branch in kind]
    if isinstance(kind, dict) and kind.get("type") == "map":
        return {**kind, "values": _as_string(kind["values"])}
    return kind


def _kinds(kind: Any) -> list[Any]:
    """The names of a type, or of a union's branches."""
    branches = kind if isinstance(kind, list) else [kind]
    return [branch["type"] if isinstance(branch, dict) else branch for branch in branches]


def _plain(schema: Any) -> Any:
    """The schema of the same bytes, read as plain numbers and bytes.

    A writer's defaults and aliases say nothing about its bytes, and fastavro stumbles over wrong ones;
    its own marks begin with underscores.
    """
    if isinstance(schema, dict):
        return {
            key: _plain(part)
            for key, part in schema.items()
            if key not in ("logicalType", "default", "aliases") and not key.startswith("__")
        }
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    return schema


def _time_unit(fields: Sequence[Mapping[str, Any]]) -> int:
    """Nanoseconds in a unit of the field ``time``."""
    for field in fields:
        if field["name"] == _TIME:
            units = (_TIME_UNITS.get(kind) for kind in _logical_types(field["type"]))
            return next((unit for unit in units if unit), _MICROSECOND)
    return _MICROSECOND


def _logical_types(schema: Any) -> Iterator[Any]:
    if isinstance(schema, dict) and "logicalType" in schema:
        yield schema["logicalType"]
    elif isinstance(schema, list):
        for branch in schema:
            yield from _logical_types(branch)
