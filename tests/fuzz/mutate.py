"""Accidents that can befall the bytes of a message, whatever its format."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

Accident = Callable[[random.Random, bytes], bytes]

#: What is not UTF-8, and what just is.
_CHARACTERS: Final = [
    *(b"\xff", b"\x80", b"\xc0\xaf", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"),
    *(b"\xef\xbb\xbf", "é".encode(), "\u20ac".encode(), "\U0001f600".encode(), b"\x00", b"\x1f"),
]
#: What means something in JSON, or nearly does.
_TOKENS: Final = [
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"\n", b"\t", b"\r", b"\x0b", b"-"),
    *(b"0", b"1", b".", b"e", b"E+1", b"null", b"true", b"false", b"nul", b"NaN", b"Infinity"),
    *(b"\\u", b"\\u0041", b"\\ud83d", b"\\ude00", b"\\ud83d\\ude00", b"\\n", b"\\/", b"\\x"),
    *(b'":"', b'","', b"{}", b"[]", b'{"a":1}', b',"a":null', b"1e999", b"-0", b"1.50", b"//"),
]
#: Sizes at which an accident may matter: around the steps in which compiled code reads.
_SIZES: Final = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100]


def _place(draw: random.Random, value: bytes) -> int:
    return draw.randrange(len(value) + 1)


def _put(draw: random.Random, value: bytes, more: bytes) -> bytes:
    place = _place(draw, value)
    return value[:place] + more + value[place:]


def _flip(draw: random.Random, value: bytes) -> bytes:
    if not value:
        return value
    place = draw.randrange(len(value))
    return value[:place] + bytes([value[place] ^ 1 << draw.randrange(8)]) + value[place + 1 :]


def _overwrite(draw: random.Random, value: bytes) -> bytes:
    place = _place(draw, value)
    more = draw.choice([*_TOKENS, *_CHARACTERS])
    return value[:place] + more + value[place + len(more) :]


def _cut(draw: random.Random, value: bytes) -> bytes:
    place = _place(draw, value)
    return value[place:] if draw.random() < 0.2 else value[:place]


def _drop(draw: random.Random, value: bytes) -> bytes:
    place = _place(draw, value)
    return value[:place] + value[place + draw.choice(_SIZES) :]


def _repeat(draw: random.Random, value: bytes) -> bytes:
    place = _place(draw, value)
    return _put(draw, value, value[place : place + draw.choice(_SIZES)])


def _deepen(draw: random.Random, value: bytes) -> bytes:
    depth = draw.choice([1, 2, 60, 61, 62, 63, 64, 65, 66, 500])
    opening, closing = draw.choice([(b"[", b"]"), (b'{"a":', b"}")])
    inner = draw.choice([b"", b"1", b"null"]) if opening == b"[" else b"1"
    return _put(draw, value, opening * depth + inner + closing * depth)


def _append(draw: random.Random, value: bytes) -> bytes:
    return value + draw.choice([b"\x00", b" ", b"x", b"}", b"\xff\xff", b"\n" * 40, value])


def _pad(draw: random.Random, value: bytes) -> bytes:
    return _put(draw, value, draw.choice([b" ", b"a", b"0", b"9"]) * draw.choice(_SIZES))


_ACCIDENTS: Final[Sequence[Accident]] = [
    *(_flip, _flip, _flip, _overwrite, _overwrite, _cut, _drop, _repeat, _deepen, _append, _pad),
    lambda draw, value: _put(draw, value, draw.choice(_TOKENS)),
    lambda draw, value: _put(draw, value, draw.choice(_TOKENS)),
    lambda draw, value: _put(draw, value, draw.choice(_CHARACTERS)),
    lambda draw, value: _put(draw, value, draw.randbytes(draw.randrange(1, 4))),
]


def mutate(draw: random.Random, value: bytes) -> bytes | None:
    """``value`` after one or a few accidents, or none at all; now and then there is no value."""
    kind = draw.random()
    if kind < 0.3:
        return value
    if kind < 0.31:
        return draw.choice([None, b""])
    for _ in range(1 if kind < 0.8 else draw.randrange(2, 5)):
        value = draw.choice(_ACCIDENTS)(draw, value)
    return value
