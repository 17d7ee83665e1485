"""The lake's keys. Every path in the lake is made here, and topic names are checked on the way."""

from __future__ import annotations

import re
from typing import Final

#: Raised when the meaning of any file in the lake changes. See docs/formats.
FORMAT_VERSION: Final = 1

METADATA: Final = "lake.json"
RAW: Final = "raw/"
LOG: Final = "log/"
REGISTRY: Final = "registry/"
STATE: Final = "state/"
SYNC: Final = "sync/"
REDRIVE: Final = "redrive/"
CHECKPOINTS: Final = "checkpoints/"

#: What stands for the date or the bucket where a file holds several.
MIXED: Final = "mixed"

# Kafka's own rule for topic names; none of these characters means anything to S3 or to a path.
_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_OFFSET_DIGITS: Final = 20
_LAST_OFFSET: Final = 10**_OFFSET_DIGITS - 1
_CHECKPOINT = re.compile(r"([0-9]{20})-([0-9]{1,20})-([0-9]{1,20})\.jsonl\.zst")


def _topic(topic: str) -> str:
    if not _TOPIC.fullmatch(topic) or topic in {".", ".."}:
        raise ValueError(f"not a Kafka topic name: {topic!r}")
    return topic


def raw_file(
    topic: str, date: str, bucket: int | None, partition: int, first: int, next_: int, digest: str
) -> str:
    """A data file of one batch, one event date and one user bucket (None: several buckets)."""
    shown = MIXED if bucket is None else f"{bucket:02d}"
    name = f"{partition}-{first}-{next_}-{digest}.parquet"
    return f"{RAW}{_topic(topic)}/date={date}/bucket={shown}/{name}"


def log_topics() -> str:
    """The folder whose sub-folders are the topics that have a commit log."""
    return LOG


def log_partitions(topic: str) -> str:
    """The folder whose sub-folders are the partitions of a topic's commit log."""
    return f"{LOG}{_topic(topic)}/"


def log_chain(root: str, topic: str, partition: int) -> str:
    """The folder of one partition's chain of records, under ``log/`` or ``registry/``."""
    return f"{root}{_topic(topic)}/{partition}/"


def log_record(root: str, topic: str, partition: int, first: int) -> str:
    """The record that starts at offset ``first``. Zero-padded: a list gives the chain in order."""
    return f"{log_chain(root, topic, partition)}{first:0{_OFFSET_DIGITS}d}.json"


def record_offset(key: str) -> int:
    """The first offset that a record's key names."""
    return int(key.rsplit("/", 1)[1].removesuffix(".json"))


def checkpoint_folder(root: str, topic: str, partition: int) -> str:
    """The folder of the checkpoints of one chain under ``log/`` or ``registry/``."""
    return f"{CHECKPOINTS}{log_chain(root, topic, partition)}"


def checkpoint(root: str, topic: str, partition: int, first: int, next_: int) -> str:
    """The checkpoint of the records of ``[first, next)``.

    The name begins with what is left from ``next`` to the largest number of 20 digits: a list, which
    is ascending, begins with the newest checkpoint.
    """
    left = _LAST_OFFSET - next_
    folder = checkpoint_folder(root, topic, partition)
    return f"{folder}{left:0{_OFFSET_DIGITS}d}-{first}-{next_}.jsonl.zst"


def checkpoint_span(key: str) -> tuple[int, int] | None:
    """The offsets ``[first, next)`` that a checkpoint's key names; None if it is no such key."""
    named = _CHECKPOINT.fullmatch(key.rsplit("/", 1)[1])
    if named is None:
        return None
    left, first, next_ = (int(number) for number in named.groups())
    return (first, next_) if first < next_ and left == _LAST_OFFSET - next_ else None


def sync_folder(sync_id: str, table: str) -> str:
    """Where one sync puts a table's COPY files and manifest."""
    return f"{SYNC}{sync_id}/{table}/"


def state_folder(kind: str, version: str) -> str:
    """Where one version of a folded state (e.g. ``users``) stands."""
    return f"{STATE}{kind}/{version}/"


def redrive_marker(topic: str, partition: int, offset: int) -> str:
    """The marker that says: the refused message that stood there was sent again."""
    return f"{REDRIVE}{_topic(topic)}/{partition}/{offset:0{_OFFSET_DIGITS}d}.json"
