"""Messages that the contract refuses, each for one certain reason.

Every way is one that the text of the contract settles: not decodable, a required field missing or
null, a wrong type, an id out of range, a time that is no time. What the contract leaves open (a
number where a text is expected, bytes after an Avro datum) is not made here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import orjson

from loader.local.simulator.fragments import avro_long
from loader.local.simulator.options import Format

T = TypeVar("T")

_HEADER: Final = 5
_BAD_IDS: Final = (-1, 1 << 63, "9223372036854775808", "-7")
_NO_IDS: Final = ("abc", 1.5, True, [1], {"id": 1}, "")
_BAD_TIMES: Final = ("yesterday", "2024-13-45T00:00:00Z", "", "25:61")
_NO_TIMES: Final = (True, [1], {"at": 1})
_BYTES: Final = ("tombstone", "empty", "garbage")
_DOCUMENT: Final = ("missing_field", "null_field", "wrong_type", "out_of_range", "bad_time")


@dataclass(frozen=True, slots=True)
class Broken:
    """A message that must be refused; ``value`` None is a tombstone."""

    value: bytes | None
    fault: str


def broken(rng: np.random.Generator, kind: Format, value: bytes, ids: Sequence[str]) -> Broken:
    """Break one good message.

    Args:
        rng: decides how.
        kind: the message's format.
        value: the good message.
        ids: names of the message's id fields, in the order of the schema; ``time`` follows them.
    """
    return _broken_json(rng, value, ids) if kind == "json" else _broken_avro(rng, value, ids)


def _broken_json(rng: np.random.Generator, value: bytes, ids: Sequence[str]) -> Broken:
    ways = (*_BYTES, "truncated", "not_utf8", "not_an_object", *_DOCUMENT, *_DOCUMENT)
    fault = _pick(rng, ways)
    if fault in _BYTES:
        return Broken(_bytes(rng, fault), fault)
    if fault == "truncated":
        return Broken(value[: int(rng.integers(1, len(value)))], fault)
    if fault == "not_utf8":
        # A byte that no UTF-8 text holds, inside a string.
        return Broken(value[:-1] + b',"x":"\xff"}', fault)
    if fault == "not_an_object":
        return Broken(_pick(rng, (b"[1,2]", b"42", b'"text"', b"null")), fault)
    document: dict[str, Any] = orjson.loads(value)
    _spoil(rng, fault, document, ids)
    return Broken(orjson.dumps(document), fault)


def _spoil(
    rng: np.random.Generator, fault: str, document: dict[str, Any], ids: Sequence[str]
) -> None:
    """Break one field of a JSON message."""
    field = _pick(rng, (*ids, "time"))
    match fault:
        case "missing_field":
            del document[field]
        case "null_field":
            document[field] = None
        case "wrong_type":
            document[field] = _pick(rng, _NO_TIMES if field == "time" else _NO_IDS)
        case "bad_time":
            document["time"] = _pick(rng, _BAD_TIMES)
        case _:
            document[_pick(rng, tuple(ids))] = _pick(rng, _BAD_IDS)


def _broken_avro(rng: np.random.Generator, value: bytes, ids: Sequence[str]) -> Broken:
    ways = (*_BYTES, "truncated", "not_framed", "unknown_schema", "not_decodable", "out_of_range")
    fault = _pick(rng, ways)
    header, body = value[:_HEADER], value[_HEADER:]
    match fault:
        case "truncated":
            changed = value[: int(rng.integers(_HEADER, len(value)))]
        case "not_framed":
            changed = b"{" + value[1:]
        case "unknown_schema":
            changed = b"\x00" + (1_000_003).to_bytes(4, "big") + body
        case "not_decodable":
            # A first field that never ends: no long has more than ten bytes.
            changed = header + b"\xff" * 24
        case "out_of_range":
            changed = _negative_id(value, int(rng.integers(len(ids))))
        case _:
            return Broken(_bytes(rng, fault), fault)
    return Broken(changed, fault)


def _bytes(rng: np.random.Generator, fault: str) -> bytes | None:
    """What no format takes: nothing at all, no bytes, noise that begins like neither."""
    match fault:
        case "tombstone":
            return None
        case "empty":
            return b""
        case _:
            return b"\xff" + rng.bytes(40)


def _pick(rng: np.random.Generator, values: Sequence[T]) -> T:
    return values[int(rng.integers(len(values)))]


def _negative_id(value: bytes, which: int) -> bytes:
    """Replace the ``which``-th leading long by -5."""
    position = _HEADER
    for _ in range(which):
        position = _after_long(value, position)
    return value[:position] + avro_long(-5) + value[_after_long(value, position) :]


def _after_long(value: bytes, position: int) -> int:
    while value[position] & 0x80:
        position += 1
    return position + 1
