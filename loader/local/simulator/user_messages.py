"""Messages of ``heap.user_updates`` and ``heap.user_migrations``.

A few per hundred events, so these are made one by one. Times of two writes of one user never tie:
which of two equal times wins is the loader's to say, and equal ones would make the truth depend on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa

from loader.local.simulator import fragments
from loader.local.simulator.hashing import generator
from loader.local.simulator.options import Format, TrafficOptions
from loader.local.simulator.people import canonical_id, identity
from loader.local.simulator.pool import Value, property_items
from loader.local.simulator.world import Block
from loader.model.events import TIME, USER_UPDATE_COLUMNS

UPDATE_SCHEMA_ID: Final = 2
MIGRATION_SCHEMA_ID: Final = 3
MIGRATION_COLUMNS: Final = pa.schema(
    [
        pa.field("from_user_id", pa.int64(), nullable=False),
        pa.field("to_user_id", pa.int64(), nullable=False),
        pa.field("time", TIME, nullable=False),
    ]
)
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - only ever printed with a Z behind it
_COMPANIES: Final = ("Acme GmbH & Co. KG", 'Société "Générale"', "株式会社", "O'Neil", "Łódź s.a.")
_ROLES: Final = ("admin", "editor", "viewer")


@dataclass(frozen=True, slots=True)
class Update:
    """One user update; ``absent`` fields are neither in ``texts`` nor in ``cleared``."""

    origin: int
    true_time: int
    user_id: int
    time: int
    texts: dict[str, str]
    properties: dict[str, Value] | None
    cleared: tuple[str, ...] = ()

    def row(self) -> dict[str, Any]:
        """As ``USER_UPDATE_COLUMNS``."""
        return {
            "user_id": self.user_id,
            "time": self.time,
            **self.texts,
            "properties": property_items(self.properties),
            "cleared": list(self.cleared) or None,
        }

    def encode(self, kind: Format) -> bytes:
        """The message's value."""
        if kind == "avro":
            return b"".join(
                (
                    frame(UPDATE_SCHEMA_ID),
                    fragments.avro_long(self.user_id),
                    fragments.avro_long(self.time),
                    *(
                        fragments.avro_text(self.texts.get(n))
                        for n in ("identity", "handle", "email")
                    ),
                    fragments.avro_properties(self.properties),
                )
            )
        document: dict[str, Any] = {"user_id": self.user_id, "time": iso(self.time), **self.texts}
        document |= dict.fromkeys(self.cleared)
        if self.properties is not None:
            document["properties"] = self.properties
        return orjson.dumps(document)


@dataclass(frozen=True, slots=True)
class Migration:
    """One identify call's merge; ``time`` 0 means that nobody knows when."""

    origin: int
    true_time: int
    from_user_id: int
    to_user_id: int
    time: int

    def row(self) -> dict[str, Any]:
        """As ``MIGRATION_COLUMNS``."""
        return {"from_user_id": self.from_user_id, "to_user_id": self.to_user_id, "time": self.time}

    def encode(self, kind: Format) -> bytes:
        """The message's value."""
        if kind == "avro":
            numbers = (self.from_user_id, self.to_user_id, self.time)
            return frame(MIGRATION_SCHEMA_ID) + b"".join(map(fragments.avro_long, numbers))
        return orjson.dumps(self.row() | {"time": iso(self.time) if self.time else 0})


def frame(schema_id: int) -> bytes:
    """Confluent framing: magic byte 0, then the schema's id, big-endian."""
    return b"\x00" + schema_id.to_bytes(4, "big")


def iso(micros: int) -> str:
    """ISO 8601 in UTC."""
    return (_EPOCH + timedelta(microseconds=micros)).isoformat() + "Z"


def update_columns(updates: list[Update]) -> dict[str, pa.Array]:
    """Logical columns of updates."""
    batch = pa.RecordBatch.from_pylist([update.row() for update in updates], USER_UPDATE_COLUMNS)
    return dict(zip(batch.schema.names, batch.columns, strict=True))


def migration_columns(migrations: list[Migration]) -> dict[str, pa.Array]:
    """Logical columns of migrations."""
    batch = pa.RecordBatch.from_pylist([each.row() for each in migrations], MIGRATION_COLUMNS)
    return dict(zip(batch.schema.names, batch.columns, strict=True))


