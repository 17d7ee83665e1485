"""Bounds for reading Avro: what a schema's bytes may cost, checked before they are read.

fastavro follows the bytes wherever they lead. A type that contains itself lets a few thousand of them
nest so deep that the process dies, and items that take no bytes let ten of them stand for 2^40 items.
Other schemas need no check: depth is the schema's own, and each item takes a byte.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from loader.codec.contract import Reason
from loader.codec.values import MAX_DEPTH, Refused

#: Items without bytes that one message may hold.
MAX_EMPTY_ITEMS: Final = 1 << 16

_SIZES: Final = {
    "null": 0,
    "boolean": 1,
    "int": 1,
    "long": 1,
    "float": 4,
    "double": 8,
    "string": 1,
    "bytes": 1,
    "enum": 1,
    "array": 1,
    "map": 1,
}
_LONG_BYTES: Final = 10


class Limits:
    """Checks the messages of one schema.

    Args:
        schema: as fastavro has parsed it.
    """

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._named: dict[str, Any] = {}
        self.needed = self._is_risky(schema, ())

    def check(self, value: bytes, start: int) -> None:
        """Look whether the record at ``value[start:]`` is within bounds.

        Raises:
            Refused: ``NOT_DECODABLE``: it is not, or does not follow the schema.
        """
        if self.needed:
            _Walk(self, value, start).read(self._schema, 0)

    def resolved(self, schema: Any) -> tuple[str, Any]:
        """The kind of a type, and its definition where it has one."""
        if isinstance(schema, list):
            return "union", schema
        if isinstance(schema, str):
            return self.resolved(self._named[schema]) if schema in self._named else (schema, None)
        return schema["type"], schema

    def is_empty(self, schema: Any) -> bool:
        """True if values of the type take no bytes."""
        return self._least_size(schema, ()) == 0

    def _is_risky(self, schema: Any, inside: tuple[str, ...]) -> bool:
        if isinstance(schema, str) and schema in inside:
            return True
        kind, defined = self.resolved(schema)
        if kind == "union":
            return self._any_risky(defined, inside)
        if not isinstance(defined, Mapping):
            return False
        if "name" in defined:
            self._named.setdefault(defined["name"], defined)
            inside = (*inside, defined["name"])
        if kind == "map":
            return self._is_risky(defined["values"], inside)
        if kind == "array":
            risky = self._is_risky(defined["items"], inside)
            return risky or self.is_empty(defined["items"])
        return self._any_risky([member["type"] for member in defined.get("fields", ())], inside)

    def _any_risky(self, schemas: Sequence[Any], inside: tuple[str, ...]) -> bool:
        # All of them: each type has to be met before it is named.
        return sum(self._is_risky(schema, inside) for schema in schemas) > 0

    def _least_size(self, schema: Any, inside: tuple[str, ...]) -> int:
        """Bytes that a value takes at least; a type inside of itself adds none."""
        kind, defined = self.resolved(schema)
        if kind == "union":
            return 1
        if kind == "fixed":
            return int(defined["size"])
        if kind not in ("record", "error"):
            return _SIZES[kind]
        if defined["name"] in inside:
            return 0
        inside = (*inside, defined["name"])
        return sum(self._least_size(member["type"], inside) for member in defined["fields"])


class _Walk:
    """One pass over a message's bytes that keeps nothing."""

    def __init__(self, limits: Limits, value: bytes, start: int) -> None:
        self._limits = limits
        self._value = value
        self._place = start
        self._left = MAX_EMPTY_ITEMS

    def read(self, schema: Any, depth: int) -> None:
        kind, defined = self._limits.resolved(schema)
        match kind:
            case "union":
                tag = self._long()
                if not -len(defined) <= tag < len(defined):
                    raise self._wrong("no such branch of a union")
                self.read(defined[tag], depth)
            case "null":
                pass
            case "int" | "long" | "enum":
                self._long()
            case "string" | "bytes":
                self._skip(self._long())
            case "fixed":
                self._skip(defined["size"])
            case "boolean" | "float" | "double":
                self._skip(_SIZES[kind])
            case _:
                if depth >= MAX_DEPTH:
                    raise self._wrong(f"nested deeper than {MAX_DEPTH}")
                self._members(kind, defined, depth + 1)

    def _members(self, kind: str, defined: Mapping[str, Any], depth: int) -> None:
        if kind in ("record", "error"):
            for member in defined["fields"]:
                self.read(member["type"], depth)
            return
        item = defined["items" if kind == "array" else "values"]
        empty = kind == "array" and self._limits.is_empty(item)
        while (count := self._long()) != 0:
            if count < 0:
                count = -count
                self._long()
            if empty:
                self._left -= count
                if self._left < 0:
                    raise self._wrong(f"more than {MAX_EMPTY_ITEMS} items without bytes")
            for _ in range(count):
                if kind == "map":
                    self._skip(self._long())
                self.read(item, depth)

    def _skip(self, size: int) -> None:
        if not 0 <= size <= len(self._value) - self._place:
            raise self._wrong("it ends too early")
        self._place += size

    def _long(self) -> int:
        number = 0
        for place in range(_LONG_BYTES):
            if self._place >= len(self._value):
                raise self._wrong("it ends too early")
            byte = self._value[self._place]
            self._place += 1
            number |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                number &= (1 << 64) - 1
                return (number >> 1) ^ -(number & 1)
        raise self._wrong("a number of more than 64 bits")

    def _wrong(self, fault: str) -> Refused:
        return Refused(Reason.NOT_DECODABLE, f"{fault}, at byte {self._place}")
