"""A dead letter as it is read back: what it says, which letters are copies of one, how it is shown.

A message that was refused has one identity, its place in its own topic. A letter about it may stand
several times: the consumer writes letters before the record that counts them, and a crash in between
makes it write them again.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final, NamedTuple

import orjson

from loader.errors import UsageError
from loader.kafka.dead_letters import Headers
from loader.lake import layout
from loader.model.times import parse_time

#: The headers that make a message a letter, docs/operations.md.
LETTER_HEADERS: Final = (
    "dl-topic",
    "dl-partition",
    "dl-offset",
    "dl-reason",
    "dl-error",
    "dl-time",
)
#: The headers of a message that was sent again: where it stood when it was refused.
REDRIVE_HEADERS: Final = ("redrive-topic", "redrive-partition", "redrive-offset")

MARKER_VERSION: Final = 1

_TOPIC: Final = re.compile(r"(?!\.{1,2}\Z)[a-zA-Z0-9._-]{1,249}\Z")
_NUMBER: Final = re.compile(rb"-?[0-9]{1,19}\Z")
_MARKER: Final = re.compile(rf"{layout.REDRIVE}([^/]+)/([0-9]{{1,10}})/([0-9]{{20}})\.json\Z")
_WHERE: Final = re.compile(r"(?:([^:]+):)?([0-9]{1,9}):([0-9]{1,18})\Z")


class Origin(NamedTuple):
    """Where a refused message stood: what tells letters apart."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]:{self.offset}"


class Place(NamedTuple):
    """Where a letter stands in the dead-letter topic."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"


class State(StrEnum):
    """What the lake says about a refused message.

    * ``counted``: a record covers its offset and counts it as refused.
    * ``pending``: no record covers its offset, so the job that wrote the letter reads it again.
    * ``loaded``: a record covers its offset and holds it: read again, it was accepted.
    * ``unknown``: its topic is not in the configuration.
    """

    COUNTED = "counted"
    PENDING = "pending"
    LOADED = "loaded"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter without its message's bytes.

    Attributes:
        origin: where the refused message stood.
        place: where this letter stands.
        reason: a word of the contract, e.g. ``missing_field``.
        error: one sentence.
        time_ms: Kafka time of the refused message, milliseconds since the epoch; -1 if it had none.
        written_ms: Kafka time of the letter itself, milliseconds since the epoch; -1 if unknown.
        size: bytes of the message's key and value.
    """

    origin: Origin
    place: Place
    reason: str
    error: str
    time_ms: int
    written_ms: int
    size: int


@dataclass(frozen=True, slots=True)
class Content:
    """The refused message itself: its key, value and own headers as its producer sent them."""

    key: bytes | None
    value: bytes | None
    headers: Headers


def parse(
    place: Place, written_ms: int, key: bytes | None, value: bytes | None, headers: Headers
) -> tuple[Letter, Content] | None:
    """A message of the dead-letter topic as a letter; None if it is none.

    Ours are the last headers of their names: a refused message may carry such headers of its own.
    """
    found: dict[str, bytes] = {}
    own: list[tuple[str, bytes | None]] = []
    for name, content in reversed(headers):
        if name in LETTER_HEADERS and name not in found and content is not None:
            found[name] = content
        else:
            own.append((name, content))
    if len(found) < len(LETTER_HEADERS):
        return None
    topic, reason, error = (
        found[name].decode(errors="replace") for name in ("dl-topic", "dl-reason", "dl-error")
    )
    numbers = [found[name] for name in ("dl-partition", "dl-offset", "dl-time")]
    if not _TOPIC.match(topic) or not all(map(_NUMBER.match, numbers)):
        return None
    partition, offset, time_ms = map(int, numbers)
    if partition < 0 or offset < 0:
        return None
    letter = Letter(
        origin=Origin(topic, partition, offset),
        place=place,
        reason=reason,
        error=error,
        time_ms=time_ms,
        written_ms=written_ms,
        size=len(key or b"") + len(value or b""),
    )
    return letter, Content(key, value, own[::-1])


@dataclass(frozen=True, slots=True)
class Filters:
    """Which letters are meant; None means any.

    Attributes:
        topic: the refused message's topic.
        partition: its partition.
        reason: why it was refused.
        since_us: its Kafka time is this or later, microseconds since the epoch.
        until_us: its Kafka time is before this, microseconds since the epoch.
        from_offset: its offset is this or higher.
        to_offset: its offset is below this.
    """

    topic: str | None = None
    partition: int | None = None
    reason: str | None = None
    since_us: int | None = None
    until_us: int | None = None
    from_offset: int | None = None
    to_offset: int | None = None

    def match(self, letter: Letter) -> bool:
        """True if the letter is meant. One without a time matches no bound of time."""
        origin, time_us = letter.origin, letter.time_ms * 1000
        timed = self.since_us is not None or self.until_us is not None
        return (
            self.topic in {None, origin.topic}
            and self.partition in {None, origin.partition}
            and self.reason in {None, letter.reason}
            and _within(origin.offset, self.from_offset, self.to_offset)
            and (not timed or letter.time_ms >= 0)
            and _within(time_us, self.since_us, self.until_us)
        )


def _within(number: int, first: int | None, next_: int | None) -> bool:
    """True in the half-open range ``[first, next_)``; None is no bound."""
    return (first is None or number >= first) and (next_ is None or number < next_)


def moment(text: str | None, option: str) -> int | None:
    """A time given on the command line, as microseconds since the epoch.

    Raises:
        UsageError: it is no time.
    """
    if text is None:
        return None
    found = parse_time(text)
    if found is None:
        raise UsageError(
            f"{option}: {text!r} is no time.",
            hint="ISO 8601, for example 2026-01-31 or 2026-01-31T12:00:00Z; UTC without an offset.",
        )
    return found


