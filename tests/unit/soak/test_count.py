"""The count finds every kind of harm, and none in a lake that is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from soak.count import Count, compare
from soak.lake import InLake
from soak.ledger import Ledger, Place, Writing

PLACE: Place = ("t", 0)
IDS = [1000, 1001, 0, 1003, 1004]
#: Offset 2 is an aborted message, 5 and 7 are control records; number 2 must be refused.
OFFSETS = [0, 1, 3, 4, 6]


@dataclass
class World:
    """A run that went well; a test breaks one thing."""

    offsets: list[int] = field(default_factory=lambda: [0, 1, 4, 6])
    ids: list[int] = field(default_factory=lambda: [1000, 1001, 1003, 1004])
    letters: list[int] = field(default_factory=lambda: [3])
    kafka_offsets: list[int] = field(default_factory=lambda: list(OFFSETS))
    kafka_numbers: list[int] = field(default_factory=lambda: [0, 1, 2, 3, 4])
    next: int = 8
    read: int = 5
    dead_lettered: int = 1
    aborted: int = 2

    def count(self, folder: Path) -> Count:
        writing = Writing()
        for number, (offset, event_id) in enumerate(zip(OFFSETS, IDS, strict=True)):
            writing.ids.append(event_id)
            writing.good.append(number != 2)
            writing.commit(PLACE, number, offset if number != 4 else -1)
        writing.abort(PLACE, self.aborted)
        writing.save(folder / "ledger.npz")
        lake = InLake(
            offsets=np.array(self.offsets, np.int64),
            ids=np.array(self.ids, np.int64),
            next=self.next,
            dead_lettered=self.dead_lettered,
            read=self.read,
        )
        return compare(
            Ledger.load(folder / "ledger.npz"),
            {PLACE: (np.array(self.kafka_offsets), np.array(self.kafka_numbers))},
            {PLACE: lake},
            {PLACE: np.array(self.letters, np.int64)},
        )


def test_a_right_lake(tmp_path: Path) -> None:
    count = World().count(tmp_path)
    assert count.ok, count
    assert (count.produced, count.rows, count.dead_lettered, count.aborted) == (5, 4, 1, 1)


def test_a_letter_may_stand_twice(tmp_path: Path) -> None:
    world = World()
    world.letters += [3, 3]
    count = world.count(tmp_path)
    assert count.ok
    assert count.letters_repeated == 2


def lost(world: World) -> None:
    del world.offsets[1], world.ids[1]


def twice(world: World) -> None:
    world.offsets += [4]
    world.ids += [1003]


def aborted_in_the_lake(world: World) -> None:
    world.offsets += [2]
    world.ids += [1003]


def refused_in_the_lake(world: World) -> None:
    world.offsets += [3]
    world.ids += [0]


def wrong_id(world: World) -> None:
    world.ids[2] = 1004


def letter_lost(world: World) -> None:
    world.letters = []


def letter_of_a_good_one(world: World) -> None:
    world.letters += [4]


def chain_too_short(world: World) -> None:
    world.next = 6


def records_count_too_much(world: World) -> None:
    world.read += 1


def broker_lost_one(world: World) -> None:
    del world.kafka_offsets[3], world.kafka_numbers[3]


def sent_twice(world: World) -> None:
    world.kafka_numbers[4] = 3


def aborted_can_be_read(world: World) -> None:
    world.aborted = 4


@pytest.mark.parametrize(
    ("harm", "shown"),
    [
        (lost, {"lost"}),
        (twice, {"twice"}),
        (aborted_in_the_lake, {"strangers"}),
        (refused_in_the_lake, {"strangers"}),
        (wrong_id, {"wrong_ids"}),
        (letter_lost, {"lost", "letters_lost"}),
        (letter_of_a_good_one, {"letters_of_good"}),
        (chain_too_short, {"unread"}),
        (records_count_too_much, {"miscounted"}),
        (broker_lost_one, {"reports", "strangers", "miscounted"}),
        (sent_twice, {"reports", "wrong_ids"}),
        (aborted_can_be_read, {"reports"}),
    ],
)
def test_every_harm_shows(harm: Callable[[World], None], shown: set[str], tmp_path: Path) -> None:
    world = World()
    harm(world)
    count = world.count(tmp_path)
    assert not count.ok
    harms = ("lost", "twice", "strangers", "wrong_ids", "letters_lost", "letters_of_good")
    names = (*harms, "unread", "miscounted", "reports")
    assert {name for name in names if getattr(count, name)} == shown


def test_nothing_produced_is_not_right(tmp_path: Path) -> None:
    assert not Count().ok
