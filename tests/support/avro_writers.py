"""Other producers' Avro schemas, and messages that they write: any number, all different."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, Final

from loader.codec import decoders
from loader.codec.avro_scanner import AvroScanner
from loader.codec.avro_schema import ReaderSchema, TopicName, reader_schema
from loader.codec.contract import Decoder
from loader.codec.fields import CONTRACTS, ContractName
from loader.codec.reference import ReferenceDecoder
from loader.codec.schemas import SchemaSource
from loader.codec.values import MAX_TIME_US, MIN_TIME_US

#: What a deployment may have added to the shipped schemas.
ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "path": ("page_path", "url_path"),
    "user_id": ("uid",),
    "time": ("ts", "at"),
    "properties": ("props",),
    "email": ("mail", "e_mail"),
    "identity": ("handle2",),
}
DEFAULTS: Final[Mapping[str, Any]] = {"library": "web", "session_id": 7, "handle": "nobody é"}

_IDS: Final = frozenset({"event_id", "user_id", "session_id", *ALIASES["user_id"]})
SCALARS: Final = ["string", "long", "double", "boolean", "int", "float", "bytes"]
_TEXT_TYPES: Final[list[Any]] = [
    ["null", "string"],
    ["null", "string"],
    ["null", "string"],
    ["string", "null"],
    "string",
    "bytes",
    ["null", "bytes"],
    ["bytes", "string", "null"],
    {"type": "string", "avro.java.string": "String"},
]
_ODD_TEXT_TYPES: Final[list[Any]] = [
    "null",
    "long",
    ["null", "string", "long"],
    "ENUM",
    ["null", "ENUM"],
    "FIXED",
    {"type": "map", "values": "string"},
]
_TIME_TYPES: Final[list[Any]] = [
    "long",
    {"type": "long", "logicalType": "timestamp-micros"},
    {"type": "long", "logicalType": "timestamp-micros"},
    {"type": "long", "logicalType": "timestamp-millis"},
    {"type": "long", "logicalType": "timestamp-nanos"},
    {"type": "long", "logicalType": "local-timestamp-millis"},
    ["null", {"type": "long", "logicalType": "timestamp-millis"}],
    {"type": "int", "logicalType": "date"},
    "int",
    "string",
]


def reader_with_more(topic: TopicName) -> ReaderSchema:
    """The shipped reader's schema with aliases and defaults."""
    shipped = reader_schema(topic)
    return ReaderSchema(
        texts=shipped.texts,
        maps=shipped.maps,
        names=shipped.names,
        aliases={name: also for name, also in ALIASES.items() if name in shipped.names},
        defaults={name: value for name, value in DEFAULTS.items() if name in shipped.names},
    )


def pair_of_decoders(
    contract: ContractName, schemas: SchemaSource, reader: ReaderSchema
) -> tuple[Decoder, Decoder]:
    """The fast and the reference decoder of Avro messages for a reader's schema."""
    fields = CONTRACTS[contract]
    reference = ReferenceDecoder(fields, "avro", schemas, reader)
    return (
        decoders._Decoder(fields, AvroScanner(fields, schemas, reader), reference),
        decoders._Decoder(fields, decoders._Nothing(fields), reference),
    )


