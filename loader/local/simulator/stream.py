"""The stream: blocks of the world turned into messages, in order of arrival."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from loader.local.simulator import event_messages
from loader.local.simulator.catalogue import Catalogue, catalogue
from loader.local.simulator.hashing import Bools, Floats, Ints, generator, unique_ids
from loader.local.simulator.malformed import broken
from loader.local.simulator.messages import Delay, Describe, Messages, joined
from loader.local.simulator.options import DAY_US, TrafficOptions
from loader.local.simulator.user_messages import (
    migration_columns,
    update_columns,
    user_activity,
)
from loader.local.simulator.world import BLOCK, EVENT_ID, Block, make_block

EVENTS: Final = "events"
USER_UPDATES: Final = "user_updates"
USER_MIGRATIONS: Final = "user_migrations"
TOPICS: Final = (EVENTS, USER_UPDATES, USER_MIGRATIONS)

_HOUR_US: Final = 3_600_000_000
_LATEST_US: Final = 20 * DAY_US
#: Event indexes from here on belong to messages that only exist broken.
_BROKEN: Final = 1 << 52


@dataclass(frozen=True, slots=True)
class TrafficChunk:
    """Messages that arrive in one stretch of time.

    Attributes:
        topics: messages by topic, with the names of the ``[topics]`` section: ``events``,
            ``user_updates``, ``user_migrations``. All three are always there, possibly empty.
    """

    topics: dict[str, Messages]

    def __len__(self) -> int:
        return sum(map(len, self.topics.values()))

    @property
    def events(self) -> Messages:
        """Messages of ``heap.events``; rows as ``EVENT_COLUMNS``."""
        return self.topics[EVENTS]

    @property
    def user_updates(self) -> Messages:
        """Messages of ``heap.user_updates``; rows as ``USER_UPDATE_COLUMNS``."""
        return self.topics[USER_UPDATES]

    @property
    def user_migrations(self) -> Messages:
        """Messages of ``heap.user_migrations``; rows ``from_user_id to_user_id time``."""
        return self.topics[USER_MIGRATIONS]


def generate(options: TrafficOptions) -> Iterator[TrafficChunk]:
    """Make the traffic, chunk by chunk, in order of arrival in each topic.

    A chunk holds about ``BLOCK`` events; memory holds one block and the messages in flight (late
    ones, duplicates), not the run. The last chunks carry what arrives after the run's end.
    """
    pools = catalogue(options.seed)
    first = options.skip // BLOCK
    last = (options.skip + options.events - 1) // BLOCK
    width = max(round(BLOCK * options.gap_us), 1)
    start = options.first_time_us + round(first * BLOCK * options.gap_us)
    delays = {topic: Delay(start, width) for topic in TOPICS}
    describe = {
        EVENTS: event_messages.describer(options.format, options.seed),
        USER_UPDATES: _as_it_is,
        USER_MIGRATIONS: _as_it_is,
    }
    for number in range(first, last + 1):
        block = make_block(options, pools, number)
        made = _block_messages(options, pools, block)
        for topic, batch in made.items():
            delays[topic].put(batch)
        until = start + (number + 1 - first) * width
        yield _chunk({topic: delays[topic].due(until) for topic in TOPICS}, made, describe)
    # Each remaining slot is small; several of them make a chunk.
    rest = {topic: delays[topic].due(None) for topic in TOPICS}
    while any(rest.values()):
        taken = {topic: _first_rows(batches, BLOCK) for topic, batches in rest.items()}
        yield _chunk(taken, made, describe)
        rest = {topic: batches[len(taken[topic]) :] for topic, batches in rest.items()}


def _first_rows(batches: Sequence[pa.RecordBatch], limit: int) -> list[pa.RecordBatch]:
    """The first batches, until they hold ``limit`` rows."""
    taken: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        if rows >= limit:
            break
        taken.append(batch)
        rows += batch.num_rows
    return taken


def _chunk(
    batches: dict[str, list[pa.RecordBatch]],
    like: dict[str, pa.RecordBatch],
    describe: dict[str, Describe],
) -> TrafficChunk:
    return TrafficChunk(
        {
            topic: Messages(joined([like[topic].slice(0, 0), *batches[topic]]), describe[topic])
            for topic in TOPICS
        }
    )


def _as_it_is(batch: pa.RecordBatch) -> pa.Table:
    return pa.Table.from_batches([batch])


@dataclass(frozen=True, slots=True)
class _Made:
    """A topic's good messages of one block, an entry a message.

    Attributes:
        columns: ``key``, ``value`` and the topic's own columns.
        origin: index of the event that brought the message about.
        true_time: when it really happened, in microseconds.
        ids: names of the message's id fields, in the order of the schema.
        models: values for messages that are to be broken: like those of some rows, but nobody's.
    """

    columns: dict[str, pa.Array]
    origin: Ints
    true_time: Ints
    ids: Sequence[str]
    models: Callable[[pa.RecordBatch], pa.BinaryArray]


def _block_messages(
    options: TrafficOptions, pools: Catalogue, block: Block
) -> dict[str, pa.RecordBatch]:
    """All messages that the block's shown events bring about, of each topic."""
    updates, migrations = user_activity(options, block)
    made = (
        _events(options, pools, block),
        _Made(
            {
                "key": _keys([update.user_id for update in updates]),
                "value": pa.array([u.encode(options.format) for u in updates], pa.binary()),
                **update_columns(updates),
            },
            np.array([update.origin for update in updates], np.int64),
            np.array([update.true_time for update in updates], np.int64),
            ("user_id",),
            _values,
        ),
        _Made(
            {
                "key": _keys([each.from_user_id for each in migrations]),
                "value": pa.array([m.encode(options.format) for m in migrations], pa.binary()),
                **migration_columns(migrations),
            },
            np.array([each.origin for each in migrations], np.int64),
            np.array([each.true_time for each in migrations], np.int64),
            ("from_user_id", "to_user_id"),
            _values,
        ),
    )
    return {
        topic: _with_noise(options, each, generator(options.seed, 5, block.number, number), block)
        for number, (topic, each) in enumerate(zip(TOPICS, made, strict=True))
    }


