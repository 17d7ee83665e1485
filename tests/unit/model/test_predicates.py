"""The vectorised filter: each operator by example, and equal to the per-row reference for anything."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.model.definitions import Definition, Op, Source, parse_definition, to_document
from loader.model.events import EVENT_COLUMNS
from loader.model.predicates import (
    columns_of,
    matches,
    matches_row,
    property_column,
    property_of_row,
)


def event(**fields: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(EVENT_COLUMNS.names)
    row |= {"event_id": 1, "user_id": 2, "session_id": 3, "time": datetime(2026, 5, 1)}  # noqa: DTZ001
    row |= {"type": "click", "library": "web"}
    return row | fields


def batch(*rows: dict[str, Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(rows), schema=EVENT_COLUMNS)


def definition(*filters: dict[str, Any], **fields: Any) -> Definition:
    document = {"id": "d", "name": "D", "source": "web", "event": "click"} | fields
    if filters:
        document["where"] = {"filters": list(filters)}
    return parse_definition(document, "test")


def taken(what: Definition, *rows: dict[str, Any]) -> list[bool]:
    found: list[bool] = matches(what, batch(*rows)).to_pylist()
    assert found == [matches_row(what, row) for row in batch(*rows).to_pylist()]
    return found


@pytest.mark.parametrize(
    ("source", "event_name", "rows", "expected"),
    [
        (
            "web",
            "click",
            [{}, {"type": "pageview"}, {"library": "ios"}, {"library": None}],
            [True, False, False, False],
        ),
        (
            "mobile",
            "touch",
            [{"type": "touch", "library": lib} for lib in ("ios", "iOS", "android", "web", None)],
            [True, True, True, False, False],
        ),
        (
            "custom",
            "Order Paid",
            [
                {"type": "custom", "name": "Order Paid", "library": None},
                {"type": "custom", "name": "order paid"},
                {"type": "custom", "name": None},
                {"type": "click", "name": "Order Paid"},
            ],
            [True, False, False, False],
        ),
    ],
)
def test_a_source_decides_which_events_count(
    source: str, event_name: str, rows: list[dict[str, Any]], expected: list[bool]
) -> None:
    what = definition(source=source, event=event_name)
    assert taken(what, *(event(**row) for row in rows)) == expected


def test_since_begins_at_midnight_utc() -> None:
    what = definition(sync={"enabled": True, "since": "2026-05-01"})
    before = datetime(2026, 4, 30, 23, 59, 59, 999_999)  # noqa: DTZ001
    assert taken(what, event(), event(time=before)) == [True, False]


PLANS = [
    '"pro"',
    '"Pro"',
    '""',
    "null",
    None,
    "5",
    "5.0",
    '"5"',
    "true",
    '{"a": 1}',
    '"caf\\u00e9"',
]


@pytest.mark.parametrize(
    ("op", "value", "expected"),
    [
        ("equals", "pro", ['"pro"']),
        ("equals", ["pro", "Pro"], ['"pro"', '"Pro"']),
        ("equals", 5, ["5", "5.0", '"5"']),
        ("equals", "5", ["5", '"5"']),
        ("equals", True, ["true"]),
        ("equals", "café", ['"caf\\u00e9"']),
        ("equals", '{"a": 1}', ['{"a": 1}']),
        ("not_equals", ["pro", 5], ['"Pro"', '""', "null", None, "true", '{"a": 1}', PLANS[-1]]),
        ("contains", "ro", ['"pro"', '"Pro"']),
        ("not_contains", "ro", [p for p in PLANS if p not in {'"pro"', '"Pro"'}]),
        ("less", 5.5, ["5", "5.0", '"5"']),
        ("greater", "5", []),
        ("greater", 4, ["5", "5.0", '"5"']),
        ("defined", None, [p for p in PLANS if p not in {"null", None}]),
        ("not_defined", None, ["null", None]),
        ("matches", "?ro", ['"pro"', '"Pro"']),
        ("matches", "*f?", ['"caf\\u00e9"']),
        ("matches", "*", [p for p in PLANS if p not in {"null", None}]),
    ],
)
def test_an_operator_on_a_custom_property(op: str, value: object, expected: list[Any]) -> None:
    condition = {"property": "properties.plan", "op": op}
    if value is not None:
        condition["value"] = value  # type: ignore[assignment]
    rows = [event(properties=[("other", '"pro"'), ("plan", plan)]) for plan in PLANS]
    found = taken(definition(condition), *rows)
    assert [plan for plan, yes in zip(PLANS, found, strict=True) if yes] == expected


def test_before_and_after_are_strict_and_read_only_times() -> None:
    times = [
        "2026-05-01",
        "2026-05-01T00:00:01Z",
        "2026-05-01T00:00:00+00:01",
        "2026-02-30",
        "soon",
    ]
    rows = [event(title=text) for text in times]
    after = definition({"property": "title", "op": "after", "value": "2026-05-01"})
    before = definition({"property": "title", "op": "before", "value": date(2026, 5, 1)})
    assert taken(after, *rows) == [False, True, False, False, False]
    assert taken(before, *rows) == [False, False, True, False, False]
    assert taken(
        definition({"property": "time", "op": "after", "value": "2026-04-30"}), event()
    ) == [True]


def test_all_conditions_must_hold_and_target_text_is_exact() -> None:
    what = parse_definition(
        {
            "id": "d",
            "name": "D",
            "source": "web",
            "event": "click",
            "where": {
                "target_text": "Sign up",
                "filters": [{"property": "path", "op": "equals", "value": "/a"}],
            },
        },
        "test",
    )
    rows = [
        event(target_text="Sign up", path="/a"),
        event(target_text="Sign up", path="/b"),
        event(target_text="sign up", path="/a"),
        event(path="/a"),
    ]
    assert taken(what, *rows) == [True, False, False, False]
    assert columns_of(what) == {"type", "library", "target_text", "path"}


def test_no_rows_and_dictionary_columns_are_fine() -> None:
    what = definition({"property": "properties.plan", "op": "equals", "value": "pro"})
    assert matches(what, batch()).to_pylist() == []
    rows = batch(event(properties=[("plan", '"pro"')]))
    place = rows.schema.get_field_index("library")
    coded = rows.set_column(place, "library", rows.column("library").dictionary_encode())
    assert matches(what, coded).to_pylist() == [True]


def test_a_lone_surrogate_is_replaced() -> None:
    rows = batch(
        event(properties=[("p", '"a\\ud800b"')]), event(properties=[("p", '"\\ud83d\\ude00"')])
    )
    assert property_column(rows, "properties.p").to_pylist() == ["a?b", "\N{GRINNING FACE}"]
    assert property_of_row(rows.to_pylist()[0], "properties.p") == "a?b"


AWKWARD = [
    *["", "a", "A", "*", "a*b", ".", "\\", '"', "%", "_"],
    *["5", "5.0", "-0", "1e3", "1e999", "05", " 5", "5\n", "\u0665", "9007199254740993", "true"],
    *["2026-05-01", "2026-05-01T10:00:00.5+02:00", "0000-01-01", "2026-02-29", "2024-02-29"],
    *["2026-05-01 10:00Z", "2026-05-01\n", "2026-05-01T24:00", "2026-05-01T10:00-0530"],
    *["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59"],
]
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6), st.sampled_from(AWKWARD)
)
JSON = st.one_of(
    st.none(),
    TEXTS.map(json.dumps),
    TEXTS.map(lambda text: orjson.dumps(text).decode()),
    st.sampled_from(
        ["null", "true", "5", "5.0", "-1e3", "[1, 2]", '"\\ud800"', "9007199254740993"]
    ),
)
EVENTS = st.builds(
    event,
    type=st.sampled_from(["click", "custom", "pageview"]),
    library=st.sampled_from(["web", "ios", None]),
    name=st.sampled_from(["click", None]),
    time=st.datetimes(),
    path=st.none() | TEXTS,
    target_text=st.none() | TEXTS,
    properties=st.none()
    | st.dictionaries(st.sampled_from(["a", "b"]), JSON).map(lambda d: list(d.items())),
)


@st.composite
def filters(draw: st.DrawFn) -> dict[str, Any]:
    prop = draw(
        st.sampled_from(["path", "user_id", "time", "properties.a", "session_properties.a"])
    )
    times_only = ["before", "after", "defined", "not_defined"]
    op = draw(st.sampled_from(times_only if prop == "time" else [o.value for o in Op]))
    if op in {"defined", "not_defined"}:
        return {"property": prop, "op": op}
    value: st.SearchStrategy[Any]
    if op in {"before", "after"}:
        value = st.datetimes() | st.dates() | st.sampled_from(["2026-05-01T10:00:00.5+02:00"])
    elif op in {"less", "greater"}:
        value = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-10, 1 << 62)
    else:
        numbers = st.integers(-(1 << 62), 1 << 62) | st.floats(
            allow_nan=False, allow_infinity=False
        )
        value = TEXTS.filter(bool) | numbers | st.booleans()
    return {
        "property": prop,
        "op": op,
        "value": draw(value | st.lists(value, min_size=1, max_size=3)),
    }


@settings(max_examples=300, deadline=None)
@given(
    st.lists(EVENTS, max_size=8),
    st.lists(filters(), max_size=3),
    st.sampled_from(list(Source)),
    st.none() | st.dates(),
)
def test_whole_columns_and_single_rows_agree(
    rows: list[dict[str, Any]], conditions: list[dict[str, Any]], source: Source, since: date | None
) -> None:
    what = definition(
        *conditions, source=source.value, sync={"since": since.isoformat() if since else "all_time"}
    )
    held = batch(*rows)
    found = matches(what, held)
    assert len(found) == len(rows)
    assert found.null_count == 0
    assert found.to_pylist() == [matches_row(what, row) for row in held.to_pylist()]
    again = parse_definition(to_document(what), "again")
    assert again == what
    assert again.meaning_hash == what.meaning_hash


@settings(deadline=None)
@given(st.lists(EVENTS, max_size=8), st.sampled_from(["equals", "contains"]), TEXTS.filter(bool))
def test_a_filter_and_its_opposite_take_everything_once(
    rows: list[dict[str, Any]], op: str, value: str
) -> None:
    held = batch(*(row | {"type": "click", "library": "web"} for row in rows))
    plain = matches(definition({"property": "properties.a", "op": op, "value": value}), held)
    opposite = matches(
        definition({"property": "properties.a", "op": f"not_{op}", "value": value}), held
    )
    assert plain.to_pylist() == [not yes for yes in opposite.to_pylist()]


def test_a_time_value_may_be_a_datetime() -> None:
    moment = datetime(2026, 5, 1, 12, tzinfo=UTC)
    what = definition({"property": "time", "op": "before", "value": moment})
    assert what.filters[0].values == ("2026-05-01T12:00:00.000000Z",)
