"""The count: what was produced against what the lake, the dead letters and Kafka hold, by offset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from soak.lake import InLake
from soak.ledger import Ints, Ledger, Place

_EXAMPLES = 5


@dataclass(slots=True)
class Count:
    """What does not add up. All numbers but the first five must be 0.

    Attributes:
        produced: messages that stand in Kafka for good.
        rows: of them in the lake's files.
        dead_lettered: of them in the dead letters.
        aborted: messages of aborted transactions that stand in Kafka besides.
        letters_repeated: letters beyond the first of a message; a crash may repeat them.
        lost: offsets that are neither a row nor a letter.
        twice: rows beyond the first of their offset.
        strangers: rows that must not be there: aborted, refused or never produced.
        wrong_ids: rows whose event id is another message's.
        letters_lost: refused messages without a letter; they count as lost, too.
        letters_of_good: letters of messages that must be rows.
        unread: offsets behind the end of the chain, up to the last message.
        miscounted: partitions whose records count other messages than stand there.
        reports: what the broker told the producer and does not hold.
        faults: chains that are broken, files that hold another partition's rows.
        examples: the first places of each kind.
    """

    produced: int = 0
    rows: int = 0
    dead_lettered: int = 0
    aborted: int = 0
    letters_repeated: int = 0
    lost: int = 0
    twice: int = 0
    strangers: int = 0
    wrong_ids: int = 0
    letters_lost: int = 0
    letters_of_good: int = 0
    unread: int = 0
    miscounted: int = 0
    reports: int = 0
    faults: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything adds up."""
        wrong = (
            *(self.lost, self.twice, self.strangers, self.wrong_ids, self.letters_lost),
            *(self.letters_of_good, self.unread, self.miscounted, self.reports),
        )
        return not any(wrong) and not self.faults and self.produced > 0

    def note(self, what: str, place: Place, offsets: Ints) -> int:
        """Remember the first ones; returns how many there are."""
        if len(offsets):
            shown = ", ".join(map(str, offsets[:_EXAMPLES].tolist()))
            self.examples.append(f"{place[0]}[{place[1]}]: {len(offsets)} {what}: {shown}")
        return len(offsets)


def compare(
    ledger: Ledger,
    kafka: Mapping[Place, tuple[Ints, Ints]],
    lake: Mapping[Place, InLake],
    letters: Mapping[Place, Ints],
) -> Count:
    """Compare them.

    Args:
        ledger: what the producer was told.
        kafka: offset and number of every committed message.
        lake: rows by the commit log.
        letters: offsets that the dead letters speak of.
    """
    count = Count()
    for place, (offsets, numbers) in kafka.items():
        _compare_reports(count, ledger, place, offsets, numbers)
        _compare_rows(count, ledger, place, (offsets, numbers), lake.get(place, InLake()))
        _compare_letters(count, place, offsets[~ledger.good[numbers]], offsets, letters.get(place))
    count.aborted = sum(map(len, ledger.aborted.values()))
    # A message that was sent and stands nowhere, or stands twice: the producer's own exactly-once.
    every = np.concatenate([numbers for _, numbers in kafka.values()])
    count.reports += len(every) - len(np.unique(every)) + len(ledger.ids) - len(np.unique(every))
    return count


def _compare_reports(
    count: Count, ledger: Ledger, place: Place, offsets: Ints, numbers: Ints
) -> None:
    told_numbers, told_offsets = ledger.committed.get(place, (offsets[:0], offsets[:0]))
    known = told_offsets >= 0
    told_numbers, told_offsets = told_numbers[known], told_offsets[known]
    at = np.searchsorted(offsets, told_offsets)
    inside = at < len(offsets)
    held = np.zeros(len(told_offsets), bool)
    held[inside] = (offsets[at[inside]] == told_offsets[inside]) & (
        numbers[at[inside]] == told_numbers[inside]
    )
    count.reports += count.note("reported and not in Kafka", place, told_offsets[~held])
    aborted = ledger.aborted.get(place, offsets[:0])
    seen = np.intersect1d(aborted, offsets)
    count.reports += count.note("aborted and readable", place, seen)


def _compare_rows(
    count: Count, ledger: Ledger, place: Place, kafka: tuple[Ints, Ints], lake: InLake
) -> None:
    offsets, numbers = kafka
    good = ledger.good[numbers]
    expected, ids = offsets[good], ledger.ids[numbers[good]]
    found, first, copies = np.unique(lake.offsets, return_index=True, return_counts=True)
    count.produced += len(offsets)
    count.rows += len(lake.offsets)
    count.lost += count.note("lost", place, np.setdiff1d(expected, found))
    count.note("twice", place, found[copies > 1])
    count.twice += int((copies - 1).sum())
    count.strangers += count.note("strangers", place, np.setdiff1d(found, expected))
    both, of_expected, of_found = np.intersect1d(expected, found, return_indices=True)
    wrong = ids[of_expected] != lake.ids[first[of_found]]
    count.wrong_ids += count.note("with another event's id", place, both[wrong])
    count.unread += count.note("behind the chain's end", place, offsets[offsets >= lake.next])
    if lake.read != len(offsets) or lake.dead_lettered != int((~good).sum()):
        count.miscounted += 1
        count.examples.append(
            f"{place[0]}[{place[1]}]: the records say {lake.read} read and {lake.dead_lettered} "
            f"dead-lettered; {len(offsets)} stand there, {int((~good).sum())} to be refused"
        )
    count.faults += lake.faults


def _compare_letters(
    count: Count, place: Place, bad: Ints, offsets: Ints, letters: Ints | None
) -> None:
    told = offsets[:0] if letters is None else letters
    distinct = np.unique(told)
    missing = count.note("refused without a letter", place, np.setdiff1d(bad, distinct))
    count.letters_lost += missing
    count.lost += missing
    count.dead_lettered += len(np.intersect1d(bad, distinct))
    count.letters_repeated += len(told) - len(distinct)
    count.letters_of_good += count.note("letters of good ones", place, np.setdiff1d(distinct, bad))


def document(count: Count) -> dict[str, Any]:
    """As JSON."""
    return {name: getattr(count, name) for name in Count.__slots__}
