"""Walking a chain to its end, whatever is wrong with it: faults become findings, not the end.

A reader of data must stop at the first fault (`loader.lake.chain`); an operator wants all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from loader.errors import UsageError
from loader.lake import layout
from loader.lake.ahead import fetched_ahead
from loader.lake.record_objects import ChainRecord
from loader.lake.store import ObjectStore
from loader.monitor.findings import Finding, Findings

R = TypeVar("R", bound=ChainRecord)

#: Records fetched at once.
READ_AHEAD: Final = 8

#: Told the key of each record's object, in order, and its body: None if it was listed and is gone.
Observer = Callable[[str, bytes | None], None]

_REBUILD: Final = (
    "Restore the missing record from the bucket's versions or backups; until then no reader goes "
    "beyond it."
)


def unobserved(_key: str, _body: bytes | None) -> None:
    """For who does not look."""


@dataclass(frozen=True, slots=True)
class Place:
    """One chain: its root (``log/`` or ``registry/``), topic and partition."""

    root: str
    topic: str
    partition: int

    @property
    def folder(self) -> str:
        """Where its records stand."""
        return layout.log_chain(self.root, self.topic, self.partition)


@dataclass(frozen=True, slots=True)
class Walked(Generic[R]):
    """A record and the key it stands at."""

    key: str
    record: R


def places(
    store: ObjectStore, root: str, findings: Findings, *, topic: str | None = None
) -> list[Place]:
    """All chains under a root, by topic and partition."""
    found = []
    for name in store.list_folders(root) if topic is None else [topic]:
        for folder in store.list_folders(f"{root}{name}/"):
            if folder.isdecimal() and str(int(folder)) == folder:
                found.append(Place(root, name, int(folder)))
            else:
                _unknown(findings, name, None, f"{root}{name}/{folder}/", "is no partition")
    return sorted(found, key=lambda place: (place.topic, place.partition))


def check_topic(store: ObjectStore, topic: str) -> None:
    """Raise if the lake has no chain of ``topic``.

    Raises:
        UsageError: it names the topics that the lake has.
    """
    known = sorted({*store.list_folders(layout.LOG), *store.list_folders(layout.REGISTRY)})
    if topic not in known:
        raise UsageError(
            f"{store.url} has no topic {topic!r}.",
            hint=f"It has {', '.join(known) or 'none'}.",
        )


def walk(
    store: ObjectStore,
    place: Place,
    decode: Callable[[bytes], R],
    findings: Findings,
    observe: Observer = unobserved,
) -> Iterator[Walked[R]]:
    """Every record that can be read, in order of its key; a few are fetched ahead.

    Args:
        store: the lake.
        place: the chain.
        decode: raises ``ValueError`` for a body that is no record.
        findings: where faults go.
        observe: told of each record's object before it is looked at.
    """
    # The record before; None where there is none, or where it could not be read.
    before: Walked[R] | None = None
    for key, body in _bodies(store, place, findings):
        observe(key, body)
        walked = _read(place, key, body, decode, findings)
        if walked is None:
            before = None
            continue
        if before is not None and walked.record.first != before.record.next:
            _broken(place, before, walked, findings)
        before = walked
        yield walked


def _bodies(
    store: ObjectStore, place: Place, findings: Findings
) -> Iterator[tuple[str, bytes | None]]:
    def get(key: str) -> bytes | None:
        try:
            return store.get(key)
        except KeyError:
            return None

    keys = _keys(store, place, findings)
    yield from fetched_ahead(get, keys, most=READ_AHEAD)


def _keys(store: ObjectStore, place: Place, findings: Findings) -> Iterator[str]:
    for info in store.scan(place.folder):
        name = info.key.removeprefix(place.folder)
        if len(name) == 25 and name.endswith(".json") and name[:20].isdecimal():
            yield info.key
        else:
            unknown_object(findings, place, info.key, "is no record")


def _read(
    place: Place,
    key: str,
    body: bytes | None,
    decode: Callable[[bytes], R],
    findings: Findings,
) -> Walked[R] | None:
    def bad(what: str) -> None:
        findings.add(Finding("bad_record", place.topic, place.partition, key, what))

    if body is None:
        bad("The record was listed and is gone: something deletes from the log.")
        return None
    try:
        record = decode(body)
    except ValueError as error:
        bad(f"This is no record: {error}.")
        return None
    if (record.topic, record.partition) != (place.topic, place.partition):
        bad(f"The record is one of {record.topic}[{record.partition}].")
        return None
    if record.first != layout.record_offset(key):
        bad(f"The record begins at offset {record.first}.")
        return None
    if record.next <= record.first:
        bad(f"The record covers no offset: [{record.first}, {record.next}).")
        return None
    return Walked(key, record)


def _broken(place: Place, before: Walked[R], after: Walked[R], findings: Findings) -> None:
    end, first = before.record.next, after.record.first
    if first > end:
        what = f"Offsets {end} to {first - 1} have no record: the one before ends at {end}."
        hint = _REBUILD
    else:
        what = f"Offsets {first} to {end - 1} are in two records; the other one is {before.key}."
        hint = "Records are never overwritten: find out who wrote here, and restore both objects."
    findings.add(Finding("broken_chain", place.topic, place.partition, after.key, what, hint))


def unknown_object(findings: Findings, place: Place, key: str, what: str) -> None:
    """Something stands in a chain's folder that does not belong there."""
    _unknown(findings, place.topic, place.partition, key, what)


def _unknown(findings: Findings, topic: str, partition: int | None, key: str, what: str) -> None:
    findings.add(
        Finding(
            "unknown_object",
            topic,
            partition,
            key,
            f"What stands there {what}.",
            "Nothing but the loader may write there: move it away.",
        )
    )
