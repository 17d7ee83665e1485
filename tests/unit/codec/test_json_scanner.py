"""The compiled pass over JSON: what it reads itself, and that it reads nothing otherwise than the rules."""

from __future__ import annotations

import ctypes
import json
import mmap
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from loader.codec import json_scanner
from loader.codec.contract import Decoded, Decoder
from loader.codec.decoders import decoder, reference_decoder
from loader.codec.fields import EVENTS, ContractName
from loader.codec.json_scanner import JsonScanner
from loader.codec.primitives import PADDING
from loader.codec.schemas import ShippedSchemas
from loader.codec.spans import Arena, Messages
from loader.codec.values import MAX_TIME_US, MIN_TIME_US
from tests.fuzz.compare import Batch, Figures, compare

BEGIN = '{"event_id":1,"user_id":"2","session_id":3,"time":4,"type":"click"'
many = settings(max_examples=60, deadline=None)
SPACES = st.text(" \t\r\n", max_size=3)
DIGITS = st.text("0123456789", min_size=1, max_size=20)
NUMBERS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "-"]),
    st.sampled_from(["0", "1", "10", "99"]) | DIGITS,
    st.just("") | DIGITS.map(".{}".format) | st.sampled_from([".0", ".50", ".0001", ".00001"]),
    st.sampled_from(["", "", "", "e5", "E+2", "e-7", "e0", "e308", "e400", "e-400"]),
)
PLAIN = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(max_size=20)
NESTED: SearchStrategy[Any] = st.recursive(
    PLAIN | st.integers(-999, 999).map(lambda number: number / 100),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@cache
def fast(contract: ContractName = "events") -> Decoder:
    return decoder(contract, "json", ShippedSchemas())


@cache
def slow(contract: ContractName = "events") -> Decoder:
    return reference_decoder(contract, "json", ShippedSchemas())


def judge(*texts: str | bytes, contract: ContractName = "events") -> Figures:
    """Compare both decoders; the figures of the fast one."""
    figures = Figures()
    values = [text.encode() if isinstance(text, str) else text for text in texts]
    compare(Batch(fast(contract), slow(contract), values), figures)
    return figures


def read(*texts: str) -> Decoded:
    """Messages that the compiled pass must read alone, as the reference does."""
    assert judge(*texts).reference == 0
    return fast().decode([text.encode() for text in texts])


def event(properties: str = "{}", more: str = "") -> str:
    return f'{BEGIN},"properties":{properties}{more}}}'


def properties(*texts: str) -> list[dict[str, str | None]]:
    """The properties of messages that need no reference."""
    rows = read(*map(event, texts)).rows.column("properties").to_pylist()
    return [dict(row) for row in rows]


@pytest.mark.parametrize(
    "text",
    [
        event(),
        event(more=',"title":"say \\"hi\\"\\n\\u00e9\\ud83d\\ude00"'),
        event(more=',"new_field":{"a":[1,"b"]},"other":null'),
        event('{"cart":{"items":[{"sku":"a-1","price":9.50,"gift":null}],"paid":true}}'),
        event('{"n":{"s":"a\\"b]","x":1e5}}'),
        event('{"a":1,"b":"two","c":2.5,"d":1.50,"e":1e3,"f":0.1234567890123456,"g":null}'),
        event('{"caf\\u00e9":"\\u00e9","\\"":"\\\\"}'),
        event().replace('"time":4', '"time":"2026-11-22T10:00:00.123456+01:00"'),
        json.dumps(json.loads(event('{"a":[1,{"b":2}]}')), indent=2),
        " \r\n\t" + event().replace(":", " :\n").replace(",", "\t,  ") + "\n",
        event(more=',"path":null,"session_properties":null,"\\u0074itle":"t"'),
    ],
)
def test_common_shapes_need_no_reference(text: str) -> None:
    assert read(text).rows.num_rows == 1


def test_an_update_says_what_is_cleared() -> None:
    texts = ['{"user_id":1,"time":2,"email":null,"handle":"h"}', '{"user_id":1,"time":2}']
    figures = judge(*texts, contract="user_updates")
    assert (figures.reference, figures.rows) == (0, 2)


@pytest.mark.parametrize(
    "text",
    [
        event('{"a":"é\\n","b":{"c":[1.5,-0,true]},"d":12.30}', ',"new":"x","title":"\\u00e9"'),
        event().replace("4", '"2024-02-29T23:59:59.999999-23:59"'),
    ],
)
def test_a_message_cut_anywhere_is_judged_by_itself(text: str) -> None:
    """Neither part of a message sees the other, though they stand side by side."""
    value = text.encode()
    cuts = [part for cut in range(len(value) + 1) for part in (value[:cut], value[cut:])]
    figures = judge(*cuts)
    assert figures.rows == 2


def test_any_bit_of_a_message_may_be_wrong() -> None:
    text = event('{"a":"b\\n","c":[1,{"d":2.50}]}', ',"title":"é","new":1e3')
    value = text.replace('"time":4', '"time":"2024-02-29T12:30:00.5+01:00"').encode()
    wrong = [
        value[:place] + bytes([value[place] ^ 1 << bit]) + value[place + 1 :]
        for place in range(len(value))
        for bit in range(8)
    ]
    judge(*wrong)


@pytest.mark.parametrize(
    "inside",
    [
        "\\n",
        "\\u0041",
        "é",
        "\x1f",
        "\\",
        '"',
        "\\/",
        "\\ud83d",
        "\\ud83d\\ude00",
        "\\ud83d\\ue000",
    ],
)
def test_a_character_may_stand_anywhere_in_a_string(inside: str) -> None:
    """Strings are searched in blocks: the character comes at each place of one, and at its ends."""
    strings = [
        "x" * before + inside + "y" * after
        for before in range(36)
        for after in (0, 1, 15, 16, 31, 33)
    ]
    for value in ("{}", '{{"k":{}}}', '{{"k":[{}]}}', "{{{}:1}}"):
        judge(
            *(
                event(more=f',"title":"{text}"')
                if value == "{}"
                else event(value.format(f'"{text}"'))
                for text in strings
            )
        )


@many
@given(st.lists(st.tuples(SPACES, SPACES), min_size=40, max_size=40))
def test_white_space_may_stand_around_every_token(spaces: list[tuple[str, str]]) -> None:
    tokens = ["{"]
    for name in ("event_id", "user_id", "session_id", "time"):
        tokens += [f'"{name}"', ":", "1", ","]
    tokens += ['"type"', ":", '"c"', ",", '"properties"', ":", "{", '"a"', ":", "[", "{", '"b"']
    tokens += [":", "null", "}", ",", "1.5", "]", "}", "}"]
    text = "".join(
        f"{before}{token}{after}" for (before, after), token in zip(spaces, tokens, strict=False)
    )
    assert read(text).rows.column("properties").to_pylist() == [[("a", '[{"b":null},1.5]')]]


@many
@given(st.lists(NUMBERS, min_size=1, max_size=20))
@example(["-0", "-0.0", "-0.00", "0.0001", "0.00010", "0.00001", "1" * 1000, "1" * 1001])
@example(["123456789012345.0", "12345678901234.5", "0.123456789012345", "0.1234567890123456"])
def test_any_number_is_read_like_the_reference(numbers: list[str]) -> None:
    judge(*(event(f'{{"n":{number}}}') for number in numbers))
    judge(*(event(f'{{"n":[{number}]}}') for number in numbers))
    judge(*(event(more=f',"new":{number}') for number in numbers))
    for field in ("event_id", "time"):
        judge(*(event().replace(f'"{field}":', f'"{field}":{number},"n":') for number in numbers))
        judge(*(event().replace(f'"{field}":', f'"{field}":"{number}","n":') for number in numbers))


@many
@given(st.lists(st.integers(0, 10**15 - 1), min_size=1), st.integers(1, 10))
def test_decimals_of_fifteen_digits_are_their_own_text(digits: list[int], places: int) -> None:
    numbers = [number / 10**places for number in digits]
    texts = [f"{number:.{places}f}" for number in numbers if number >= 0.0001 and number % 1]
    for text, row in zip(texts, properties(*(f'{{"n":{text}}}' for text in texts)), strict=True):
        assert row == {"n": repr(float(text))}


@many
@given(st.lists(st.integers(0, (1 << 63) + 5), min_size=1, max_size=20))
@example([0, 9, 10, 99_999_999, 10**8, 10**15, 10**16, 10**18, (1 << 63) - 1, 1 << 63, 10**19])
def test_an_id_is_read_to_its_last_digit(numbers: list[int]) -> None:
    for form in ("{}", '"{}"'):
        texts = [
            BEGIN.replace('"event_id":1', f'"event_id":{form.format(n)}') + "}" for n in numbers
        ]
        figures = judge(*texts)
        assert figures.rows == sum(number < 1 << 63 for number in numbers)
        assert figures.reference == len(numbers) - figures.rows


OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def at(time: str) -> str:
    return BEGIN.replace('"time":4', f'"time":{json.dumps(time)}') + "}"


@many
@given(
    st.lists(st.datetimes(timezones=OFFSETS), min_size=1, max_size=20), st.text("09", max_size=9)
)
def test_every_moment_is_read(moments: list[datetime], digits: str) -> None:
    texts = [at(moment.isoformat()) for moment in moments]
    texts += [
        at(f"{moment:%Y-%m-%dT%H:%M:%S}.{digits}Z".zfill(21 + len(digits))) for moment in moments
    ]
    figures = judge(*texts)
    sure = [moment for moment in moments if 1 < moment.year < 9999 and moment.microsecond < 10**6]
    assert figures.rows >= len(sure)
    assert figures.reference <= len(texts) - len(sure)


def test_every_day_there_is_and_some_that_are_not() -> None:
    years = [1, 4, 100, 400, 1582, 1899, 1900, 1969, 1970, 1999, 2000, 2023, 2024, 2100, 9999]
    days = [
        f"{year:04}-{month:02}-{day:02}T00:00:00Z"
        for year in years
        for month in range(14)
        for day in (0, 1, 15, 28, 29, 30, 31, 32)
    ]
    figures = judge(*map(at, days))
    # The days of each month that are in the list; 29 February in the leap years.
    leap = sum(year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) for year in years)
    assert figures.rows == len(years) * (7 * 6 + 4 * 5 + 3) + leap
    assert figures.reference == len(days) - figures.rows


