"""Pools: the distinct pieces that messages are made of, each encoded once.

A message is the concatenation of fragments in the order of the schema. A fragment holds some
adjacent fields; a pool holds all values that these fields take together. So making a message costs
one gather per pool, whatever the number of fields, and the logical row is the same gather on the
pool's columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import pyarrow as pa

from loader.local.simulator import fragments
from loader.model.events import PROPERTIES

Value = str | int | float | bool | None


class Texts:
    """A pool of rows over adjacent nullable text fields.

    Args:
        fields: field names, in schema order.
        rows: each row's values by field; a field that is left out is null.
    """

    def __init__(self, fields: Sequence[str], rows: Sequence[Mapping[str, str]]) -> None:
        self.fields = tuple(fields)
        self.rows = tuple(rows)
        strangers = {name for row in rows for name in row} - set(fields)
        if strangers:
            raise ValueError(f"not in this pool: {sorted(strangers)}")

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def json(self) -> pa.BinaryArray:
        """Each row as ``,"field":value...``; one row in eight spells its nulls out."""
        return pa.array(
            [
                fragments.json_texts(self.fields, row, spell_nulls=index % 8 == 7)
                for index, row in enumerate(self.rows)
            ],
            pa.binary(),
        )

    @cached_property
    def avro(self) -> pa.BinaryArray:
        """Each row as ``["null", "string"]`` unions."""
        return pa.array(
            [
                b"".join(fragments.avro_text(row.get(name)) for name in self.fields)
                for row in self.rows
            ],
            pa.binary(),
        )

    @cached_property
    def columns(self) -> pa.Table:
        """The logical values, a column per field."""
        return pa.table(
            {
                name: pa.array([row.get(name) for row in self.rows], pa.string())
                for name in self.fields
            }
        )


class Properties:
    """A pool of open-ended property maps of one field; None stands for an absent map."""

    def __init__(self, field: str, rows: Sequence[Mapping[str, Value] | None]) -> None:
        self.field = field
        self.rows = tuple(rows)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def json(self) -> pa.BinaryArray:
        """Each row as ``,"field":{...}``, empty where absent."""
        return pa.array(
            [fragments.json_properties(self.field, row) for row in self.rows], pa.binary()
        )

    @cached_property
    def avro(self) -> pa.BinaryArray:
        """Each row as ``["null", map]``."""
        return pa.array([fragments.avro_properties(row) for row in self.rows], pa.binary())

    @cached_property
    def columns(self) -> pa.Table:
        """The logical values: one column of maps to JSON text, as ``loader.model.events`` has it."""
        return pa.table(
            {self.field: pa.array([property_items(row) for row in self.rows], PROPERTIES)}
        )


def property_items(row: Mapping[str, Value] | None) -> list[tuple[str, str | None]] | None:
    """A property map as key and JSON text; a null property keeps its key."""
    if row is None:
        return None
    return [
        (key, None if value is None else fragments.json_value(value)) for key, value in row.items()
    ]
