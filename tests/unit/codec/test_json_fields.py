"""The table in which compiled code looks up a key."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from loader.codec.compiled import compiled
from loader.codec.fields import CONTRACTS, Contract
from loader.codec.json_fields import MAP, TEXT, UNKNOWN, FieldTable, find
from loader.codec.primitives import PADDING


@compiled
def found(data: Any, fields: Any, words: Any, slots: Any, factor: Any) -> int:
    return find(data, 0, len(data) - PADDING, fields, words, slots, factor)


def look_up(table: FieldTable, name: str) -> int:
    data = np.frombuffer(name.encode() + bytes(PADDING), np.uint8)
    return found(data, table.fields, table.words, table.slots, table.factor)


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=lambda contract: contract.name)
def test_each_field_is_found_and_nothing_else(contract: Contract) -> None:
    table = FieldTable.of(contract)
    for number, name in enumerate(contract.known):
        assert look_up(table, name) == number
        for place in range(len(name)):
            assert look_up(table, name[:place] + "!" + name[place + 1 :]) == UNKNOWN
        assert look_up(table, name + "s") == look_up(table, name[:-1] + "\0") == UNKNOWN
    assert look_up(table, "") == UNKNOWN


@pytest.mark.parametrize("name", ["time", "platform", "landing_page", "session_properties"])
def test_a_key_with_the_hash_of_a_field_is_compared_with_its_name(name: str) -> None:
    table = FieldTable.of(CONTRACTS["events"])
    number = CONTRACTS["events"].known.index(name)
    table = replace(table, slots=np.full_like(table.slots, number))
    assert look_up(table, name) == number
    for place in range(len(name)):
        assert look_up(table, name[:place] + "!" + name[place + 1 :]) == UNKNOWN
    assert look_up(table, name + "s") == look_up(table, name[:-1]) == UNKNOWN


def test_a_long_name_is_compared_to_its_last_byte() -> None:
    names = ("a" * 30 + "b" * 10, "a" * 40)
    table = FieldTable.of(replace(CONTRACTS["events"], texts=names, required_texts=frozenset()))
    places = [look_up(table, name) for name in names]
    assert [table.fields[place, 0] for place in places] == [TEXT, TEXT]
    assert look_up(table, "a" * 16 + "c" + "a" * 23) == UNKNOWN
    assert table.fields[look_up(table, "properties"), 0] == MAP


def test_a_contract_has_a_bit_for_every_field() -> None:
    texts = tuple(f"t{number}" for number in range(64))
    with pytest.raises(ValueError, match="at most 63"):
        FieldTable.of(replace(CONTRACTS["events"], texts=texts, required_texts=frozenset()))


def test_names_that_no_factor_tells_apart_are_an_error() -> None:
    """Same length, same first and last eight bytes."""
    texts = ("a" * 20, "a" * 9 + "bb" + "a" * 9)
    with pytest.raises(ValueError, match="no table"):
        FieldTable.of(replace(CONTRACTS["events"], texts=texts, required_texts=frozenset()))