def where(text: str) -> Place | Origin:
    """What ``show`` was asked for: ``PARTITION:OFFSET`` or ``TOPIC:PARTITION:OFFSET``.

    Raises:
        UsageError: it is neither.
    """
    match = _WHERE.match(text)
    if match is None or (match[1] is not None and not _TOPIC.match(match[1])):
        raise UsageError(
            f"{text!r} names no letter.",
            hint="PARTITION:OFFSET in the dead-letter topic, or TOPIC:PARTITION:OFFSET of the message.",
        )
    partition, offset = int(match[2]), int(match[3])
    return Place(partition, offset) if match[1] is None else Origin(match[1], partition, offset)


class Catalogue:
    """All letters of the topic, copies of one under one identity.

    Attributes:
        strangers: messages of the topic that are no letters.
        complete: nothing that was ever written to the topic is missing from what was read.
    """

    def __init__(self) -> None:
        self._letters: dict[Origin, Letter] = {}
        self._copies: dict[Origin, list[Place]] = {}
        self._index: dict[tuple[str, int], list[int]] | None = None
        self.strangers = 0
        self.complete = False

    def add(self, letter: Letter | None) -> None:
        """Take one more message of the topic, None if it is no letter.

        Of copies the last one in its partition stands for all.
        """
        if letter is None:
            self.strangers += 1
            return
        self._copies.setdefault(letter.origin, []).append(letter.place)
        self._letters[letter.origin] = letter
        self._index = None

    def select(self, filters: Filters) -> list[Letter]:
        """The letters that are meant, each identity once, in the order of their places."""
        return sorted(filter(filters.match, self._letters.values()), key=lambda one: one.place)

    def get(self, origin: Origin) -> Letter | None:
        """The letter about the message at ``origin``."""
        return self._letters.get(origin)

    def copies(self, origin: Origin) -> tuple[Place, ...]:
        """Where the letter stands, ascending."""
        return tuple(sorted(self._copies.get(origin, ())))

    def between(self, topic: str, partition: int, first: int, next_: int) -> int:
        """How many refused messages in ``[first, next_)`` of a partition have a letter."""
        if self._index is None:
            self._index = {}
            for origin in self._letters:
                self._index.setdefault((origin.topic, origin.partition), []).append(origin.offset)
            for offsets in self._index.values():
                offsets.sort()
        offsets = self._index.get((topic, partition), [])
        return bisect_left(offsets, next_) - bisect_left(offsets, first)


@dataclass(frozen=True, slots=True)
class Found:
    """A letter, and what the lake says about its message.

    Attributes:
        letter: of several copies the last one.
        copies: where all of them stand; empty where nobody looked for them.
        state: what became of the message.
        redriven: it was sent again.
    """

    letter: Letter
    copies: tuple[Place, ...]
    state: State
    redriven: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """What ``dead-letters list`` shows.

    Attributes:
        topic: the dead-letter topic.
        found: the letters, as many as were asked for, in the order of their places.
        summary: all letters that the filters chose, by topic and reason.
        letters: how many the filters chose.
        strangers: messages of the topic that are no letters.
    """

    topic: str
    found: list[Found]
    summary: list[dict[str, str | int]]
    letters: int
    strangers: int


@dataclass(frozen=True, slots=True)
class Marker:
    """In the lake: the message at ``origin`` was sent again, and Kafka has acknowledged it.

    Attributes:
        topic: where it stood when it was refused.
        partition: where it stood when it was refused.
        offset: where it stood when it was refused.
        sent_partition: where it stands now, in the same topic.
        sent_offset: where it stands now, in the same topic.
        run: id of the run that sent it; makes the body unique to its writer.
        created: ISO 8601 time of writing, UTC.
    """

    topic: str
    partition: int
    offset: int
    sent_partition: int
    sent_offset: int
    run: str
    created: str

    @property
    def key(self) -> str:
        """Its key in the lake."""
        return layout.redrive_marker(self.topic, self.partition, self.offset)

    def encode(self) -> bytes:
        """The marker as it stands in the lake: one JSON object."""
        return orjson.dumps(
            {"version": MARKER_VERSION, **asdict(self)}, option=orjson.OPT_APPEND_NEWLINE
        )


def marked(key: str) -> Origin | None:
    """The message that a marker's key names; None for another key."""
    match = _MARKER.match(key)
    return None if match is None else Origin(match[1], int(match[2]), int(match[3]))


def headers_again(origin: Origin, content: Content) -> list[tuple[str, str | bytes | None]]:
    """The message's own headers, then where it stood. Those of an earlier redrive give way."""
    own = [(name, value) for name, value in content.headers if name not in REDRIVE_HEADERS]
    place = (origin.topic, str(origin.partition), str(origin.offset))
    return [*own, *((n, v.encode()) for n, v in zip(REDRIVE_HEADERS, place, strict=True))]


def summary(letters: Sequence[Letter], catalogue: Catalogue) -> list[dict[str, str | int]]:
    """Letters and their copies by topic and reason, most first."""
    count: Counter[tuple[str, str]] = Counter()
    copies: Counter[tuple[str, str]] = Counter()
    for letter in letters:
        kind = (letter.origin.topic, letter.reason)
        count[kind] += 1
        copies[kind] += len(catalogue.copies(letter.origin))
    return [
        {"topic": kind[0], "reason": kind[1], "letters": number, "copies": copies[kind]}
        for kind, number in sorted(count.items(), key=lambda item: (-item[1], item[0]))
    ]


#: Letters with their messages, in the order of the dead-letter topic.
Chunk = Sequence[tuple[Letter, Content]]
