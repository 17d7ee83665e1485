from __future__ import annotations

import json
import random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.compactor.properties import Naming, columns_of, entries_of, pivot
from loader.compactor.text import fit
from loader.model.events import PROPERTIES
from loader.model.tables import PAGEVIEWS
from tests.support import traffic
from tests.support.truth import custom, leaves

BUILT_IN = frozenset(PAGEVIEWS.column_names)


def column(rows: list[dict[str, Any] | None]) -> pa.ChunkedArray:
    values = [
        None
        if row is None
        else [(k, None if v is None else json.dumps(v, ensure_ascii=False)) for k, v in row.items()]
        for row in rows
    ]
    return pa.chunked_array([pa.array(values, PROPERTIES)])


def pivoted(*levels: list[dict[str, Any] | None]) -> list[dict[str, str]]:
    """The custom columns of each row, without nulls."""
    naming = Naming(BUILT_IN)
    entries = [list(entries_of(column(level))) for level in levels]
    names = columns_of(entries, naming)
    arrays = pivot(entries, naming, names, len(levels[0]))
    table = (
        pa.table(arrays, names=list(names)) if names else pa.table({"": [None] * len(levels[0])})
    )
    return [{k: v for k, v in row.items() if v is not None} for row in table.to_pylist()]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("pro", "pro"),
        ("", ""),
        ('say "hi" \\ é \U0001f600', 'say "hi" \\ é \U0001f600'),
        (5, "5"),
        (1.5, "1.5"),
        (True, "true"),
        ([1, "two", {"a": None}], '[1, "two", {"a": null}]'),
    ],
)
def test_values_as_text(value: Any, text: str) -> None:
    assert pivoted([{"plan": value}]) == [{"plan": text}]


def test_nulls_and_empty_things_are_no_values() -> None:
    assert pivoted([{"a": None, "b": {}, "c": {"d": None}}, None, {}]) == [{}, {}, {}]


def test_objects_become_a_column_a_leaf() -> None:
    value = {"a": {"b": 1, "c": {"d": "x"}}, "e": [1, {"f": 2}]}
    assert pivoted([{"prefs": value}, {"prefs": "none"}]) == [
        {"prefs_a_b": "1", "prefs_a_c_d": "x", "prefs_e": '[1,{"f":2}]'},
        {"prefs": "none"},
    ]


def test_names_that_are_taken() -> None:
    assert pivoted([{"user_id": 1, "path": "/", "oid": 2, "_sm_au_": 3}]) == [
        {"_user_id": "1", "_path": "/", "_oid": "2", "sm_au_": "3"}
    ]


def test_of_one_column_the_first_name_with_a_value_wins_and_the_event_before_the_session() -> None:
    assert pivoted([{"plan": "b", "Plan": "a"}, {"plan": "b", "Plan": None}, {"PLAN": "c"}]) == [
        {"plan": "a"},
        {"plan": "b"},
        {"plan": "c"},
    ]
    own: list[dict[str, Any] | None] = [{"plan": "event"}, {}]
    assert pivoted(own, [{"Plan": "session"}, {"Plan": "session"}]) == [
        {"plan": "event"},
        {"plan": "session"},
    ]


def test_slices_and_chunks() -> None:
    whole = column([{"a": n} for n in range(6)]).chunk(0)
    chunks = pa.chunked_array([whole.slice(1, 2), whole.slice(4, 1)])
    naming = Naming(BUILT_IN)
    (array,) = pivot([list(entries_of(chunks))], naming, ["a"], 3)
    assert array.to_pylist() == ["1", "2", "4"]


def test_deep_objects_do_not_break_it() -> None:
    deep: Any = "x"
    for _ in range(300):
        deep = {"k": deep}
    (row,) = pivoted([{"a": deep}])
    assert list(row.values()) == ["x"]
    text = '{"k":' * 100_000 + "1" + "}" * 100_000
    naming = Naming(BUILT_IN)
    entries = [list(entries_of(pa.chunked_array([pa.array([[("a", text)]], PROPERTIES)])))]
    (array,) = pivot(entries, naming, columns_of(entries, naming), 1)
    assert array.to_pylist() == [text]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1 << 30))
def test_equal_to_the_plain_reading(seed: int) -> None:
    rng = random.Random(seed)
    own = [traffic.properties(rng) for _ in range(12)]
    session = [traffic.properties(rng) for _ in range(12)]
    expected = [
        custom(PAGEVIEWS, [(n, p, v) for n, level in enumerate(pair) for p, v in leaves(level)])
        for pair in zip(own, session, strict=True)
    ]
    got = [
        {k: v.encode()[:1024].decode(errors="ignore") for k, v in row.items()}
        for row in pivoted(own, session)
    ]
    assert got == expected


def test_texts_are_cut_at_a_character() -> None:
    values = pa.array(["é" * 10, "abc", None, "abcé", "a\0b"])
    fitted, changed = fit(values, 4)
    assert fitted.to_pylist() == ["éé", "abc", None, "abc", "ab"]
    assert changed == 3
    same, changed = fit(pa.array(["é", None]), 2)
    assert (same.to_pylist(), changed) == (["é", None], 0)


def test_no_values_at_all() -> None:
    assert fit(pa.nulls(3, pa.string()), 4)[0].to_pylist() == [None, None, None]
    assert fit(pa.array([], pa.string()), 4)[1] == 0
