"""Checkpoints: stretches of a chain's records in one object each, so that readers need few requests.

A checkpoint is a cache. The records stay where they are and remain the truth: a checkpoint that is
missing or damaged is passed over with a warning, and the records are read instead. The format is
public and described in docs/formats/checkpoints.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from loader.errors import NeedsOperator
from loader.lake import layout
from loader.lake.store import ObjectStore
from loader.logs import log

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Span:
    """What a checkpoint's key says: the chain's offsets ``[first, next)`` are in it."""

    key: str
    first: int
    next: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The records of ``[first, next)`` of one chain, as they stand in the lake.

    Attributes:
        root: ``log/`` or ``registry/``.
        topic: the Kafka topic.
        partition: the Kafka partition.
        first: the first offset covered.
        next: the offset after the last one covered.
        records: each record's first offset and its object's body, in order; at least one.
    """

    root: str
    topic: str
    partition: int
    first: int
    next: int
    records: tuple[tuple[int, bytes], ...]

    @property
    def key(self) -> str:
        """Where it stands in the lake."""
        return layout.checkpoint(self.root, self.topic, self.partition, self.first, self.next)

    def encode(self) -> bytes:
        """The object's body: a line with version and digest, a line of contents, the records."""
        contents = {
            "log": self.root.rstrip("/"),
            "topic": self.topic,
            "partition": self.partition,
            "first": self.first,
            "next": self.next,
            "count": len(self.records),
            "records": [(first, len(body)) for first, body in self.records],
        }
        rest = b"".join(
            [
                orjson.dumps(contents, option=orjson.OPT_APPEND_NEWLINE),
                *(body for _, body in self.records),
            ]
        )
        head = {"version": VERSION, "sha256": hashlib.sha256(rest).hexdigest()}
        plain = orjson.dumps(head, option=orjson.OPT_APPEND_NEWLINE) + rest
        import pyarrow as pa  # noqa: PLC0415 - a supervisor of workers folds nothing

        compressed: bytes = pa.compress(plain, codec="zstd", asbytes=True)
        return compressed


def decode_checkpoint(body: bytes) -> Checkpoint:
    """Read a checkpoint back.

    Raises:
        ValueError: it is damaged, or of a version that this loader does not know.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415

        plain = pa.CompressedInputStream(pa.BufferReader(body), "zstd").read()
    except OSError as error:
        raise ValueError(f"it cannot be decompressed: {error}") from error
    head, _, rest = plain.partition(b"\n")
    version = _fields(head).get("version")
    if version != VERSION:
        raise ValueError(f"it has version {version}; this loader knows {VERSION}")
    if hashlib.sha256(rest).hexdigest() != _fields(head).get("sha256"):
        raise ValueError("its checksum does not hold")
    line, _, bodies = rest.partition(b"\n")
    fields = _fields(line)
    records = []
    start = 0
    try:
        for first, size in fields["records"]:
            records.append((first, bodies[start : start + size]))
            start += size
        if start != len(bodies) or not len(records) == fields["count"] > 0:
            raise ValueError("its contents are not what it lists")
        return Checkpoint(
            f"{fields['log']}/",
            fields["topic"],
            fields["partition"],
            fields["first"],
            fields["next"],
            tuple(records),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"it is no checkpoint: {error}") from error


def _fields(line: bytes) -> dict[str, Any]:
    fields = orjson.loads(line)
    if not isinstance(fields, dict):
        raise ValueError("it is no checkpoint")  # noqa: TRY004 - a fault of data, not of a type
    return fields


class Checkpoints:
    """The checkpoints of all chains under one root of a lake.

    Args:
        store: the lake's object store.
        root: ``layout.LOG`` or ``layout.REGISTRY``.
    """

    def __init__(self, store: ObjectStore, root: str) -> None:
        self._store = store
        self._root = root
        self._warned: set[str] = set()

    def newest(self, topic: str, partition: int) -> Span | None:
        """The one that reaches farthest; None where there is none. One list request."""
        return next(self._descending(topic, partition), None)

    def spans(self, topic: str, partition: int, *, since: int = 0) -> list[Span]:
        """Those that hold something of ``since`` and beyond, by where they begin, longest first.

        Writers that fold at different lengths may leave some that overlap.
        """
        found = []
        for span in self._descending(topic, partition):
            if span.next <= since:
                break
            found.append(span)
        return sorted(found, key=lambda span: (span.first, -span.next))

    def read(self, span: Span) -> Checkpoint | None:
        """A checkpoint's records; None, and a warning, where it is gone or damaged.

        Raises:
            NeedsOperator: it is whole, and covers something else than its key says.
        """
        try:
            checkpoint = decode_checkpoint(self._store.get(span.key))
            key = checkpoint.key
        except KeyError:
            self._ignored(span.key, "it was listed and is gone")
            return None
        except ValueError as error:
            self._ignored(span.key, str(error))
            return None
        if key != span.key:
            raise NeedsOperator(
                f"{self._store.url}/{span.key} is the checkpoint {key}.",
                hint="Nothing but the loader may write there. Delete the object: the records that "
                "it repeats stand in the log.",
            )
        return checkpoint

    def put(self, checkpoint: Checkpoint) -> bool:
        """Make a checkpoint exist; false where another writer's stands at its key already."""
        return self._store.put_if_absent(checkpoint.key, checkpoint.encode())

    def _descending(self, topic: str, partition: int) -> Iterator[Span]:
        for info in self._store.scan(layout.checkpoint_folder(self._root, topic, partition)):
            span = layout.checkpoint_span(info.key)
            if span is None:
                self._ignored(info.key, "its name is none of a checkpoint")
            else:
                yield Span(info.key, *span)

    def _ignored(self, key: str, why: str) -> None:
        """Warn once: a reader meets the same checkpoint again and again."""
        if key not in self._warned:
            self._warned.add(key)
            log.warning("checkpoint passed over", checkpoint=f"{self._store.url}/{key}", why=why)
