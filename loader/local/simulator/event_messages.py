"""Messages of ``heap.events``: recipes to bytes, and recipes to logical rows.

JSON and Avro are put together column by column (``pyarrow.compute.binary_join_element_wise`` over
fragments), never event by event.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from loader.local.simulator import fragments
from loader.local.simulator.catalogue import TYPES, Catalogue, catalogue
from loader.local.simulator.hashing import Ints
from loader.local.simulator.messages import Describe
from loader.local.simulator.options import Format
from loader.local.simulator.pool import Properties, Texts
from loader.local.simulator.world import TEXT_POOLS
from loader.model.events import EVENT_COLUMNS, PROPERTIES, TIME

#: Confluent framing: magic byte 0, then the schema's id, big-endian.
EVENT_SCHEMA_ID: Final = 1
#: Pools of the session around the address, then those of the event, in the order of the schema.
_BEFORE_IP: Final = TEXT_POOLS[:2]
_AFTER_IP: Final = TEXT_POOLS[2:7]
_OF_EVENT: Final = TEXT_POOLS[7:]

#: How a JSON message is written, a set of bits.
TEXT_ID, MICROS, OFFSET = 1, 2, 4
#: Unknown top-level fields (name, value), by the recipe column ``extra``; 0 is none.
EXTRAS: Final[tuple[tuple[str, str | int | bool | None] | None, ...]] = (
    None,
    ("sdk_version", "5.2.0-rc.1"),
    ("sampling_rate", 10),
    ("is_bot", False),
    ("consent", "analytics|ads"),
)
RECIPE: Final = (
    "event_id",
    "user_id",
    "session_id",
    "time",
    "type",
    "ip",
    *TEXT_POOLS,
    "properties",
    "session_properties",
    "style",
    "extra",
)
_EMPTY: Final = pa.scalar(b"", pa.binary())


def encode(kind: Format, pools: Catalogue, recipe: dict[str, Ints]) -> pa.BinaryArray:
    """The message values of some events."""
    return _json(pools, recipe) if kind == "json" else _avro(pools, recipe)


def describer(kind: Format, seed: int) -> Describe:
    """Makes logical rows (``EVENT_COLUMNS``) of recipes."""

    def describe(batch: pa.RecordBatch) -> pa.Table:
        return _describe(kind, catalogue(seed), batch)

    return describe


def recipe_batch(recipe: dict[str, Ints]) -> dict[str, pa.Array]:
    """A recipe's columns as Arrow arrays, narrow ones narrow."""
    wide = {"event_id", "user_id", "session_id", "time", "ip"}
    return {
        name: pa.array(recipe[name], pa.int64() if name in wide else pa.int32()) for name in RECIPE
    }


def _avro(pools: Catalogue, recipe: dict[str, Ints]) -> pa.BinaryArray:
    head = pa.scalar(b"\x00" + EVENT_SCHEMA_ID.to_bytes(4, "big"), pa.binary())
    types = pa.array([fragments.avro_string(name) for name in TYPES], pa.binary())
    numbers = [
        fragments.avro_longs(recipe[name]) for name in ("event_id", "user_id", "session_id", "time")
    ]
    return _joined(
        head,
        *numbers,
        types.take(pa.array(recipe["type"])),
        _session_part("avro", pools, recipe),
        *_texts(pools, recipe, "avro", _OF_EVENT),
        pools.event_properties.avro.take(pa.array(recipe["properties"])),
        pools.session_properties.avro.take(pa.array(recipe["session_properties"])),
    )


def _json(pools: Catalogue, recipe: dict[str, Ints]) -> pa.BinaryArray:
    style = recipe["style"]
    quote = pa.array([b"", b'"'], pa.binary()).take(pa.array(style & TEXT_ID))
    types = pa.array([f',"type":"{name}"'.encode() for name in TYPES], pa.binary())
    extras = pa.array([_extra(extra) for extra in EXTRAS], pa.binary())
    ids = []
    for name, opening in (("event_id", "{"), ("user_id", ","), ("session_id", ",")):
        number = pa.array(recipe[name]).cast(pa.string()).cast(pa.binary())
        ids += [pa.scalar(f'{opening}"{name}":'.encode(), pa.binary()), quote, number, quote]
    return _joined(
        *ids,
        pa.scalar(b',"time":', pa.binary()),
        json_times(recipe["time"], style),
        types.take(pa.array(recipe["type"])),
        _session_part("json", pools, recipe),
        *_texts(pools, recipe, "json", _OF_EVENT),
        pools.event_properties.json.take(pa.array(recipe["properties"])),
        pools.session_properties.json.take(pa.array(recipe["session_properties"])),
        extras.take(pa.array(recipe["extra"])),
        pa.scalar(b"}", pa.binary()),
    )


