"""Messages taken apart and put together."""

from __future__ import annotations

import asyncio
import struct

import pytest

from loader.local.redshift import wire


def bind(formats: list[int], values: list[bytes | None]) -> bytes:
    body = b"portal\0statement\0" + struct.pack(f"!H{len(formats)}H", len(formats), *formats)
    body += struct.pack("!H", len(values))
    for value in values:
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return body + b"\0\0"


@pytest.mark.parametrize(
    ("formats", "values", "text"),
    [
        ([], [b"a", None, b""], [b"a", b""]),
        ([1], [b"\xff", b"\xfe"], []),
        ([0, 1, 0], [b"a", b"\xff", b"b"], [b"a", b"b"]),
        ([], [], []),
    ],
)
def test_text_parameters(formats: list[int], values: list[bytes | None], text: list[bytes]) -> None:
    assert wire.text_parameters(bind(formats, values)) == text


def test_row_description_round_trip() -> None:
    columns = [wire.Column("a", b"x" * 18), wire.Column("größe", b"y" * 18)]
    body = wire.build_row_description(columns)
    assert wire.parse_row_description(body) == columns


def test_reader_finds_messages_in_any_pieces() -> None:
    rows = [wire.pack(b"D", b"\0\0" + bytes([n])) for n in range(5)]
    data = b"".join(rows) + wire.complete("SELECT 5") + wire.ready("I")

    async def read(piece: int) -> bytes:
        stream = asyncio.StreamReader()
        reader = wire.Reader(stream)

        async def feed() -> None:
            for at in range(0, len(data), piece):
                stream.feed_data(data[at : at + piece])
                await asyncio.sleep(0)
            stream.feed_eof()

        feeding = asyncio.create_task(feed())
        seen = b""
        while len(seen) < len(data):
            seen += reader.buffered_rows()
            kind, body = await reader.message()
            seen += wire.pack(kind, body)
        await feeding
        with pytest.raises(ConnectionResetError):
            await reader.message()
        return seen

    for piece in (1, 3, 7, 1000):
        assert asyncio.run(read(piece)) == data
