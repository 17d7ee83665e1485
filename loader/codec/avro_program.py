"""A writer's schema as numbers: what the compiled scanner follows.

A program has one step for each field of the writer's record, in order: which column takes it and what
type it has. Types are nodes of a table, and a node names others through the table of branches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

from loader.codec.avro_limits import Limits
from loader.codec.avro_schema import WriterSchema
from loader.codec.fields import Contract
from loader.codec.spans import MAX_BYTES
from loader.codec.values import quote
from loader.model.events import MAX_ID


class Kind(IntEnum):
    """What stands in the bytes."""

    NULL = 0
    BOOLEAN = 1
    LONG = 2
    FLOAT = 3
    DOUBLE = 4
    STRING = 5
    BYTES = 6
    FIXED = 7  # a: its size
    ENUM = 8  # a, b: first branch and number of symbols
    ARRAY = 9  # a: the items' node; b: 1 if they take no bytes
    MAP = 10  # a: the values' node
    RECORD = 11  # a, b: first branch and number of fields
    UNION = 12  # a, b: first branch and number of branches


class Target(IntEnum):
    """What becomes of a field. A step has a target, a column, and three numbers."""

    NUMBER = 0  # node; nanoseconds in a unit of the time, 0 for an id
    TEXT = 1  # node; 1 if it may not be null
    TEXTS = 2  # so many columns, each a union of string and null; tag bytes of string and null
    MAP = 3  # node
    EXTRA = 4  # node; the name's place among the constants, and its size
    NO_TEXT = 5  # not written; 0; the default's place and size, or size -1
    NO_NUMBER = 6  # not written; 0; the default


Step = tuple[int, int, int, int, int]

_SCALARS: Final = {
    "null": Kind.NULL,
    "boolean": Kind.BOOLEAN,
    "int": Kind.LONG,
    "long": Kind.LONG,
    "float": Kind.FLOAT,
    "double": Kind.DOUBLE,
    "string": Kind.STRING,
    "bytes": Kind.BYTES,
}


class Unusual(Exception):
    """A schema that is left to the reference decoder."""


@dataclass(slots=True)
class Tables:
    """The programs of one decoder, and what they share.

    Attributes:
        contract: the columns.
        steps: see ``Target``.
        nodes: ``[nodes, 3]``: kind, a, b.
        branches: ``[branches, 3]``: node, and the place and size of a constant: of a symbol as a JSON
            string, of a field's name as a JSON string and a colon.
        constants: bytes.
        programs: for each schema id that was added its first step and the one behind its last.
    """

    contract: Contract
    steps: list[Step] = field(default_factory=list)
    nodes: list[tuple[int, int, int]] = field(default_factory=list)
    branches: list[tuple[int, int, int]] = field(default_factory=list)
    constants: bytearray = field(default_factory=lambda: bytearray(b"nulltruefalse"))
    programs: dict[int, tuple[int, int] | None] = field(default_factory=dict)

    def add(self, schema_id: int, schema: WriterSchema) -> None:
        """Add the program of a schema; None if it is unusual."""
        try:
            steps = _Compiler(self, schema, Limits(schema.parsed)).steps()
        except Unusual:
            self.programs[schema_id] = None
            return
        self.programs[schema_id] = (len(self.steps), len(self.steps) + len(steps))
        self.steps += steps

    def constant(self, text: str) -> tuple[int, int]:
        """Keep a text; returns its place and size."""
        place = len(self.constants)
        encoded = text.encode()
        self.constants += encoded
        return place, len(encoded)


@dataclass(slots=True)
class _Compiler:
    tables: Tables
    schema: WriterSchema
    limits: Limits
    named: dict[str, int] = field(default_factory=dict)

    def steps(self) -> list[Step]:
        """The steps of the program.

        Raises:
            Unusual: a field is missing that must be there, or is of a type that never fits.
        """
        schema = self.schema.parsed
        if not isinstance(schema, Mapping) or schema["type"] not in ("record", "error"):
            raise Unusual
        root = self._node(schema)
        first = self.tables.nodes[root][1]
        names = [written["name"] for written in schema["fields"]]
        contract = self.tables.contract
        if len(set(names)) < len(names) or not self.schema.missing.keys().isdisjoint(contract.maps):
            raise Unusual
        steps = [
            self._step(name, self.tables.branches[first + place][0])
            for place, name in enumerate(names)
        ]
        steps = _joined(steps)
        absent = [name for name in contract.known if name not in {*names, *contract.maps}]
        return steps + [self._absent(name) for name in absent]

    def _step(self, name: str, node: int) -> Step:
        contract = self.tables.contract
        if name in contract.ids:
            return Target.NUMBER, contract.ids.index(name), node, 0, 0
        if name == contract.time:
            return Target.NUMBER, len(contract.ids), node, self.schema.time_unit, 0
        if name in contract.texts:
            column = contract.texts.index(name)
            required = name in contract.required_texts
            tags = None if required else self._optional_string(node)
            if tags is not None:
                return Target.TEXTS, column, 1, *tags
            return Target.TEXT, column, node, int(required), 0
        if name in contract.maps:
            return Target.MAP, contract.maps.index(name), node, 0, 0
        return Target.EXTRA, len(contract.maps), node, *self.tables.constant(name)

    def _absent(self, name: str) -> Step:
        """The step of a column that the writer does not have."""
        contract = self.tables.contract
        default = self.schema.missing.get(name)
        if name in contract.texts:
            column = contract.texts.index(name)
            if isinstance(default, str):
                return Target.NO_TEXT, column, 0, *self.tables.constant(default)
            if default is None and name not in contract.required_texts:
                return Target.NO_TEXT, column, 0, 0, -1
        elif name in contract.ids and type(default) is int and 0 <= default <= MAX_ID:
            return Target.NO_NUMBER, contract.ids.index(name), 0, default, 0
        raise Unusual

    def _optional_string(self, node: int) -> tuple[int, int] | None:
        """The tag bytes of string and null in a union of the two."""
        kind, first, count = self.tables.nodes[node]
        if kind != Kind.UNION or count != 2:
            return None
        kinds = [self.tables.nodes[self.tables.branches[first + n][0]][0] for n in range(2)]
        if set(kinds) != {Kind.NULL, Kind.STRING}:
            return None
        return 2 * kinds.index(Kind.STRING), 2 * kinds.index(Kind.NULL)

    def _node(self, kind: Any) -> int:
        """The node of a type, as fastavro has parsed it."""
        if isinstance(kind, list):
            return self._put(Kind.UNION, *self._branches([(branch, None) for branch in kind]))
        name = kind["type"] if isinstance(kind, Mapping) else kind
        if not isinstance(name, str):
            raise Unusual
        if name in _SCALARS:
            return self._put(_SCALARS[name])
        if name == "array":
            item = self._node(kind["items"])
            return self._put(Kind.ARRAY, item, int(self.limits.is_empty(kind["items"])))
        if name == "map":
            return self._put(Kind.MAP, self._node(kind["values"]))
        if isinstance(kind, Mapping):
            return self._named(name, kind)
        if kind not in self.named:
            raise Unusual
        return self.named[kind]

    def _named(self, name: str, kind: Mapping[str, Any]) -> int:
        node = self._put(Kind.NULL)
        self.named[kind["name"]] = node
        tables = self.tables
        if name == "fixed":
            size = kind["size"]
            if not isinstance(size, int) or not 0 <= size <= MAX_BYTES:
                raise Unusual
            tables.nodes[node] = (Kind.FIXED, size, 0)
        elif name == "enum":
            first = len(tables.branches)
            for symbol in kind["symbols"]:
                if quote(symbol) != f'"{symbol}"':
                    raise Unusual  # no name, by the specification
                tables.branches.append((0, *tables.constant(quote(symbol))))
            tables.nodes[node] = (Kind.ENUM, first, len(kind["symbols"]))
        elif name in ("record", "error"):
            fields = [(member["type"], quote(member["name"]) + ":") for member in kind["fields"]]
            tables.nodes[node] = (Kind.RECORD, *self._branches(fields))
        else:
            raise Unusual
        return node

    def _branches(self, members: Sequence[tuple[Any, str | None]]) -> tuple[int, int]:
        """The first branch of these types, each with a constant, and their number."""
        nodes = [self._node(kind) for kind, _ in members]
        first = len(self.tables.branches)
        for node, (_, text) in zip(nodes, members, strict=True):
            place, size = (0, 0) if text is None else self.tables.constant(text)
            self.tables.branches.append((node, place, size))
        return first, len(members)

    def _put(self, kind: Kind, a: int = 0, b: int = 0) -> int:
        self.tables.nodes.append((kind, a, b))
        return len(self.tables.nodes) - 1


def _joined(steps: Sequence[Step]) -> list[Step]:
    """The same with one step for texts that follow one another, in the message and as columns."""
    joined: list[Step] = []
    for step in steps:
        if joined and step[0] == joined[-1][0] == Target.TEXTS:
            target, first, count, *tags = joined[-1]
            if step[1] == first + count and [*step[3:]] == tags:
                joined[-1] = (target, first, count + 1, *step[3:])
                continue
        joined.append(step)
    return joined
