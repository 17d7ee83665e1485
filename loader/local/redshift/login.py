"""Start-up of one client: TLS refused, parameters filtered, password checked, backend opened."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from loader.local.redshift import wire
from loader.local.redshift.backend import SETTINGS, Backend, Rows
from loader.local.redshift.config import StandInConfig
from loader.local.redshift.errors import SqlError

SERVER_VERSION = "8.0.2"  # Redshift's own; drivers parse it and choose their behaviour by it
Query = Callable[[str], Awaitable[Rows]]
_FORWARDED = ("application_name", "options")
_MAX_STARTUP = 10_000
_CLIENT_PARAMETERS = (
    "application_name", "client_encoding", "DateStyle", "integer_datetimes", "is_superuser",
    "session_authorization", "standard_conforming_strings", "TimeZone",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cancel:
    """A CancelRequest instead of a session; ``body`` is process id and key."""

    body: bytes


async def first_packet(reader: wire.Reader, send: wire.Sender) -> dict[str, str] | Cancel:
    """Read up to the StartupMessage, answering requests for encryption with no.

    Raises:
        SqlError: 08P01 for a packet that is none of PostgreSQL's.
    """
    while True:
        size, version = struct.unpack("!II", await reader.exactly(8))
        if not 8 <= size <= _MAX_STARTUP:
            raise SqlError("08P01", "invalid length of startup packet", severity="FATAL")
        body = await reader.exactly(size - 8)
        if version in (wire.SSL_REQUEST, wire.GSS_REQUEST):
            await send(b"N")
        elif version == wire.CANCEL_REQUEST:
            return Cancel(body)
        elif version >> 16 == 3:
            if version != wire.PROTOCOL_3:  # a newer minor version: say which one is spoken
                await send(wire.pack(b"v", struct.pack("!II", wire.PROTOCOL_3, 0)))
            return wire.parse_startup(body)
        else:
            text = f"unsupported frontend protocol {version >> 16}.{version & 0xFFFF}"
            raise SqlError("08P01", text, severity="FATAL")


async def authenticate(
    parameters: dict[str, str],
    config: StandInConfig,
    reader: wire.Reader,
    send: wire.Sender,
    query: Query,
) -> None:
    """Check user, password (md5 challenge) and database.

    Args:
        parameters: of the StartupMessage.
        config: its login is checked against the configuration, other users against the database.
        reader: what the client sends.
        send: what goes to the client.
        query: asks the backend, as its superuser.

    Raises:
        SqlError: 28000 for a wrong user or password, 3D000 for another database.
    """
    user = parameters.get("user", "")
    salt = secrets.token_bytes(4)
    await send(wire.pack(b"R", struct.pack("!I", 5) + salt))
    kind, answer = await reader.message()
    login = config.login
    inner = (
        _md5(login.password.get_secret_value().encode() + login.user.encode())
        if user == login.user
        else await _stored(user, query)
    )
    right = b"md5" + _md5(inner + salt)
    matches = hmac.compare_digest(answer.rstrip(b"\0"), right)
    if kind != b"p" or not matches or not inner:
        text = f'password authentication failed for user "{user}"'
        raise SqlError("28000", text, severity="FATAL")
    database = parameters.get("database", user)
    if database != config.backend.database:
        raise SqlError("3D000", f'database "{database}" does not exist', severity="FATAL")
    await send(wire.pack(b"R", struct.pack("!I", 0)))


async def _stored(user: str, query: Query) -> bytes:
    """The digest kept for a user of the database; empty for one who may not log in."""
    who = user.replace("\0", "").replace("'", "''")
    rows = await query(
        "SELECT rolpassword FROM pg_authid WHERE rolcanlogin"  # noqa: S608 - quoted
        f" AND rolname = '{who}' AND coalesce(rolvaliduntil > now(), true)"
    )
    stored = rows[0][0] if rows else None
    return stored.removeprefix("md5").encode() if stored else b""


def _md5(data: bytes) -> bytes:
    # The protocol's own digest (AuthenticationMD5Password), not our choice.
    return hashlib.md5(data, usedforsecurity=False).hexdigest().encode()


async def open_backend(
    parameters: dict[str, str], config: StandInConfig, send: wire.Sender
) -> Backend:
    """Open the session's backend and finish the client's start-up.

    Raises:
        Unreachable: the backend does not answer.
        SqlError: the backend refused.
    """
    passed = {key: parameters[key] for key in _FORWARDED if key in parameters}
    address = config.backend
    backend = await Backend.connect(
        address.host,
        address.port,
        {"user": parameters.get("user", ""), "database": address.database, **SETTINGS, **passed},
    )
    out = bytearray()
    known = {key: backend.parameters.get(key) for key in _CLIENT_PARAMETERS}
    for key, value in {"server_version": SERVER_VERSION, **known}.items():
        if value is not None:
            out += wire.pack(b"S", wire.cstring(key) + wire.cstring(value))
    await send(bytes(out) + wire.pack(b"K", backend.key) + wire.ready("I"))
    return backend