class SchemaEdits:
    """Random edits of a schema.

    Args:
        draw: where chance comes from.
        odd: whether fields may get types that resolution refuses.
    """

    def __init__(self, draw: random.Random, *, odd: bool) -> None:
        self._draw = draw
        self._odd = odd
        self._named = 0

    def edited(self, shipped: Mapping[str, Any]) -> dict[str, Any]:
        """A writer's schema: fields dropped, added, renamed, reordered, of other types."""
        draw = self._draw
        fields = []
        for field in deepcopy(list(shipped["fields"])):
            name, kind = field["name"], field["type"]
            optional = isinstance(kind, list)
            if draw.random() < (0.5 if optional else 0.01):
                continue
            if name in ALIASES and draw.random() < 0.3:
                field["name"] = draw.choice(ALIASES[name])
            if draw.random() < 0.4:
                field["type"] = self._retyped(name, kind)
            field.pop("default", None)
            fields.append(field)
        more = range(draw.choice([0, 0, 1, 2, 4]))
        fields += [{"name": f"new_{number}", "type": self.any_type(0)} for number in more]
        if draw.random() < 0.5:
            draw.shuffle(fields)
        return {**shipped, "fields": fields, "namespace": draw.choice(["heap", "other", ""])}

    def _retyped(self, name: str, kind: Any) -> Any:
        draw = self._draw
        odd = self._odd and draw.random() < 0.2
        if name == "time":
            return deepcopy(draw.choice(_TIME_TYPES if self._odd else _TIME_TYPES[:-3]))
        if name in _IDS:
            if self._odd:
                return draw.choice(["int", ["null", "long"], "string", ["string", "long"], "long"])
            return draw.choice(["int", ["null", "long"], ["int", "long"]])
        if "map" in str(kind):
            return self._map(odd=odd)
        return self._filled(deepcopy(draw.choice(_ODD_TEXT_TYPES if odd else _TEXT_TYPES)))

    def _map(self, *, odd: bool) -> Any:
        draw = self._draw
        if odd:
            branches: Any = self.any_type(1)
        else:
            branches = draw.sample(SCALARS, draw.randrange(1, 6))
            if draw.random() < 0.7:
                branches.insert(draw.randrange(len(branches) + 1), "null")
            if draw.random() < 0.3:
                branches = next(branch for branch in branches if branch != "null")
        values = {"type": "map", "values": branches}
        return draw.choice([values, ["null", values], [values, "null"]])

    def any_type(self, depth: int) -> Any:  # noqa: PLR0911
        """A type of any kind."""
        draw = self._draw
        if depth > 3 or draw.random() < 0.4:
            return draw.choice(["null", *SCALARS])
        match draw.randrange(6):
            case 0:
                return {"type": "array", "items": self.any_type(depth + 1)}
            case 1:
                return {"type": "map", "values": self.any_type(depth + 1)}
            case 2:
                return ["null", draw.choice([*SCALARS, {"type": "map", "values": "string"}])]
            case 3:
                return self._filled("ENUM")
            case 4:
                return self._filled("FIXED")
            case _:
                return self._record(depth)

    def _record(self, depth: int) -> dict[str, Any]:
        name = self._name()
        count = self._draw.randrange(4)
        fields = [{"name": f"f{n}", "type": self.any_type(depth + 1)} for n in range(count)]
        if self._draw.random() < 0.4:
            item: Any = self._draw.choice([name, {"type": "array", "items": name}])
            fields.append({"name": "again", "type": ["null", item]})
        return {"type": "record", "name": name, "fields": fields}

    def _filled(self, kind: Any) -> Any:
        if isinstance(kind, list):
            return [self._filled(branch) for branch in kind]
        if kind == "ENUM":
            symbols = ["A", "beta", "C_3"][: self._draw.randrange(1, 4)]
            return {"type": "enum", "name": self._name(), "symbols": symbols}
        if kind == "FIXED":
            return {"type": "fixed", "name": self._name(), "size": self._draw.choice([0, 1, 4, 20])}
        return kind

    def _name(self) -> str:
        self._named += 1
        return f"N{self._named}"


def varint(number: int) -> bytes:
    """A long, zigzag."""
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


