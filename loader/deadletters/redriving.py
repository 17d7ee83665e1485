"""Sends refused messages again, each once: a marker in the lake says which were.

The marker is put after Kafka has acknowledged the message. So nothing is lost; a crash between the
two makes the next run send that message a second time, and of two copies of one event the warehouse
keeps one (it de-duplicates by user and event id). At most ``CHUNK`` messages are between the two.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Final

from loader import config
from loader.codec.registry import schema_source
from loader.codec.schemas import SchemaSource
from loader.deadletters.judging import Judge
from loader.deadletters.letters import (
    Catalogue,
    Chunk,
    Content,
    Filters,
    Letter,
    Marker,
    State,
)
from loader.deadletters.reading import DeadLetterTopic, OnRead, redriven
from loader.deadletters.sending import KafkaSender, Sender
from loader.deadletters.standing import Standing
from loader.lake.s3 import S3Store
from loader.lake.store import ObjectStore

#: Messages that are sent together, and whose markers are put before the next ones are sent.
CHUNK: Final = 100
_MARKING: Final = 16
#: Letters that are decoded together.
_LOOK: Final = 500


class Decision(StrEnum):
    """What is done with a letter that was asked for."""

    SEND = "send"
    REDRIVEN = "already_redriven"
    PENDING = "pending"
    LOADED = "loaded"
    UNKNOWN = "unknown_topic"
    REFUSED = "still_refused"
    OVERTAKEN = "overtaken"


_BY_STATE: Final[Mapping[State, Decision]] = {
    State.PENDING: Decision.PENDING,
    State.LOADED: Decision.LOADED,
    State.UNKNOWN: Decision.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Sent:
    """One message that was sent again, or would be; ``partition`` and ``offset`` where it is now."""

    letter: Letter
    partition: int | None = None
    offset: int | None = None


@dataclass(slots=True)
class Report:
    """What a run did, or with ``dry_run`` would do.

    Attributes:
        dry_run: nothing was sent.
        selected: letters that the filters chose.
        sent: messages in the order of sending.
        decisions: letters by what was done with them; those beyond the limit are not counted.
        left: letters that the limit left.
    """

    dry_run: bool
    selected: int = 0
    sent: list[Sent] = field(default_factory=list)
    decisions: Counter[Decision] = field(default_factory=Counter)
    left: int = 0


def redrive(
    settings: config.Settings,
    filters: Filters,
    *,
    dry_run: bool = False,
    limit: int | None = None,
    force: bool = False,
    on_read: OnRead = lambda *_: None,
    on_sent: Callable[[Report], None] = lambda _: None,
    store: ObjectStore | None = None,
    sender: Sender | None = None,
    schemas: SchemaSource | None = None,
) -> Report:
    """Send the messages of dead letters to their topics again.

    Sent is a message that the lake counts as refused, that was not sent again before, and that would
    be accepted now.

    Args:
        settings: the whole configuration.
        filters: which letters.
        dry_run: only find out what would be sent.
        limit: send at most this many.
        force: send what would be refused again, too.
        on_read: progress of looking for letters.
        on_sent: called now and then; the markers of what it shows stand.
        store: instead of the configured lake.
        sender: instead of Kafka.
        schemas: instead of the configured source of Avro schemas.

    Raises:
        NeedsOperator: the lake's log is broken.
        Unreachable: Kafka or the lake stayed away; running again goes on where this run ended.
    """
    store = S3Store.open(settings.lake) if store is None else store
    standing = Standing(store, settings.topics)
    topic = DeadLetterTopic(settings)
    catalogue = topic.catalogue(on_read)
    letters = catalogue.select(filters)
    report = Report(dry_run, selected=len(letters))
    done = redriven(store)
    fresh = [letter for letter in letters if letter.origin not in done]
    report.decisions[Decision.REDRIVEN] = len(letters) - len(fresh)
    judge = Judge(settings.topics, schemas or schema_source(settings))
    run = _Run(store, sender or KafkaSender(settings.kafka), report, limit)
    looked = 0
    places = [letter.place for letter in fresh]
    with (
        ThreadPoolExecutor(_MARKING, "marker") as pool,
        closing(topic.contents(places)) as contents,
    ):
        while chunk := list(islice(contents, _LOOK)):
            looked += len(chunk)
            decisions = _decide(chunk, standing, catalogue, judge, force=force)
            chosen = run.choose(chunk, decisions)
            if dry_run:
                report.sent += [Sent(letter) for letter, _ in chosen]
            elif chosen:
                run.send(chosen, pool)
            on_sent(report)
            if run.room == 0:
                break
    report.left += len(fresh) - looked
    return report


class _Run:
    """What one run sends, and the markers of it."""

    def __init__(
        self, store: ObjectStore, sender: Sender, report: Report, limit: int | None
    ) -> None:
        self._store = store
        self._sender = sender
        self._report = report
        self._limit = limit
        self._id = uuid.uuid4().hex

    @property
    def room(self) -> int | None:
        """How many messages may still be sent; None is any number."""
        return None if self._limit is None else max(self._limit - len(self._report.sent), 0)

    def choose(self, chunk: Chunk, decisions: Sequence[Decision]) -> list[tuple[Letter, Content]]:
        """Those to send, as far as there is room; the others are counted."""
        chosen: list[tuple[Letter, Content]] = []
        room = len(chunk) if self.room is None else self.room
        for one, decision in zip(chunk, decisions, strict=True):
            if decision is Decision.SEND and len(chosen) >= room:
                self._report.left += 1
                continue
            self._report.decisions[decision] += 1
            if decision is Decision.SEND:
                chosen.append(one)
        return chosen

    def send(self, chosen: Chunk, pool: ThreadPoolExecutor) -> None:
        """Send, a part after the other; mark of each what was acknowledged, even if not all was.

        Raises:
            LoaderError: why a message was not acknowledged, or a marker not put.
        """
        for start in range(0, len(chosen), CHUNK):
            self._send(chosen[start : start + CHUNK], pool)

    def _send(self, chosen: Chunk, pool: ThreadPoolExecutor) -> None:
        delivery = self._sender.send(chosen)
        sent = [
            Sent(letter, *place)
            for (letter, _), place in zip(chosen, delivery.places, strict=True)
            if place is not None
        ]
        list(pool.map(self._mark, sent))
        self._report.sent += sent
        if delivery.failure is not None:
            raise delivery.failure

    def _mark(self, sent: Sent) -> None:
        """Put a marker. Another run that did the same a moment ago has put its own: one is enough."""
        assert sent.partition is not None  # noqa: S101 - it is acknowledged
        assert sent.offset is not None  # noqa: S101
        marker = Marker(
            *sent.letter.origin,
            sent_partition=sent.partition,
            sent_offset=sent.offset,
            run=self._id,
            created=dt.datetime.now(dt.UTC).isoformat(),
        )
        self._store.put_if_absent(marker.key, marker.encode())


def _decide(
    chunk: Chunk, standing: Standing, catalogue: Catalogue, judge: Judge, *, force: bool
) -> list[Decision]:
    decisions = []
    accepted = judge.accepts(chunk)
    for (letter, content), good in zip(chunk, accepted, strict=True):
        state = standing.state(letter.origin, catalogue)
        if state in _BY_STATE:
            decisions.append(_BY_STATE[state])
        elif not good and not force:
            decisions.append(Decision.REFUSED)
        elif standing.overtaken(letter.origin, content.key):
            decisions.append(Decision.OVERTAKEN)
        else:
            decisions.append(Decision.SEND)
    return decisions
