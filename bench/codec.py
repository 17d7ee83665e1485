"""How many events a second one core decodes, and takes in another order: JSON and Avro.

Run: ``python -m bench.codec [--events N] [--rounds R] [--format json]``. Prints nanoseconds of the
decoding thread's CPU time for an event with 28 filled fields, so that a busy machine disturbs less, and
the best of the rounds: joining the messages, decoding them (with the joining), taking the rows sorted,
and decoding and taking together.
"""

from __future__ import annotations

import argparse
import gc
import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from loader.codec.decoders import decoder, reference_decoder
from loader.codec.encode import encode_avro, encode_json
from loader.codec.fields import FormatName
from loader.codec.schemas import ShippedSchemas
from loader.codec.spans import Messages

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


def cost(work: Callable[[], Any], rounds: int) -> float:
    """CPU seconds of this thread, the least of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        started = time.thread_time()
        work()
        best = min(best, time.thread_time() - started)
    return best


def measure(
    written: FormatName, values: Sequence[bytes], schemas: ShippedSchemas, rounds: int
) -> None:
    """Print what decoding costs, and taking the rows in another order."""
    fast = decoder("events", written, schemas)
    slow = reference_decoder("events", written, schemas)
    count, few = len(values), values[: max(1, len(values) // 10)]
    order = np.random.default_rng(7).permutation(count)
    decoded = fast.decode(values)
    parts = {
        "join": cost(lambda: Messages.join(values), rounds),
        "decode": cost(lambda: fast.decode(values), rounds),
        "take": cost(lambda: decoded.take(order), rounds),
        "both": cost(lambda: fast.decode(values).take(order), rounds),
    }
    plain = cost(lambda: slow.decode(few), 2)
    spent = ", ".join(f"{part} {seconds / count * 1e9:.0f}" for part, seconds in parts.items())
    print(
        f"{written}: {sum(map(len, values)) / count:.0f} B/event, ns/event: {spent}; "
        f"{count / parts['both'] / 1e3:.0f} k/s, reference {len(few) / plain / 1e3:.1f} k/s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--format", choices=["json", "avro"], action="append")
    options = parser.parse_args()
    draw = random.Random(7)
    events = [event(draw) for _ in range(options.events)]
    schemas = ShippedSchemas()
    schema = schemas.writer_schema(1) or ""
    batches: dict[FormatName, list[bytes]] = {
        "json": [encode_json({**e, "time": e["time"].isoformat()}) for e in events],
        "avro": [
            encode_avro(
                {**e, "time": (e["time"] - EPOCH) // timedelta(microseconds=1)},
                schema_id=1,
                schema=schema,
            )
            for e in events
        ],
    }
    del events
    gc.collect()
    gc.disable()
    for written, values in batches.items():
        if written in (options.format or batches):
            measure(written, values, schemas, options.rounds)


if __name__ == "__main__":
    main()
