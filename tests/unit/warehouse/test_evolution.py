from __future__ import annotations

from loader.model.tables import PAGEVIEWS, Column, custom
from loader.warehouse.evolution import MAX_COLUMNS, NO_ROOM, fit

STANDING = {column.name: column for column in PAGEVIEWS.columns}
ROOM = MAX_COLUMNS - len(PAGEVIEWS.columns)


def test_everything_fits_that_there_is_room_for() -> None:
    used = {f"p{n}": 1 for n in range(ROOM)}
    for standing in ({}, STANDING):
        assert fit(standing, PAGEVIEWS, used).left_out == ()


def test_the_least_used_is_left_out_and_of_equals_the_last_by_name() -> None:
    used = {f"p{n:04}": 2 for n in range(ROOM)} | {"rare": 1, "common": 9}
    found = fit({}, PAGEVIEWS, used)
    assert found.left_out == ((f"p{ROOM - 1:04}", NO_ROOM), ("rare", NO_ROOM))
    assert len(found.keep) == ROOM
    assert "common" in found.keep


def test_a_column_that_stands_keeps_its_place_however_little_it_is_used() -> None:
    standing = STANDING | {f"p{n}": custom(f"p{n}") for n in range(ROOM)}
    found = fit(standing, PAGEVIEWS, {"p0": 1, "new": 100})
    assert (found.keep, found.left_out) == (("p0",), (("new", NO_ROOM),))


def test_a_column_of_another_type_is_not_written_to() -> None:
    standing = STANDING | {"score": Column("score", "INTEGER")}
    found = fit(standing, PAGEVIEWS, {"score": 5, "plan": 1})
    assert found.keep == ("plan",)
    assert found.left_out == (("score", "the table's column is INTEGER, not VARCHAR"),)
