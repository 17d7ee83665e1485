"""The kind of a request is told from its first bytes."""

from __future__ import annotations

import struct

import pytest

from soak import requests


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"PUT /lake/soak/raw/t/date=2026-01-01/bucket=03/0-0-9-ab.parquet HTTP/1.1\r\n", "data"),
        (b"PUT /lake/soak/log/t/0/00000000000000000000.json HTTP/1.1\r\n", "record"),
        (b"PUT /lake/soak/lake.json HTTP/1.1\r\n", "other"),
        (b"GET /lake?list-type=2&prefix=soak%2Flog%2Ft%2F0%2F HTTP/1.1\r\n", "list"),
        (b"GET /lake/soak/log/t/0/00000000000000000000.json HTTP/1.1\r\n", "read"),
        (b"\x16\x03\x01", "other"),
    ],
)
def test_s3(head: bytes, kind: str) -> None:
    assert requests.s3_request(head) == kind


@pytest.mark.parametrize(
    ("key", "kind"), [(0, "letter"), (1, "fetch"), (8, "commit"), (11, "join"), (3, "other")]
)
def test_kafka(key: int, kind: str) -> None:
    assert requests.kafka_request(struct.pack(">ih", 100, key) + b"rest") == kind


def test_too_short_for_a_kind() -> None:
    assert requests.kafka_request(b"\0\0\0") == "other"
