"""Which raw events a definition takes: a vectorised filter, and the same rule for one row.

The rule, for `matches` and `matches_row` alike:

* ``source`` web takes ``library = 'web'``, mobile the libraries of iOS and Android; both take
  ``type = event``. Source custom takes ``type = 'custom'`` with ``name = event``.
* ``since`` takes times from that day's midnight on, UTC.
* A property is compared as **text**, exactly and case-sensitively. Of a custom property's JSON, a
  text stands for itself without quotes, ``true``, numbers, lists and objects for their JSON; a JSON
  null is an absent value. Ids are compared in decimal. The empty text is a value, hence *defined*.
* A filter value written as a **number** also equals what is numerically equal: ``5`` takes ``5.0``.
  ``less`` and ``greater`` compare as doubles and take only text that is a JSON number. Whole numbers
  beyond 2^53 equal their own text only.
* ``before`` and ``after`` are strict, and take only text that is a time (`loader.model.times`).
* ``matches`` compares the whole text: ``*`` stands for any run of characters, ``?`` for one.
* An absent value satisfies nothing but ``not_defined``, ``not_equals`` and ``not_contains``: the
  negative operators are the complement of the positive ones, so a filter and its opposite together
  always take every event.
* A list of values is "any of"; under a negative operator, "none of".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time
from functools import reduce
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from loader.model import times
from loader.model.json_text import text_of, texts_of
from loader.model.labelled_events import (
    MAX_EXACT_INTEGER,
    PROPERTY_MAPS,
    Definition,
    Filter,
    Op,
    Source,
    Value,
)
from loader.model.text_columns import numbers, times_of

MOBILE_LIBRARIES: Final = ("ios", "iOS", "android")
_NEGATIVE: Final = {Op.NOT_EQUALS: Op.EQUALS, Op.NOT_CONTAINS: Op.CONTAINS}


def columns_of(definition: Definition) -> frozenset[str]:
    """The raw columns that `matches` reads for ``definition``."""
    found = {"type", "name" if definition.source is Source.CUSTOM else "library"}
    found |= {f.property.partition(".")[0] for f in definition.filters}
    if definition.since is not None:
        found.add("time")
    if definition.target_text is not None:
        found.add("target_text")
    return frozenset(found)


def matches(definition: Definition, rows: pa.RecordBatch) -> pa.BooleanArray:
    """Which of ``rows`` are events of ``definition``.

    Args:
        definition: the labelled event.
        rows: raw events with at least the columns of `columns_of`.

    Returns:
        One boolean a row, never null.
    """
    kind = property_column(rows, "type")
    if definition.source is Source.CUSTOM:
        name = property_column(rows, "name")
        masks = [pc.equal(kind, "custom"), pc.equal(name, definition.event)]
    else:
        library = property_column(rows, "library")
        masks = [
            pc.equal(kind, definition.event),
            pc.is_in(library, value_set=pa.array(_libraries(definition.source))),
        ]
    if definition.since is not None:
        first = pa.scalar(_since(definition), pa.timestamp("us"))
        masks.append(pc.greater_equal(rows.column("time"), first))
    if definition.target_text is not None:
        masks.append(pc.equal(property_column(rows, "target_text"), definition.target_text))
    masks += [_holds(condition, rows) for condition in definition.filters]
    return reduce(pc.and_, (pc.fill_null(mask, fill_value=False) for mask in masks))


def property_column(rows: pa.RecordBatch, name: str) -> pa.Array:
    """A property of every row as text (string array with nulls, one entry a row).

    Args:
        rows: raw events.
        name: a column other than ``time``, or ``properties.<name>``, ``session_properties.<name>``.
    """
    head, dot, key = name.partition(".")
    if dot and head in PROPERTY_MAPS:
        return texts_of(pc.map_lookup(rows.column(head), query_key=key, occurrence="last"))
    column = rows.column(name)
    return column if pa.types.is_string(column.type) else pc.cast(column, pa.string())


def _libraries(source: Source) -> tuple[str, ...]:
    return ("web",) if source is Source.WEB else MOBILE_LIBRARIES


def _since(definition: Definition) -> int:
    assert definition.since is not None  # noqa: S101 - asked for by the callers
    return times.micros(datetime.combine(definition.since, time(), UTC))


def _holds(condition: Filter, rows: pa.RecordBatch) -> pa.Array:
    op = condition.op
    if op in _NEGATIVE:
        return pc.invert(_holds(Filter(condition.property, _NEGATIVE[op], condition.values), rows))
    if condition.property == "time":
        column = rows.column("time")
    else:
        column = property_column(rows, condition.property)
    if op is Op.DEFINED:
        return pc.is_valid(column)
    if op is Op.NOT_DEFINED:
        return pc.is_null(column)
    if op in {Op.BEFORE, Op.AFTER} and pa.types.is_string(column.type):
        column = times_of(column)
    elif op in {Op.LESS, Op.GREATER}:
        column = numbers(column)
    any_of = (_one(op, column, value) for value in condition.values)
    return reduce(pc.or_, (pc.fill_null(mask, fill_value=False) for mask in any_of))


def _one(op: Op, column: pa.Array, value: Value) -> pa.Array:
    """``column`` against one value: text, doubles or times, as ``op`` asks; nulls stay nulls."""
    match op:
        case Op.EQUALS:
            mask = pc.equal(column, _as_text(value))
            if _is_exact_number(value):
                mask = pc.or_kleene(mask, pc.equal(numbers(column), float(value)))
        case Op.CONTAINS:
            mask = pc.match_substring(column, pattern=_as_text(value))
        case Op.MATCHES:
            pattern = rf"(?s)\A{_wildcards(_as_text(value), _re2_literal)}\z"
            mask = pc.match_substring_regex(column, pattern=pattern)
        case Op.LESS | Op.GREATER:
            mask = (pc.less if op is Op.LESS else pc.greater)(column, float(value))
        case _:
            mask = (pc.less if op is Op.BEFORE else pc.greater)(column, _moment(value))
    return mask


def _moment(value: Value) -> pa.Scalar:
    return pa.scalar(times.parse_time(str(value)), pa.timestamp("us"))


def _as_text(value: Value) -> str:
    return value if isinstance(value, str) else repr(value)


def _is_exact_number(value: Value) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and abs(value) <= MAX_EXACT_INTEGER)


def _wildcards(text: str, literal: Callable[[str], str]) -> str:
    """A regular expression (dot takes any character) for a text with ``*`` and ``?``."""
    return "".join(".*" if c == "*" else "." if c == "?" else literal(c) for c in text)


def _re2_literal(character: str) -> str:
    return f"\\x{{{ord(character):X}}}"


def matches_row(definition: Definition, row: Mapping[str, Any]) -> bool:
    """`matches` for one row, in plain Python: the reference that the vectorised one is held to.

    Args:
        definition: the labelled event.
        row: a row as ``RecordBatch.to_pylist`` gives it; ``time`` a datetime without zone, in UTC.
    """
    if definition.source is Source.CUSTOM:
        right = row["type"] == "custom" and row["name"] == definition.event
    else:
        libraries = _libraries(definition.source)
        right = row["type"] == definition.event and row["library"] in libraries
    if not right:
        return False
    if definition.since is not None and times.micros(row["time"]) < _since(definition):
        return False
    if definition.target_text is not None and row["target_text"] != definition.target_text:
        return False
    return all(_row_holds(condition, row) for condition in definition.filters)


def property_of_row(row: Mapping[str, Any], name: str) -> str | None:
    """`property_column` for one row."""
    head, dot, key = name.partition(".")
    if dot and head in PROPERTY_MAPS:
        return text_of(dict(row[head] or ()).get(key))
    value = row[name]
    return None if value is None else str(value)


def _row_holds(condition: Filter, row: Mapping[str, Any]) -> bool:
    op = condition.op
    if op in _NEGATIVE:
        return not _row_holds(Filter(condition.property, _NEGATIVE[op], condition.values), row)
    if condition.property == "time":
        text = row["time"].isoformat()
    else:
        text = property_of_row(row, condition.property)
    if op is Op.DEFINED:
        return text is not None
    if op is Op.NOT_DEFINED:
        return text is None
    return text is not None and any(_row_one(op, text, value) for value in condition.values)


def _row_one(op: Op, text: str, value: Value) -> bool:
    if op is Op.CONTAINS:
        return _as_text(value) in text
    if op is Op.MATCHES:
        pattern = _wildcards(_as_text(value), re.escape)
        return re.fullmatch(pattern, text, re.DOTALL) is not None
    if op in {Op.BEFORE, Op.AFTER}:
        moment, border = times.parse_time(text), times.parse_time(str(value)) or 0
        return moment is not None and (moment < border if op is Op.BEFORE else moment > border)
    number = float(text) if times.NUMBER.fullmatch(text) else None
    if op is Op.EQUALS:
        equal = number is not None and _is_exact_number(value) and number == float(value)
        return equal or text == _as_text(value)
    limit = float(value)
    return number is not None and (number < limit if op is Op.LESS else number > limit)
