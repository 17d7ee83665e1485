"""What a check of the lake found: each finding names its object and says what to do."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Final

#: Findings that are kept in full; beyond, they are counted.
MAX_LISTED: Final = 1000

RESTORE: Final = "Restore the object from the bucket's versions or backups."


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not hold.

    Attributes:
        kind: a word: ``broken_chain``, ``bad_record``, ``wrong_count``, ``missing_file``,
            ``wrong_size``, ``altered_file``, ``wrong_content``, ``named_twice``, ``unknown_object``,
            ``bad_checkpoint``.
        topic: the topic.
        partition: the partition; None where it cannot be told.
        key: the object's key in the lake.
        what: what does not hold, one sentence.
        hint: what to do.
    """

    kind: str
    topic: str
    partition: int | None
    key: str
    what: str
    hint: str = RESTORE

    def document(self) -> dict[str, Any]:
        """As JSON shows it."""
        return asdict(self)


@dataclass(slots=True)
class Findings:
    """Findings in the order they were made; bounded, while all are counted."""

    listed: list[Finding] = field(default_factory=list)
    total: int = 0
    places: Counter[tuple[str, int | None]] = field(default_factory=Counter)

    def add(self, finding: Finding) -> None:
        """Take one."""
        self.total += 1
        self.places[finding.topic, finding.partition] += 1
        if len(self.listed) < MAX_LISTED:
            self.listed.append(finding)