def user_activity(options: TrafficOptions, block: Block) -> tuple[list[Update], list[Migration]]:
    """What a block's sessions send to the user topics."""
    rng = generator(options.seed, 3, block.number)
    writes = _moments(block, block.sessions.writes_at)
    updates = [_write(rng, options, moment) for moment in writes]
    migrations: list[Migration] = []
    for moment in _moments(block, block.sessions.identified_at):
        merged, written = _identify(rng, options, moment)
        updates += written
        migrations += merged
    return updates, migrations


@dataclass(frozen=True, slots=True)
class _Moment:
    """The event during which something happened to a user."""

    origin: int
    true_time: int
    time: int
    user_id: int
    person: int
    before: int


def _moments(block: Block, places: np.ndarray[Any, np.dtype[np.int64]]) -> Iterator[_Moment]:
    sessions = block.sessions
    for row in np.flatnonzero(block.place == places[block.session]).tolist():
        session = int(block.session[row])
        yield _Moment(
            origin=int(block.index[row]),
            true_time=int(block.true_time[row]),
            time=int(block.columns["time"][row]),
            user_id=int(block.columns["user_id"][row]),
            person=int(sessions.person[session]),
            before=int(sessions.user[session]),
        )


def _write(rng: np.random.Generator, options: TrafficOptions, moment: _Moment) -> Update:
    candidates: dict[str, Value] = {
        "Lifetime Value": float(round(float(rng.gamma(2.0, 300.0)), 2)),
        "role": _ROLES[int(rng.integers(len(_ROLES)))],
        "company": _COMPANIES[int(rng.integers(len(_COMPANIES)))],
        "seats": int(rng.integers(1, 500)),
        "newsletter": bool(rng.random() < 0.5),
        "createdAt": iso(moment.true_time)[:10],
        "Email": "work@example.com",  # named as a built-in column
    }
    keep = rng.random(len(candidates)) < 0.4
    null = rng.random(len(candidates)) < 0.1
    properties: dict[str, Value] = {
        key: None if gone else value
        for (key, value), kept, gone in zip(candidates.items(), keep, null, strict=True)
        if kept
    }
    texts = {}
    if rng.random() < 0.25:
        texts["email"] = f"p{moment.person}+{rng.integers(1000)}@mail.example"
    if rng.random() < 0.15:
        texts["handle"] = f"@person_{moment.person}"
    # Avro cannot tell "absent" from "null", so only JSON clears these three.
    clears = options.format == "json" and rng.random() < 0.05 and "handle" not in texts
    if not texts and not properties:
        properties["role"] = "viewer"
    return Update(
        origin=moment.origin,
        true_time=moment.true_time,
        user_id=moment.user_id,
        time=moment.time + 500,
        texts=texts,
        properties=properties or None,
        cleared=("handle",) if clears else (),
    )


def _identify(
    rng: np.random.Generator, options: TrafficOptions, moment: _Moment
) -> tuple[list[Migration], list[Update]]:
    """An identify call: mostly one merge, sometimes a chain, a cycle, a shared device, a repeat."""
    seed, person = options.seed, moment.person
    names = [identity(seed, person), identity(seed, person, 1), identity(seed, person ^ 1)]
    me, renamed, neighbour = (canonical_id(seed, name) for name in names)
    device = moment.before
    kind = rng.random()
    merges = [(device, me)]
    if kind < 0.10:
        merges.append((me, renamed))
    elif kind < 0.14:
        merges.append((device, neighbour))
    elif kind < 0.155:
        merges += [(me, renamed), (renamed, me)]
    elif kind < 0.17:
        merges.append((me, me))
    elif kind < 0.19:
        merges.append((device, me))
    migrations = [
        Migration(
            origin=moment.origin,
            true_time=moment.true_time + 1000 * step,
            from_user_id=source,
            to_user_id=target,
            time=0 if rng.random() < 0.03 else max(moment.time + 7 + 1000 * step, 1),
        )
        for step, (source, target) in enumerate(merges)
    ]
    texts = {"identity": names[0]}
    if rng.random() < 0.6:
        texts["email"] = names[0]
    properties: dict[str, Value] = {"signup_source": "web", "identified": True}
    written = [Update(moment.origin, moment.true_time, me, moment.time + 7, texts, properties)]
    if kind < 0.10:
        later = {"identity": names[1]}
        written.append(
            Update(moment.origin, moment.true_time, renamed, moment.time + 1007, later, None)
        )
    return migrations, written
