"""What one record must say to be believed: counts that add up, files that can be its own. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from loader.lake import layout
from loader.lake.commit_log import CommitRecord
from loader.lake.registry import RegistryRecord


def check_commit_record(record: CommitRecord) -> Iterator[str]:
    """What does not hold in a commit record, a sentence each (docs/formats/commit-log.md)."""
    if record.written + record.dead_lettered != record.read:
        yield (
            f"{record.written} rows and {record.dead_lettered} dead letters are not the "
            f"{record.read} messages read."
        )
    if record.read > record.next - record.first:
        yield (
            f"{record.read} messages were read from {record.next - record.first} offsets "
            f"[{record.first}, {record.next})."
        )
    rows = sum(file.rows for file in record.files)
    if rows != record.written:
        yield f"Its files hold {rows} rows, it says {record.written}."
    reasons = sum(record.dead_letter_reasons.values())
    if reasons != record.dead_lettered:
        yield f"Its reasons count {reasons} dead letters, it says {record.dead_lettered}."
    for file in record.files:
        if not file.key.startswith(f"{layout.RAW}{record.topic}/"):
            yield f"Its file {file.key} is none of this topic."
        if file.rows < 1 or file.bytes < 1 or file.min_time > file.max_time:
            yield f"Its file {file.key} cannot be: {file.rows} rows in {file.bytes} bytes."


def check_registry_record(record: RegistryRecord) -> Iterator[str]:
    """What does not hold in a registry record (docs/formats/registry-log.md)."""
    offsets = [message.offset for message in record.messages]
    if any(after <= before for before, after in itertools.pairwise(offsets)):
        yield "Its messages are not in the order of their offsets."
    outside = [offset for offset in offsets if not record.first <= offset < record.next]
    if outside:
        yield f"Offset {outside[0]} is not in [{record.first}, {record.next})."
