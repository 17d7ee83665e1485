"""PostgreSQL protocol 3.0 messages: framing, building and taking apart. No policy.

A message is one type byte, an int32 length that counts itself, and the body.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

CHUNK = 1 << 18
SSL_REQUEST = 80877103
GSS_REQUEST = 80877104
CANCEL_REQUEST = 80877102
PROTOCOL_3 = 196608

Message = tuple[bytes, bytes]  # type byte, body
Sender = Callable[[bytes], Awaitable[None]]


class Reader:
    """Reads whole messages, and runs of DataRow without taking them apart."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self._stream = stream
        self._buffer = bytearray()
        self._at = 0

    async def _need(self, count: int) -> None:
        while len(self._buffer) - self._at < count:
            if self._at > CHUNK:
                del self._buffer[: self._at]
                self._at = 0
            data = await self._stream.read(CHUNK)
            if not data:
                raise ConnectionResetError("the peer closed the connection")
            self._buffer += data

    async def exactly(self, count: int) -> bytes:
        """``count`` bytes.

        Raises:
            ConnectionResetError: the peer closed first.
        """
        await self._need(count)
        out = bytes(self._buffer[self._at : self._at + count])
        self._at += count
        if self._at == len(self._buffer):
            self._buffer.clear()
            self._at = 0
        return out

    async def message(self) -> Message:
        """The next message.

        Safe to cancel: nothing is consumed before the whole message is there.

        Raises:
            ConnectionResetError: the peer closed first.
        """
        await self._need(5)
        (size,) = struct.unpack_from("!I", self._buffer, self._at + 1)
        await self._need(1 + size)
        raw = await self.exactly(1 + size)
        return raw[:1], raw[5:]

    def buffered_rows(self) -> bytes:
        """The complete DataRow messages that are here already, raw and in one piece."""
        start = at = self._at
        buffer, end = self._buffer, len(self._buffer)
        while at + 5 <= end and buffer[at] == 0x44:
            stop = at + 1 + int.from_bytes(buffer[at + 1 : at + 5], "big")
            if stop > end:
                break
            at = stop
        if at == start:
            return b""
        out = bytes(buffer[start:at])
        self._at = at
        if at == end:
            buffer.clear()
            self._at = 0
        return out


def pack(kind: bytes, body: bytes = b"") -> bytes:
    """One message on the wire."""
    return kind + struct.pack("!I", len(body) + 4) + body


def copy_data_head(size: int) -> bytes:
    """What stands before ``size`` bytes of a CopyData."""
    return b"d" + struct.pack("!I", size + 4)


def cstring(text: str) -> bytes:
    """A NUL-terminated string."""
    return text.encode() + b"\0"


def take_cstring(body: bytes, at: int) -> tuple[str, int]:
    """The string at ``at`` and the offset behind its NUL. Invalid UTF-8 is kept as surrogates."""
    end = body.index(0, at)
    return body[at:end].decode("utf-8", "surrogateescape"), end + 1


def startup(parameters: dict[str, str]) -> bytes:
    """A StartupMessage of protocol 3.0."""
    body = b"".join(cstring(key) + cstring(value) for key, value in parameters.items()) + b"\0"
    return struct.pack("!II", len(body) + 8, PROTOCOL_3) + body


def parse_startup(body: bytes) -> dict[str, str]:
    """The parameters of a StartupMessage (without length and version)."""
    parts = body.split(b"\0")
    pairs = zip(parts[0::2], parts[1::2], strict=False)
    return {key.decode(): value.decode("utf-8", "replace") for key, value in pairs if key}


Fields = dict[str, str]


def parse_fields(body: bytes) -> Fields:
    """The fields of an ErrorResponse or NoticeResponse by their letter."""
    out: Fields = {}
    for part in body.split(b"\0"):
        if part:
            out[chr(part[0])] = part[1:].decode("utf-8", "replace")
    return out


def build_fields(fields: Fields) -> bytes:
    """The body of an ErrorResponse or NoticeResponse."""
    return b"".join(key.encode() + cstring(value) for key, value in fields.items()) + b"\0"


def error(fields: Fields) -> bytes:
    """An ErrorResponse."""
    return pack(b"E", build_fields(fields))


def notice(fields: Fields) -> bytes:
    """A NoticeResponse."""
    return pack(b"N", build_fields(fields))


def complete(tag: str) -> bytes:
    """A CommandComplete."""
    return pack(b"C", cstring(tag))


def ready(status: str) -> bytes:
    """A ReadyForQuery; status ``I``, ``T`` or ``E``."""
    return pack(b"Z", status.encode())


def parse_message(name: str, sql: str, types: bytes = b"\0\0") -> bytes:
    """A Parse; ``types`` is the raw tail (int16 count and OIDs)."""
    return pack(b"P", cstring(name) + sql.encode("utf-8", "surrogateescape") + b"\0" + types)


BIND_PLAIN = b"\0\0\0\0\0\0"  # no parameter formats, no parameters, all results as text
FLUSH = pack(b"H")
SYNC = pack(b"S")


def text_parameters(body: bytes) -> list[bytes]:
    """The parameters of a Bind that are in text format, without the NULLs."""
    at = body.index(0, body.index(0) + 1) + 1
    (count,) = struct.unpack_from("!H", body, at)
    formats = struct.unpack_from(f"!{count}H", body, at + 2)
    at += 2 + 2 * count
    (values,) = struct.unpack_from("!H", body, at)
    at += 2
    out = []
    for index in range(values):
        (size,) = struct.unpack_from("!i", body, at)
        at += 4
        binary = bool(formats) and formats[index if count > 1 else 0] == 1
        if size >= 0 and not binary:
            out.append(body[at : at + size])
        at += max(size, 0)
    return out


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a RowDescription: its name and the 18 raw bytes that follow it."""

    name: str
    rest: bytes


def parse_row_description(body: bytes) -> list[Column]:
    """The fields of a RowDescription."""
    (count,) = struct.unpack_from("!H", body)
    out, at = [], 2
    for _ in range(count):
        text, at = take_cstring(body, at)
        out.append(Column(text, body[at : at + 18]))
        at += 18
    return out


def build_row_description(columns: list[Column]) -> bytes:
    """The body of a RowDescription."""
    head = struct.pack("!H", len(columns))
    return head + b"".join(
        column.name.encode("utf-8", "surrogateescape") + b"\0" + column.rest for column in columns
    )


def parse_row(body: bytes) -> list[str | None]:
    """The values of a DataRow in text format."""
    (count,) = struct.unpack_from("!H", body)
    out: list[str | None] = []
    at = 2
    for _ in range(count):
        (size,) = struct.unpack_from("!i", body, at)
        at += 4
        if size < 0:
            out.append(None)
        else:
            out.append(body[at : at + size].decode("utf-8", "replace"))
            at += size
    return out