def _events(options: TrafficOptions, pools: Catalogue, block: Block) -> _Made:
    rng = generator(options.seed, 4, block.number)
    style = np.zeros(BLOCK, np.int64)
    extra = np.zeros(BLOCK, np.int64)
    if options.format == "json":
        for bit in (event_messages.TEXT_ID, event_messages.MICROS, event_messages.OFFSET):
            style |= bit * (rng.random(BLOCK) < options.text_ids)
        unknown = rng.random(BLOCK) < options.unknown_fields
        extra = rng.integers(1, len(event_messages.EXTRAS), BLOCK) * unknown
    recipe = {**block.columns, "style": style, "extra": extra}

    def models(rows: pa.RecordBatch) -> pa.BinaryArray:
        """Events that never happened: an accepted one would show as a row too many."""
        other = {name: rows.column(name).to_numpy() for name in event_messages.RECIPE}
        number = rows.column("order").to_numpy() + _BROKEN
        other["event_id"] = unique_ids(options.seed, EVENT_ID, number)
        return event_messages.encode(options.format, pools, other)

    return _Made(
        {
            "key": _keys(recipe["user_id"]),
            "value": event_messages.encode(options.format, pools, recipe),
            **event_messages.recipe_batch(recipe),
        },
        block.index,
        block.true_time,
        ("event_id", "user_id", "session_id"),
        models,
    )


def _values(rows: pa.RecordBatch) -> pa.BinaryArray:
    return rows.column("value")


def _with_noise(
    options: TrafficOptions, made: _Made, rng: np.random.Generator, block: Block
) -> pa.RecordBatch:
    """Add arrivals, second copies and broken messages, and leave out what the run does not show."""
    count = len(made.origin)
    late = rng.random(count) < options.late
    arrival = made.true_time + np.where(late, _long(rng, count), _short(rng, count))
    again = rng.random(count) < options.duplicates
    soon = rng.random(count) < 0.5
    second = arrival + np.where(soon, _short(rng, count), _long(rng, count))
    bad = rng.random(count) < options.malformed
    own = {name: column for name, column in made.columns.items() if name not in {"key", "value"}}
    rows = pa.RecordBatch.from_pydict(
        {
            "key": made.columns["key"],
            "value": made.columns["value"],
            "arrival": pa.array(arrival),
            # Distinct for the message, its copy and what is broken after its model.
            "order": pa.array((np.arange(count) + block.number * 2 * BLOCK) * 4),
            "fault": pa.nulls(count, pa.string()),
            **own,
        }
    )
    shown = (made.origin >= options.skip) & (made.origin < options.skip + options.events)
    copies = _changed(rows, again & shown, arrival=second, order=1)
    wrong = _broken(options, rng, rows.filter(pa.array(bad)), made)
    return joined([rows.filter(pa.array(shown)), copies, wrong.filter(pa.array(shown[bad]))])


def _changed(rows: pa.RecordBatch, mask: Bools, *, arrival: Ints, order: int) -> pa.RecordBatch:
    """The masked rows with another arrival."""
    taken = rows.set_column(2, "arrival", pa.array(arrival)).filter(pa.array(mask))
    return taken.set_column(3, "order", pa.array(taken.column("order").to_numpy() + order))


def _broken(
    options: TrafficOptions, rng: np.random.Generator, rows: pa.RecordBatch, made: _Made
) -> pa.RecordBatch:
    """Broken messages, each modelled on one of ``rows`` and in its place."""
    values = made.models(rows).to_pylist()
    wrong = [broken(rng, options.format, value, made.ids) for value in values]
    return (
        rows.set_column(1, "value", pa.array([each.value for each in wrong], pa.binary()))
        .set_column(3, "order", pa.array(rows.column("order").to_numpy() + 2))
        .set_column(4, "fault", pa.array([each.fault for each in wrong], pa.string()))
    )


def _keys(users: Ints | Sequence[int]) -> pa.BinaryArray:
    return pa.array(users, pa.int64()).cast(pa.string()).cast(pa.binary())


def _short(rng: np.random.Generator, count: int) -> Ints:
    """Delays of a working network: about a second."""
    return np.asarray(40_000 + rng.exponential(1.2e6, count)).astype(np.int64)


def _long(rng: np.random.Generator, count: int) -> Ints:
    """Delays of a phone without network: hours, up to 20 days."""
    hours: Floats = np.asarray(rng.lognormal(np.log(6.0), 1.2, count))
    return np.minimum(hours * _HOUR_US, _LATEST_US).astype(np.int64)