def _session_part(kind: Format, pools: Catalogue, recipe: dict[str, Ints]) -> pa.BinaryArray:
    """The session-level fields: put together once a session, since all its events share them."""
    _, first, session = np.unique(recipe["session_id"], return_index=True, return_inverse=True)
    one = {name: recipe[name][first] for name in ("ip", *_BEFORE_IP, *_AFTER_IP)}
    address = _addresses(one["ip"])
    if kind == "json":
        ip = [pa.scalar(b',"ip":"', pa.binary()), address, pa.scalar(b'"', pa.binary())]
    else:
        length = pa.array([fragments.avro_long(1) + fragments.avro_long(n) for n in range(16)])
        ip = [length.take(pc.binary_length(address)), address]
    whole = _joined(
        *_texts(pools, one, kind, _BEFORE_IP), *ip, *_texts(pools, one, kind, _AFTER_IP)
    )
    return whole.take(pa.array(session))


def json_times(micros: Ints, style: Ints) -> pa.BinaryArray:
    """Times as JSON: ISO 8601 in UTC, with another offset, or integer microseconds."""
    offset = (style & OFFSET) > 0
    local = pa.array(np.where(offset, micros + 19_800_000_000, micros)).cast(pa.timestamp("us"))
    iso = _joined(
        pa.scalar(b'"', pa.binary()),
        local.cast(pa.date32()).cast(pa.string()).cast(pa.binary()),
        pa.scalar(b"T", pa.binary()),
        local.cast(pa.time64("us")).cast(pa.string()).cast(pa.binary()),
        pa.array([b'Z"', b'+05:30"'], pa.binary()).take(pa.array(offset.astype(np.int8))),
    )
    number = (style & MICROS) > 0
    if not number.any():
        return iso
    return pc.if_else(pa.array(number), pa.array(micros).cast(pa.string()).cast(pa.binary()), iso)


def _extra(extra: tuple[str, str | int | bool | None] | None) -> bytes:
    return b"" if extra is None else b"," + orjson.dumps({extra[0]: extra[1]})[1:-1]


def _addresses(numbers: Ints) -> pa.BinaryArray:
    """Dotted quads of 32-bit numbers."""
    quads = pa.array([str(part).encode() for part in range(256)], pa.binary())
    parts = [quads.take(pa.array((numbers >> shift) & 0xFF)) for shift in (24, 16, 8, 0)]
    return pc.binary_join_element_wise(*parts, pa.scalar(b".", pa.binary()))


def _texts(
    pools: Catalogue, recipe: dict[str, Ints], kind: Format, names: Sequence[str]
) -> list[pa.BinaryArray]:
    return [
        (pools.texts[name].json if kind == "json" else pools.texts[name].avro).take(
            pa.array(recipe[name])
        )
        for name in names
    ]


def _joined(*parts: pa.BinaryArray | pa.BinaryScalar) -> pa.BinaryArray:
    return pc.binary_join_element_wise(*parts, _EMPTY)


def _describe(kind: Format, pools: Catalogue, batch: pa.RecordBatch) -> pa.Table:
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        name: batch.column(name) for name in ("event_id", "user_id", "session_id")
    }
    columns["time"] = batch.column("time").cast(TIME)
    columns["type"] = pa.array(TYPES, pa.string()).take(batch.column("type"))
    columns["ip"] = _addresses(batch.column("ip").to_numpy()).cast(pa.string())
    sources: list[tuple[str, Texts | Properties]] = [
        *((name, pools.texts[name]) for name in TEXT_POOLS),
        ("properties", pools.event_properties),
        ("session_properties", pools.session_properties),
    ]
    for name, pool in sources:
        taken = pool.columns.take(batch.column(name))
        columns |= {field: taken.column(field) for field in taken.column_names}
    if kind == "json":
        extras = [
            None if extra is None else [(extra[0], fragments.json_value(extra[1]))]
            for extra in EXTRAS
        ]
        columns["extra"] = pa.array(extras, PROPERTIES).take(batch.column("extra"))
    else:
        columns["extra"] = pa.nulls(batch.num_rows, PROPERTIES)
    return pa.table([columns[name] for name in EVENT_COLUMNS.names], schema=EVENT_COLUMNS)
