"""JSON messages to begin with: well-formed ones, with everything that a message may hold."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from loader.codec.fields import CONTRACTS, Contract, ContractName
from loader.codec.values import MAX_TIME_US, MIN_TIME_US
from loader.model.events import MAX_ID

_TEXTS: Final = [
    *('""', '"a"', '"https://www.example.com/a/b?c=d&e=f#g"', '"7"', '"null"', '"{[,:]}"'),
    *(
        '"Grüße — 日本語 😀"',
        '"' + "é" * 16 + '"',
        '"\x7f"',
        '"' + "x" * 31 + '"',
        '"' + "y" * 32 + '"',
    ),
    *(r'"\"\\\/\b\f\n\r\t"', r'"\u0041\u00e9\u20AC\ud83d\ude00"', r'"\u0000\u001f\u007F"'),
    *(r'"C:\\dir\\"', r'"\\"', '"' + "z" * 29 + r"\n" + "z" * 40 + '"'),
]
_NUMBERS: Final = [
    *("0", "-0", "7", "-12", "9007199254740993", "9223372036854775808", "1" * 40, "-" + "9" * 999),
    *("1" * 1000, "0.0", "-0.0", "1.5", "1.50", "100.0", "0.1", "0.0001", "0.00001", "12.5"),
    *("123456789012.345", "1234567890123.456", "0.1234567890123456", "5e-324", "1e5", "1E+2"),
    *("1e16", "1e-7", "2.5e-3", "0e0", "123456.7e-20", "99999999999999.9", "1.0e0"),
]
_NESTED: Final = [
    *("{}", "[]", '{"a":1}', '{ "a" : [ 1 , 2.50 , {"b":null} ] }', '["\\u0041","]","}"]'),
    *('{"a":1,"a":2}', '[[[["deep"]]]]', '{"é":"\\"","n":1e3}', "[true,false,null]"),
    *('["' + "x" * 40 + '\\"]"]', "[" * 62 + "]" * 62),
]
#: What the rules refuse.
_REFUSED: Final = [
    *(
        r'"\ud83d"',
        r'"\ude00x"',
        r'"\ud83dx"',
        r'"\ud83d\u0041"',
        r'"\ud83d\ue000"',
        r'"\x"',
        '"\x01"',
    ),
    *('{"k":"\\ud800"}', "[1 2]", '{"a":1,}', "[" * 63 + "]" * 63, "nul", "'x'", "NaN"),
    *("1" * 1001, "1e999", "01", "1.", ".5", "+1", "1e", "-", "--1", "1.5.5", "[1e999]"),
]
_KEYS: Final = [
    *('"plan"', '"n"', '"a"', '"b"', '""', '"price in €"', r'"\u0061"', r'"a\"b"', '"user_id"'),
    *('"a_rather_long_name_of_a_property"', '"a_rather_long_name_of_another_one"', '"x1"', '"x2"'),
]
_SPACES: Final = ["", "", "", "", "", "", "", " ", "\n", "\t\r\n  "]


def _value(draw: random.Random) -> str:
    kind = draw.random()
    if kind < 0.01:
        return draw.choice(_REFUSED)
    if kind < 0.4:
        return draw.choice(_TEXTS)
    if kind < 0.7:
        return draw.choice(_NUMBERS)
    if kind < 0.8:
        return repr(draw.choice([draw.random(), draw.uniform(-1e20, 1e20), draw.random() ** 40]))
    return draw.choice(["true", "false", "null", "null", *_NESTED])


def _object(draw: random.Random) -> str:
    members = (
        f"{draw.choice(_SPACES)}{draw.choice(_KEYS)}{draw.choice(_SPACES)}:{draw.choice(_SPACES)}{_value(draw)}"
        for _ in range(draw.choice([0, 1, 2, 3, 3, 4, 9]))
    )
    return "{" + ",".join(members) + draw.choice(_SPACES) + "}"


def _time(draw: random.Random) -> str:
    if draw.random() < 0.3:
        return str(draw.choice([draw.randint(MIN_TIME_US, MAX_TIME_US), 0, -1, MAX_TIME_US]))
    day = datetime(1, 1, 3, tzinfo=UTC) + timedelta(
        days=draw.randrange(3_652_000), microseconds=draw.randrange(86_400_000_000)
    )
    zone = timezone(timedelta(minutes=draw.randrange(-1439, 1440)))
    text = day.replace(tzinfo=zone).isoformat()
    if draw.random() < 0.3:
        text = draw.choice(
            [
                text[:19] + "Z",
                text[:19] + ".5Z",
                text[:19] + ".1234567890-00:30",
                text[:8] + "31" + text[10:],
            ]
        )
    return f'"{text}"'


def _field(draw: random.Random, contract: Contract, name: str) -> str:
    if draw.random() < 0.01:
        return _value(draw)
    if name in contract.ids:
        number = draw.choice(
            [draw.randint(0, MAX_ID), draw.randrange(1000), draw.randrange(1 << 50)]
        )
        number = MAX_ID + draw.randrange(2) if draw.random() < 0.02 else number
        return draw.choice([f"{number}", f"{number}", f'"{number}"'])
    if name == contract.time:
        return _time(draw)
    if name in contract.texts:
        return draw.choice([*_TEXTS, "null"])
    return draw.choice([_object(draw), _object(draw), "null"])


def message(draw: random.Random, name: ContractName) -> bytes:
    """A JSON message that is mostly one of the contract."""
    contract = CONTRACTS[name]
    fields = [*contract.ids, contract.time, *sorted(contract.required_texts)]
    fields += draw.sample(contract.texts, draw.randrange(min(8, len(contract.texts) + 1)))
    fields += [part for part in contract.maps if draw.random() < 0.6]
    if draw.random() < 0.9:
        fields = list(dict.fromkeys(fields))
    if draw.random() < 0.3:
        draw.shuffle(fields)
    members = [(json.dumps(part), _field(draw, contract, part)) for part in fields]
    for _ in range(draw.choice([0, 0, 0, 1, 2, 4])):
        members.insert(draw.randrange(len(members) + 1), (draw.choice(_KEYS), _value(draw)))
    if draw.random() < 0.5:
        text = ",".join(f"{key}:{value}" for key, value in members)
    else:
        text = ",".join(
            f"{draw.choice(_SPACES)}{key}{draw.choice(_SPACES)}:{draw.choice(_SPACES)}{value}{draw.choice(_SPACES)}"
            for key, value in members
        )
    return f"{draw.choice(_SPACES)}{{{text}}}{draw.choice(_SPACES)}".encode()
