"""How many events a second one core decodes: fast and reference decoder, JSON and Avro.

Run: ``python -m bench.codec [--events N] [--rounds R]``. Prints thousands of events per CPU second of
the decoding thread, so that a busy machine disturbs less: the best of the rounds, for events with 28
filled fields.
"""

from __future__ import annotations

import argparse
import gc
import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from loader.codec.decoders import decoder, reference_decoder
from loader.codec.encode import encode_avro, encode_json
from loader.codec.schemas import ShippedSchemas

WORDS = [
    "alpha",
    "bravo",
    "cart",
    "checkout",
    "product",
    "price",
    "review",
    "landing",
    "summer",
    "shoes",
    "jacket",
    "online",
]
START = datetime(2026, 11, 20, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def event(draw: random.Random) -> dict[str, Any]:
    """An event with 28 filled fields; five properties, one of each JSON scalar type."""
    a, b, c = (draw.choice(WORDS) for _ in range(3))
    number = draw.randrange(5000)
    return {
        "event_id": draw.randrange(1 << 50, 1 << 53),
        "user_id": draw.randrange(1 << 40),
        "session_id": draw.randrange(1 << 44),
        "time": START + timedelta(microseconds=draw.randrange(10**11)),
        "type": draw.choice(["pageview", "click"]),
        "library": "web",
        "platform": f"Mac OS X {number % 20}",
        "device_type": "Desktop",
        "country": f"Country {number % 60}",
        "region": f"Region {number % 400}",
        "city": f"{a.title()}ville {number}",
        "ip": f"{number % 255}.{draw.randrange(255)}.{draw.randrange(255)}.7",
        "referrer": f"https://www.{a}{number % 97}.com/{b}-{c}",
        "landing_page": f"https://www.shop.com/{a}/{b}/{c}",
        "browser": f"Chrome {90 + number % 40}",
        "utm_source": f"{b}{number % 30}",
        "utm_campaign": f"{a}_{c}",
        "domain": "www.example.com",
        "path": f"/{a}/{b}/{number}",
        "query": f"?q={c}&page={number % 50}",
        "title": f"{a.title()} {b.title()} \u2013 Shop",
        "href": f"https://www.shop.com/{b}/{c}?id={number}",
        "target_text": f"{a} {b} {c}".title(),
        "target_tag": "button",
        "target_class": "cta primary",
        "target_id": f"{b}-{number % 10}",
        "hierarchy": f"body|div.{a}|form#login|button#login.cta.primary[type=submit]",
        "properties": {"plan": a, "n": number, "price": number / 100, "paid": True, "ref": None},
    }


def per_second(
    values: Sequence[bytes], decode: Callable[[Sequence[bytes]], Any], rounds: int
) -> float:
    best = float("inf")
    for _ in range(rounds):
        started = time.thread_time()
        decode(values)
        best = min(best, time.thread_time() - started)
    return len(values) / best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    draw = random.Random(7)
    events = [event(draw) for _ in range(options.events)]
    schemas = ShippedSchemas()
    schema = schemas.writer_schema(1) or ""
    as_json = [encode_json({**e, "time": e["time"].isoformat()}) for e in events]
    as_avro = [
        encode_avro(
            {**e, "time": (e["time"] - EPOCH) // timedelta(microseconds=1)},
            schema_id=1,
            schema=schema,
        )
        for e in events
    ]
    del events
    gc.collect()
    gc.disable()
    for name, values in (("json", as_json), ("avro", as_avro)):
        size = sum(map(len, values)) / len(values)
        fast = decoder("events", "json" if name == "json" else "avro", schemas)
        slow = reference_decoder("events", "json" if name == "json" else "avro", schemas)
        quick = per_second(values, fast.decode, options.rounds) / 1e3
        plain = per_second(values[: max(1, len(values) // 10)], slow.decode, 2) / 1e3
        print(f"{name}: {size:.0f} B/event, fast {quick:.0f} k/s, reference {plain:.1f} k/s")


if __name__ == "__main__":
    main()