_TEXTS: Final[list[str | bytes]] = [
    *(b"", b"a", b"/pricing", b"12345678", b"x" * 15, b"y" * 16, b"z" * 17, b"w" * 70, b"7", b"0"),
    *("Gr\u00fc\u00dfe", "\u65e5\u672c\u8a9e \U0001f600", "\u20ac" * 9, "\u0000\u001f\x7f\u2028"),
    *('q"uo\\te\n', '"', "\\", "tab\tnew\nline\b\f\r", "plain then \u00e9", "\U0010ffff"),
]
_BAD_TEXTS: Final[list[bytes | str]] = [
    b"\xff",
    b"ok\x80",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"12345678\xc3",
]
_KEYS: Final = [
    b"plan",
    b"n",
    b"a",
    b"",
    b"a_rather_long_key",
    b"a_rather_long_kez",
    "\u00e9".encode(),
]
_LONGS: Final = [0, 1, -1, 63, 64, -64, -65, 12345, 1 << 31, -(1 << 63), (1 << 63) - 1, 1 << 53]
_DOUBLES: Final = [
    *(0.0, -0.0, 0.1, 12.34, 1 / 3, 1e15, 1e16, 1e22, 1e23, 5e-324, 1e-4, 1e-5, 123456789.125),
    *(
        float("nan"),
        float("inf"),
        float("-inf"),
        2.0**-1022,
        1.7976931348623157e308,
        9007199254740993.0,
    ),
]


_NANOSECONDS: Final[Mapping[Any, int]] = {
    "timestamp-millis": 1_000_000,
    "local-timestamp-millis": 1_000_000,
    "timestamp-nanos": 1,
}


