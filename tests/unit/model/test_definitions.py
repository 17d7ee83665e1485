"""Definitions: strict documents, hashes of meaning, and the fold of messages."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.errors import UsageError
from loader.model.definitions import (
    Definition,
    Filter,
    Op,
    decode_definition,
    fold_definitions,
    parse_definition,
    to_document,
)

FULL: dict[str, Any] = {
    "id": "checkout_cta",
    "name": "Click CTA - Checkout",
    "category": "Marketing",
    "source": "web",
    "event": "click",
    "where": {
        "target_text": "Sign up",
        "filters": [
            {"property": "path", "op": "equals", "value": "/pricing"},
            {"property": "properties.plan", "op": "equals", "value": ["pro", "team"]},
            {"property": "query", "op": "defined"},
        ],
    },
    "sync": {"enabled": False, "since": date(2026, 1, 31)},
    "archived": True,
}


def changed(path: str, value: object) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(FULL, default=str))
    place = document
    *steps, last = path.split(".")
    for step in steps:
        place = place[step]
    place[last] = value
    return document


def test_a_full_document() -> None:
    what = parse_definition(FULL, "d.yaml")
    assert what.table_name == "marketing_click_cta_checkout"
    assert what.filters[1] == Filter("properties.plan", Op.EQUALS, ("pro", "team"))
    assert (what.enabled, what.since, what.archived) == (False, date(2026, 1, 31), True)
    assert parse_definition(json.loads(json.dumps(to_document(what))), "again") == what


def test_a_short_document_is_synced_for_all_time() -> None:
    what = parse_definition({"id": "a", "name": "A", "source": "web", "event": "click"}, "d.yaml")
    assert (what.enabled, what.since, what.archived, what.filters) == (True, None, False, ())
    assert what.table_name == "a"


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("sorce", "web", r"sorce: unknown key. The nearest right one is source"),
        ("where.target_txt", "x", "where.target_txt: unknown key. .*where.target_text"),
        ("sync.sinc", "x", "sync.sinc: unknown key. .*sync.since"),
        ("id", "Checkout", "id: an id is"),
        ("id", None, "id: missing"),
        ("name", "---", "name: no letter or digit"),
        ("name", 5, "name: a text"),
        ("category", [], "category: a text"),
        ("category", "", "category: a text, not empty"),
        ("source", "ios", "source: one of web, mobile, custom; not 'ios'"),
        ("source", "combo", "combo events .* not supported"),
        ("any_of", ["a"], "combo events .* not supported"),
        ("kind", "property", "defined properties .* not supported"),
        ("where.selector", "a.b", "CSS selectors .* not supported"),
        ("event", "", "event: a text, not empty"),
        ("where", [], "where: a mapping"),
        ("where.filters", {}, "where.filters: a list"),
        ("where.filters", ["x"], r"where.filters\[0\]: a filter is"),
        ("where.filters", [{"property": "paht", "op": "defined"}], "did you mean path"),
        ("where.filters", [{"property": "properties.", "op": "defined"}], "no property"),
        ("where.filters", [{"property": "path", "op": "is"}], "op: one of equals"),
        ("where.filters", [{"property": "path", "op": "defined", "value": 1}], "takes no value"),
        ("where.filters", [{"property": "path", "op": "equals"}], "value: a text"),
        ("where.filters", [{"property": "path", "op": "equals", "value": []}], "empty list"),
        ("where.filters", [{"property": "path", "op": "less", "value": "x"}], "compares numbers"),
        ("where.filters", [{"property": "path", "op": "before", "value": "x"}], "a date or a time"),
        ("where.filters", [{"property": "path", "op": "contains", "value": ""}], "the empty one"),
        (
            "where.filters",
            [{"property": "time", "op": "equals", "value": "x"}],
            "time takes before",
        ),
        ("where.filters", [{"property": "path", "op": "equals", "value": 1 << 64}], "63 bits"),
        ("where.filters", [{"property": "path", "op": "equals", "value": float("nan")}], "finite"),
        ("sync.since", "2026-02-30", "sync.since: all_time, or a date"),
        ("sync.enabled", "yes", "sync.enabled: true or false"),
        ("archived", 1, "archived: true or false"),
        ("event", "\ud800", "event: not valid Unicode"),
    ],
)
def test_a_fault_names_the_place_the_key_and_the_way_out(
    path: str, value: object, named: str
) -> None:
    document = changed(path, value)
    with pytest.raises(UsageError, match=named) as caught:
        parse_definition(document, "d.yaml")
    assert str(caught.value).startswith("d.yaml")
    if path != "id":
        assert "checkout_cta" in str(caught.value)


@pytest.mark.parametrize("name", ["Users", "all events", "sync-info", "Page Views"])
def test_the_loaders_own_tables_cannot_be_taken(name: str) -> None:
    document = {"id": "a", "name": name, "source": "web", "event": "click"}
    if name == "Page Views":
        assert parse_definition(document, "d.yaml").table_name == "page_views"
        return
    with pytest.raises(UsageError, match="the loader's own"):
        parse_definition(document, "d.yaml")


@pytest.mark.parametrize(
    ("path", "value"),
    [("name", "B"), ("category", None), ("sync.enabled", True), ("archived", False)],
)
def test_what_decides_no_row_is_not_meaning(path: str, value: object) -> None:
    one, other = parse_definition(FULL, "d"), parse_definition(changed(path, value), "d")
    assert one != other
    assert one.meaning_hash == other.meaning_hash


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("source", "mobile"),
        ("event", "submit"),
        ("where.target_text", "sign up"),
        ("where.filters", FULL["where"]["filters"][:2]),
        ("where.filters", [*FULL["where"]["filters"], {"property": "ip", "op": "defined"}]),
        ("sync.since", "all_time"),
    ],
)
def test_what_decides_rows_is_meaning(path: str, value: object) -> None:
    assert (
        parse_definition(FULL, "d").meaning_hash
        != parse_definition(changed(path, value), "d").meaning_hash
    )


def test_the_order_of_filters_and_values_is_not_meaning() -> None:
    filters = json.loads(json.dumps(FULL["where"]["filters"]))[::-1]
    filters[1]["value"] = ["team", "pro", "team"]
    other = parse_definition(changed("where.filters", filters), "d")
    assert other.meaning_hash == parse_definition(FULL, "d").meaning_hash


def test_a_number_is_not_its_text() -> None:
    hashes = {
        parse_definition(
            changed("where.filters", [{"property": "path", "op": "equals", "value": value}]), "d"
        ).meaning_hash
        for value in (5, 5.0, "5")
    }
    assert len(hashes) == 2


def message(id_: str, name: str) -> tuple[bytes, bytes]:
    document = {"id": id_, "name": name, "source": "web", "event": "click"}
    return id_.encode(), json.dumps(document).encode()


def tables(*messages: tuple[bytes, bytes | None]) -> dict[str, str]:
    return {id_: d.table_name for id_, d in fold_definitions(messages).items()}


def test_the_last_message_wins_and_null_removes() -> None:
    assert tables(message("b", "B"), message("a", "A"), message("b", "C"), (b"a", None)) == {
        "b": "c"
    }
    assert tables((b"a", None), message("a", "A")) == {"a": "a"}


def test_one_table_name_for_two_goes_to_the_smaller_id() -> None:
    found = tables(message("z", "Same"), message("a", "same"))
    assert found["a"] == "same"
    assert found["z"].startswith("same_")
    assert tables(message("z", "Same")) == {"z": "same"}
    taken = found["z"].replace("_", " ")
    assert (
        len(set(tables(message("z", "Same"), message("a", "same"), message("b", taken)).values()))
        == 3
    )


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from(["X", "x!", "Y", "users x"])),
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
def test_table_names_are_unique_and_independent_of_the_order_of_keys(
    pairs: list[tuple[str, str]], chance: Any
) -> None:
    last = [message(id_, name) for id_, name in dict(pairs).items()]
    found = fold_definitions(last)
    chance.shuffle(last)
    assert fold_definitions(last) == found
    assert list(found) == sorted(found)
    assert len({d.table_name for d in found.values()}) == len(found)


def test_a_long_name_keeps_its_suffix() -> None:
    found = tables(message("a", "x" * 200), message("b", "x" * 200))
    assert len(set(found.values())) == 2
    assert all(len(name) <= 127 for name in found.values())


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        (b"a", b"{", "not JSON"),
        (b"a", b"\xff", "not JSON"),
        (b"a", b"[]", "a definition is a mapping"),
        (b"b", message("a", "A")[1], "another key"),
        (None, message("a", "A")[1], "another key"),
    ],
)
def test_a_message_that_is_no_definition(key: bytes | None, value: bytes, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        decode_definition(key, value)


def test_definitions_are_values() -> None:
    what = parse_definition(FULL, "d")
    assert isinstance(what, Definition)
    assert hash(what) == hash(parse_definition(FULL, "elsewhere"))