def test_the_years_1_to_9999_are_times() -> None:
    within = ["0001-01-01T00:00:00Z", "0001-01-01T00:01:00+00:01", "9999-12-31T23:59:59.999999Z"]
    beyond = ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "0000-12-31T23:59:59-01:00"]
    numbers = [MIN_TIME_US - 1, MIN_TIME_US, MAX_TIME_US, MAX_TIME_US + 1]
    texts = [at(time) for time in within + beyond]
    texts += [BEGIN.replace('"time":4', f'"time":{number}') + "}" for number in numbers]
    figures = judge(*texts)
    assert (figures.rows, figures.reference) == (len(within) + 2, len(beyond) + 2)


@many
@given(st.datetimes(), st.integers(0, 40), st.characters(codec="utf-8"))
def test_a_time_with_one_wrong_character_is_judged_alike(
    moment: datetime, place: int, wrong: str
) -> None:
    text = moment.isoformat() + "Z"
    judge(at(text[:place] + wrong + text[place + 1 :]), at(text[:place] + wrong + text[place:]))


@many
@given(st.lists(NESTED, min_size=1, max_size=6), st.booleans(), st.sampled_from([None, 1]))
def test_nested_values_need_no_reference(
    values: list[Any], ascii_only: bool, indent: int | None
) -> None:
    texts = [json.dumps(value, ensure_ascii=ascii_only, indent=indent) for value in values]
    rows = properties(*(f'{{"n":{text}}}' for text in texts))
    for row, value in zip(rows, values, strict=True):
        assert row["n"] is None if value is None else json.loads(row["n"] or "") == value
    read(*(event(more=f',"new":{text}') for text in texts))


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_only_so_deep(opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    inner = "" if opening == "[" else "1"
    texts = [opening * depth + inner + closing * depth for depth in range(58, 70)]
    assert judge(*(event(f'{{"n":{text}}}') for text in texts)).rows == 62 - 57
    assert judge(*(event(more=f',"new":{text}') for text in texts)).rows == 63 - 57
    # Behind a number that Python must write, which then counts the depth.
    texts = [f"[1e5,{text}]" for text in texts]
    assert judge(*(event(f'{{"n":{text}}}') for text in texts)).rows == 62 - 58
    assert judge(*(event(more=f',"new":{text}') for text in texts)).rows == 63 - 58


@pytest.mark.parametrize(
    "text",
    [
        event('{"a":1,"b":2,"a":3}'),
        event('{"a":1,"\\u0061":2}'),
        event('{"n":{"a":1,"\\u0061":{"x":1,"x":2}}}'),
        event('{"a_long_name_of_a_property":1,"b":2,"a_long_name_of_a_property":3}'),
        event('{"é":1,"\\u00e9":2}', ',"new":1,"new":null'),
        event(more=',"new":1,"properties":{"a":1}'),
        event(more=',"\\u0074ype":"b","type":"c"'),
        event('{"":1,"":2}', ',"":3,"":4'),
    ],
)
def test_of_repeated_keys_the_last_value_stands(text: str) -> None:
    assert judge(text, event()).rows == 2


@pytest.mark.parametrize("count", [10, 300, 2000])
def test_very_many_keys(count: int) -> None:
    members = ",".join(f'"key {i}":{i}' for i in range(count))
    again = members + ',"key 1":"again"'
    for text in (members, again):
        judge(event(f"{{{text}}}"), event(f'{{"n":{{{text}}}}}'), event(more=f",{text}"))


def test_a_key_that_nearly_is_a_field_is_none() -> None:
    names = [
        "typ",
        "types",
        "tyqe",
        "Type",
        "landing_pag",
        "landing_page_hasi",
        "session_propertied",
    ]
    names += [
        "sessionXproperties",
        "session_pXoperties",
        "tit\\u006ce",
        "title ",
        "screen_a11y_labe",
    ]
    texts = [event(more=f',"{name}":"v"') for name in names]
    extra = read(*texts).rows.column("extra").to_pylist()
    assert [None if row is None else row[0][0] for row in extra] == [
        None if name == "tit\\u006ce" else name for name in names
    ]


def test_room_is_made_for_a_batch_that_is_unlike_the_last() -> None:
    """Entries, escapes and numbers in one message, more than all the messages before took."""
    one = decoder("events", "json", ShippedSchemas())
    long = ",".join(f'"k{i}":"\\n{i}"' for i in range(3000))
    late = ",".join(f'"f{i}":{i}e-5' for i in range(3000))
    nested = ",".join(f'"n{i}":[ {i}, "\\t" ]' for i in range(1000))
    texts = [event(), event(f"{{{long}}}"), event(f"{{{late}}}"), event(f"{{{nested}}}"), event()]
    values = [text.encode() for text in texts for _ in range(3)]
    for batch in (values[:1], values, values[:1], values):
        figures = Figures()
        compare(Batch(one, slow(), batch), figures)
        assert figures.rows == len(batch)


def guarded(size: int) -> npt.NDArray[np.uint8]:
    """Bytes with nothing behind them: who reads or writes there dies."""
    pages = -(-size // mmap.PAGESIZE)
    memory = mmap.mmap(-1, (pages + 1) * mmap.PAGESIZE)
    place = ctypes.addressof(ctypes.c_char.from_buffer(memory)) + pages * mmap.PAGESIZE
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mprotect(ctypes.c_void_p(place), ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
    return np.frombuffer(memory, np.uint8)[pages * mmap.PAGESIZE - size : pages * mmap.PAGESIZE]


class GuardedArena(Arena):
    """An arena with nothing behind its padding."""

    def __init__(self, base: int, capacity: int) -> None:
        super().__init__(base, 0)
        self.array = guarded(capacity + PADDING)


def test_nothing_behind_the_padding_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the last message is: cut anywhere, and with texts for the arena, whose room runs out."""
    monkeypatch.setattr(json_scanner, "Arena", GuardedArena)
    monkeypatch.setattr(json_scanner, "_LEAST", 1)
    text = event('{"a":"é\\nz","b":{"c":[1.50,-0,"\\u001fz"]},"d":1e5}', ',"title":"\\u00e9z"')
    for time in ("4", '"2024-02-29T23:59:59.999999-23:59"'):
        value = text.replace('"time":4', f'"time":{time}').encode()
        for last in [value[:cut] for cut in range(len(value) + 1)] + [value + b'"' + b"9" * 40]:
            # What follows has no quote: a string that was cut goes on to its end.
            messages = Messages.join([value, last, b"x" * 20_000, last])
            source = guarded(len(messages.source))
            source[:] = messages.source
            source.flags.writeable = False
            sure = JsonScanner(EVENTS).scan(Messages(source, messages.bounds)).sure
            assert sure.tolist() == [True, last == value, False, last == value]


def unknown(names: Sequence[str]) -> str:
    return event(more="".join(f',"{name}":1' for name in names))


def test_unknown_fields_are_counted_in_accepted_messages_only() -> None:
    decoded = fast().decode(
        [
            text.encode()
            for text in (unknown(["a", "b"]), unknown(["b", "\\u0062"]), unknown("b") + "x")
        ]
    )
    assert decoded.unknown_fields == {"a": 1, "b": 2}