class MessageWriter:
    """Writes random values of a schema as Avro bytes.

    Args:
        draw: where chance comes from.
        faults: how likely each value is to be written wrongly.
        finite: whether doubles are all finite and texts all UTF-8.
    """

    def __init__(self, draw: random.Random, *, faults: float = 0.0, finite: bool = False) -> None:
        self._draw = draw
        self._faults = faults
        self._finite = finite
        self._named: dict[str, Any] = {}

    def message(self, schema: Mapping[str, Any]) -> bytes:
        """A record of the schema, its ids and time mostly in range."""
        self._named = {}
        self._learn(schema)
        parts = []
        for field in schema["fields"]:
            hint = field["name"]
            value = (
                self._id if hint in _IDS else self._time if hint in ("time", "ts", "at") else None
            )
            parts.append(self._value(field["type"], 0, value))
        return b"".join(parts)

    def _learn(self, kind: Any) -> None:
        if isinstance(kind, list):
            for branch in kind:
                self._learn(branch)
        elif isinstance(kind, dict):
            if "name" in kind:
                self._named[kind["name"]] = kind
            for field in kind.get("fields", ()):
                self._learn(field["type"])
            for part in ("items", "values"):
                self._learn(kind.get(part))

    def _value(self, kind: Any, depth: int, number: Callable[[Any], bytes] | None = None) -> bytes:  # noqa: PLR0911
        draw = self._draw
        if draw.random() < self._faults:
            return self._fault()
        if isinstance(kind, list):
            tag = draw.randrange(len(kind))
            if depth > 6 and "null" in kind:
                tag = kind.index("null")
            return varint(tag) + self._value(kind[tag], depth, number)
        if isinstance(kind, str) and kind in self._named:
            kind = self._named[kind]
        name = kind["type"] if isinstance(kind, dict) else kind
        if number is not None and name in ("int", "long", "string"):
            return number(kind)
        match name:
            case "array" | "map":
                return self._blocks(name, kind, depth + 1)
            case "record":
                return b"".join(self._value(f["type"], depth + 1) for f in kind["fields"])
            case "enum":
                return varint(draw.randrange(len(kind["symbols"])))
            case "fixed":
                return draw.randbytes(kind["size"])
        return self._scalar(name)

    def _scalar(self, name: str) -> bytes:
        draw = self._draw
        match name:
            case "null":
                return b""
            case "boolean":
                return draw.choice([b"\0", b"\1"])
            case "int" | "long":
                return varint(draw.choice(_LONGS) if draw.random() < 0.5 else draw.randrange(5000))
            case "float" | "double":
                value = draw.choice([*_DOUBLES, draw.random(), draw.randrange(10**6) / 100])
                if not math.isfinite(value) and (self._finite or draw.random() < 0.9):
                    value = 0.5
                if name == "double":
                    return struct.pack("<d", value)
                return struct.pack(
                    "<f", value if not math.isfinite(value) or abs(value) < 3e38 else 1.5
                )
        return self._text(name)

    def _text(self, name: str) -> bytes:
        draw = self._draw
        text = draw.choice(_TEXTS)
        if not self._finite and draw.random() < (0.1 if name == "bytes" else 0.005):
            text = draw.choice(_BAD_TEXTS)
        data = text if isinstance(text, bytes) else text.encode()
        return varint(len(data)) + data

    def _blocks(self, name: str, kind: Mapping[str, Any], depth: int) -> bytes:
        draw = self._draw
        out = []
        keys = draw.sample(_KEYS, len(_KEYS))
        if draw.random() < 0.05:
            keys[1] = keys[0]
        blocks = 0 if depth > 6 else draw.choice([0, 1, 1, 1, 2])
        for _ in range(blocks):
            items = []
            for _ in range(draw.choice([1, 1, 2, 3])):
                key = b""
                if name == "map":
                    if not keys:
                        break
                    text = keys.pop()
                    key = varint(len(text)) + text
                items.append(
                    key + self._value(kind["items" if name == "array" else "values"], depth)
                )
            body = b"".join(items)
            if items and draw.random() < 0.3:
                out.append(varint(-len(items)) + varint(len(body)) + body)
            elif items:
                out.append(varint(len(items)) + body)
        return b"".join([*out, b"\0"])

    def _id(self, kind: Any) -> bytes:
        draw = self._draw
        number = draw.choice([0, 1, (1 << 63) - 1, draw.getrandbits(62), draw.randrange(300)])
        if draw.random() < 0.02 and not self._finite:
            number = -1
        if kind == "string":
            text = str(number).encode()
            if draw.random() < 0.1:
                text = draw.choice([b"01", b"-1", b"+1", b"", b"9" * 19, b"9" * 20, b"x", b"1.0"])
            return varint(len(text)) + text
        return varint(number % (1 << 31) if kind == "int" else number)

    def _time(self, kind: Any) -> bytes:
        draw = self._draw
        if kind == "string":
            text = draw.choice([b"2026-11-22T10:00:00Z", b"2026-11-22T10:00:00.5+01:00", b"noon"])
            return varint(len(text)) + text
        unit = _NANOSECONDS.get(kind.get("logicalType") if isinstance(kind, dict) else None, 1000)
        edge = draw.choice(
            [MIN_TIME_US, MAX_TIME_US, 0, -1, draw.randint(MIN_TIME_US, MAX_TIME_US)]
        )
        now = draw.choice([1_795_000_000_000_000 + draw.randrange(10**12), edge])
        number = now * 1000 // unit
        if unit != 1000 and edge == now:
            number = draw.choice([number, -1, 1999])
        if draw.random() < 0.02 and not self._finite:
            number = draw.choice([1 << 62, -(1 << 63), MAX_TIME_US + 1, MIN_TIME_US - 1])
        return varint(max(-(1 << 63), min((1 << 63) - 1, number)))

    def _fault(self) -> bytes:
        """What stands where a value should."""
        draw = self._draw
        return draw.choice(
            [
                varint(draw.choice([1 << 40, (1 << 63) - 1, -(1 << 63), 1 << 31, 70_000, 200])),
                varint(-draw.choice([1, 2, 3, 5])),
                varint(draw.choice([2, 3, 5, 6, 60])),
                b"\x80" * draw.choice([1, 2, 8, 9, 10, 30])
                + draw.choice([b"\0", b"\1", b"\2", b"\x7f"]),
                b"\xff" * draw.choice([1, 9, 10, 11]) + draw.choice([b"\0", b"\1", b"\x7f"]),
                b"\x02" * draw.choice([1, 60, 70, 130, 5000]),
                b"\x81" + draw.randbytes(4),
                draw.randbytes(draw.randrange(9)),
                b"",
            ]
        )
