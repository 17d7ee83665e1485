"""Compiled code writes numbers and strings as the rules for single values do."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.codec.compiled import compiled
from loader.codec.doubles import put_double, widened
from loader.codec.json_writing import (
    NO_ROOM,
    NOT_UTF8,
    put_integer,
    put_latin1,
    put_string,
)
from loader.codec.primitives import PADDING
from loader.codec.values import json_text

many = settings(max_examples=300, deadline=None)


@compiled
def _double(to: Any, bits: Any) -> int:
    return put_double(to, 0, bits)  # type: ignore[no-any-return]


@compiled
def _float(to: Any, bits: Any) -> int:
    return put_double(to, 0, widened(bits))  # type: ignore[no-any-return]


@compiled
def _integer(to: Any, value: int) -> int:
    return put_integer(to, 0, value)  # type: ignore[no-any-return]


@compiled
def _string(to: Any, capacity: int, data: Any, start: int, stop: int) -> int:
    return put_string(to, 0, capacity, data, start, stop)  # type: ignore[no-any-return]


@compiled
def _latin1(to: Any, capacity: int, data: Any, start: int, stop: int) -> int:
    return put_latin1(to, 0, capacity, data, start, stop)  # type: ignore[no-any-return]


def bits_of(value: float) -> np.uint64:
    return np.uint64(struct.unpack("<Q", struct.pack("<d", value))[0])


def written(value: float) -> str:
    to = np.zeros(64, np.uint8)
    return bytes(to[: _double(to, bits_of(value))]).decode()


@many
@given(
    st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(10**9), 10**9).map(lambda cents: cents / 100)
    | st.tuples(st.integers(1, 10**17), st.integers(-340, 300)).map(
        lambda p: float(f"{p[0]}e{p[1]}")
    )
)
def test_a_double_is_written_as_repr_writes_it(value: float) -> None:
    if abs(value) != float("inf"):
        assert written(value) == repr(value)


def test_doubles_at_the_edges() -> None:
    powers = [2.0**power for power in range(-1074, 1024)]
    tens = [float(f"{digit}e{power}") for power in range(-324, 309) for digit in (1, 9)]
    around = [float(np.nextafter(power, way)) for power in powers for way in (0.0, np.inf)]
    edges = [0.0, -0.0, -1.5, 1e15, 1e16, 9007199254740993.0, 123456789012345680.0, *powers, *tens]
    for value in filter(math.isfinite, [*edges, *around]):
        assert written(value) == repr(value)
    for value in (float("nan"), float("inf"), float("-inf")):
        assert _double(np.zeros(64, np.uint8), bits_of(value)) == -1


@many
@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_is_written_as_the_double_that_it_is(value: float) -> None:
    to = np.zeros(64, np.uint8)
    junk = 0xABCDEF01 << 32
    bits = np.uint64(struct.unpack("<I", struct.pack("<f", value))[0] | junk)
    assert bytes(to[: _float(to, bits)]).decode() == repr(value)


@many
@given(st.integers(-(1 << 63), (1 << 63) - 1) | st.sampled_from([0, -1, 10**18, -(1 << 63)]))
def test_an_integer_is_its_digits(value: int) -> None:
    to = np.zeros(64, np.uint8)
    assert bytes(to[: _integer(to, value)]).decode() == str(value)


@many
@given(text=st.text(max_size=40), before=st.binary(max_size=9), room=st.integers(-3, 3))
def test_a_string_is_quoted_and_escaped(text: str, before: bytes, room: int) -> None:
    data = np.frombuffer(before + text.encode() + b"\xff\x01" * PADDING, np.uint8)
    expected = json_text(text, field="", depth=1).encode()
    start, stop = len(before), len(before) + len(text.encode())
    to = np.full(6 * len(data) + PADDING, 7, np.uint8)
    assert bytes(to[: _string(to, len(to) - PADDING, data, start, stop)]) == expected
    ended = _string(to, len(expected) + room, data, start, stop)
    assert ended in (len(expected), NO_ROOM)
    assert ended == NO_ROOM or room >= 0


@many
@given(st.binary(max_size=30))
def test_what_is_not_utf8_is_told(value: bytes) -> None:
    data = np.frombuffer(value + bytes(PADDING), np.uint8)
    to = np.zeros(400, np.uint8)
    ended = _string(to, 300, data, 0, len(value))
    try:
        expected = json_text(value.decode(), field="", depth=1).encode()
    except UnicodeDecodeError:
        assert ended == NOT_UTF8
    else:
        assert bytes(to[:ended]) == expected


@many
@given(st.binary(max_size=30))
def test_bytes_are_written_one_character_each(value: bytes) -> None:
    data = np.frombuffer(value + bytes(PADDING), np.uint8)
    to = np.zeros(400, np.uint8)
    ended = _latin1(to, 300, data, 0, len(value))
    assert bytes(to[:ended]) == json_text(value, field="", depth=1).encode()
    assert _latin1(to, 2, data, 0, len(value)) == (2 if not value else NO_ROOM)


@pytest.mark.parametrize("size", range(20))
def test_a_character_to_escape_is_found_wherever_it_stands(size: int) -> None:
    to = np.zeros(400, np.uint8)
    for place in range(size):
        for odd in ('"', "\\", "\x1f", "\x00", "\x7f", "\x80"):
            text = "a" * place + odd + "b" * (size - place - 1)
            data = np.frombuffer(text.encode() + b'"' * PADDING, np.uint8)
            ended = _string(to, 300, data, 0, len(text.encode()))
            assert bytes(to[:ended]) == json_text(text, field="", depth=1).encode()
