"""An SSH tunnel to a warehouse that only a bastion reaches: one tunnel for each session.

The tunnel ends in a Unix socket in a directory that only this account can enter, and for as long as
the driver needs to connect: no other user of the machine can use it, and the driver still checks
the certificate against the warehouse's own name. It lives and dies with its session, so that a cut
tunnel is a lost connection like any other: the session is replaced, and what the last statement did
is settled by the ledger.

asyncssh runs on an event loop in a thread of the tunnel's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import Any, Final, TypeVar

import asyncssh

from loader import config
from loader.errors import LoaderError, Unreachable, UsageError
from loader.warehouse.errors import Refused

T = TypeVar("T")

#: Unanswered keep-alive questions after which the bastion counts as gone.
KEEPALIVE_COUNT: Final = 3

# A Unix socket's path holds 107 bytes (unix(7)).
_LONGEST_PATH: Final = 100

logging.getLogger("asyncssh").setLevel(logging.WARNING)


class Tunnel:
    """An open tunnel.

    Args:
        settings: the bastion; ``host`` is set.
        host: the warehouse, as the bastion resolves it.
        port: its port.
        timeout: seconds for connecting and for logging in.

    Raises:
        Unreachable: the bastion does not answer.
        Refused: its host key is not known or another one, or it does not let us in.
        UsageError: the private key cannot be used, or there is none.

    Attributes:
        path: the Unix socket that leads to the warehouse; gone after :meth:`seal`.
    """

    def __init__(self, settings: config.SshTunnel, host: str, port: int, timeout: float) -> None:
        self._settings = settings
        self._target = (host, port)
        self._timeout = timeout
        self._seen: asyncssh.SSHKey | None = None
        self._connection: asyncssh.SSHClientConnection | None = None
        self._folder = _private_folder()
        self.path = self._folder / "s"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="ssh-tunnel", daemon=True
        )
        self._thread.start()
        try:
            self._run(self._open(), 2 * timeout)
        except BaseException as error:
            self.close()
            if isinstance(error, FutureTimeout):
                raise Unreachable(f"{self._where()}: no answer in time.") from None
            raise

    def seal(self) -> None:
        """Take away the socket: the session is connected, and nobody else is to be."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def check(self) -> None:
        """Ask the bastion to connect to the warehouse; used where the driver failed, to say why.

        Raises:
            Unreachable: it cannot, or the tunnel is closed.
        """
        host, port = self._target
        try:
            self._run(self._probe(), self._timeout)
        except (asyncssh.Error, OSError, FutureTimeout) as error:
            why = _reason(error) or "no answer"
            raise Unreachable(
                f"{self._where()}: it cannot connect to the warehouse at {host}:{port}: {why}.",
                hint="Check warehouse.host and port, and that the warehouse lets the bastion in.",
            ) from None

    def close(self) -> None:
        """End the tunnel and its thread. May be called again."""
        if self._loop.is_closed():
            return
        with contextlib.suppress(asyncssh.Error, OSError, FutureTimeout):
            self._run(self._end(), 5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.seal()

    def _run(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except FutureTimeout:
            future.cancel()
            raise

    async def _open(self) -> None:
        known = _known_hosts(self._settings)
        try:
            async with contextlib.AsyncExitStack() as stack:
                keys = await self._keys(stack)
                self._connection = await self._connect(known, keys)
            host, port = self._target
            await self._connection.forward_local_path_to_port(str(self.path), host, port)
        except (asyncssh.Error, OSError, TimeoutError) as error:
            raise self._explain(error, known) from None

    async def _connect(
        self, known: asyncssh.SSHKnownHosts, keys: Sequence[asyncssh.SSHKeyPair]
    ) -> asyncssh.SSHClientConnection:
        settings = self._settings

        class Client(asyncssh.SSHClient):
            """Notes the key that known_hosts does not vouch for; never accepts it."""

            def validate_host_public_key(
                _self,  # noqa: N805 - the tunnel is self here
                host: str,  # noqa: ARG002
                addr: str,  # noqa: ARG002
                port: int,  # noqa: ARG002
                key: asyncssh.SSHKey,
            ) -> bool:
                self._seen = key
                return False

        assert settings.host is not None, "the caller asks for a tunnel only where there is one"  # noqa: S101
        return await asyncssh.connect(
            settings.host,
            settings.port,
            client_factory=Client,
            # What stands in ~/.ssh/config or in the agent by chance must not decide.
            config=None,
            username=settings.username,
            client_keys=keys,
            agent_path=None,
            known_hosts=known,
            preferred_auth="publickey",
            connect_timeout=self._timeout,
            login_timeout=self._timeout,
            keepalive_interval=settings.keepalive,
            keepalive_count_max=KEEPALIVE_COUNT,
        )

    async def _keys(self, stack: contextlib.AsyncExitStack) -> Sequence[asyncssh.SSHKeyPair]:
        """The configured key, or those of the running agent, which stays open in ``stack``."""
        if self._settings.private_key_file is not None:
            return asyncssh.load_keypairs([_private_key(self._settings)])
        address = os.environ.get("SSH_AUTH_SOCK")
        if not address:
            raise UsageError(
                "The SSH tunnel has no key: warehouse.ssh_tunnel.private_key_file is unset and no "
                "ssh-agent runs (SSH_AUTH_SOCK).",
                hint="Name a key file, or start an agent and ssh-add a key to it.",
            )
        try:
            agent = await stack.enter_async_context(asyncssh.connect_agent(address))
            keys = list(await agent.get_keys())
        except (OSError, ValueError) as error:
            raise UsageError(
                f"The ssh-agent at {address} (SSH_AUTH_SOCK) does not answer: {error}.",
                hint="Start it again, or set warehouse.ssh_tunnel.private_key_file.",
            ) from None
        if not keys:
            raise UsageError(
                f"The ssh-agent at {address} holds no key.", hint="Add one with ssh-add."
            )
        return keys

    async def _probe(self) -> None:
        if self._connection is None:
            raise ConnectionResetError("the tunnel is closed")
        _, writer = await self._connection.open_connection(*self._target)
        writer.close()

    async def _end(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            await connection.wait_closed()

    def _where(self) -> str:
        settings = self._settings
        return f"SSH tunnel through {settings.username}@{settings.host}:{settings.port}"

    def _explain(self, error: BaseException, known: asyncssh.SSHKnownHosts) -> LoaderError:
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            return self._unknown_host(known)
        if isinstance(error, asyncssh.KeyExchangeFailed):
            return Refused(
                f"{self._where()}: no common method: {error.reason}.",
                hint=f"Does {self._settings.known_hosts} hold a kind of key that the host no longer has?",
            )
        if isinstance(error, asyncssh.PermissionDenied):
            return Refused(
                f"{self._where()}: it does not let {self._settings.username} in with this key.",
                hint="Put the public key on one line into that user's .ssh/authorized_keys (mode 600, "
                "the folder 700); `heap-loader setup` prints the commands.",
            )
        why = _reason(error) or "no answer in time"
        return Unreachable(
            f"{self._where()}: {why}.", hint="Check warehouse.ssh_tunnel.host and port."
        )

    def _unknown_host(self, known: asyncssh.SSHKnownHosts) -> LoaderError:
        settings, key = self._settings, self._seen
        host = settings.host or ""
        name = host if settings.port == 22 else f"[{host}]:{settings.port}"
        trusted, _, revoked, *_ = asyncssh.match_known_hosts(known, name, "", None)
        if key is None or key in revoked:
            return Refused(
                f"{self._where()}: its host key is marked as revoked in {settings.known_hosts}.",
                hint="Do not use this host before you know who holds its key.",
            )
        shown = f"{key.get_algorithm()} {key.get_fingerprint()}"
        if trusted:
            right = ", ".join(sorted(one.get_fingerprint() for one in trusted))
            return Refused(
                f"{self._where()}: THE HOST KEY HAS CHANGED. It shows {shown}; "
                f"{settings.known_hosts} has {right}.",
                hint="Somebody may stand between. Ask whoever runs the host; only if its key was really "
                f"renewed: ssh-keygen -R '{name}' -f {settings.known_hosts}",
            )
        line = key.export_public_key("openssh").decode().split()
        return Refused(
            f"{self._where()}: its host key is not in {settings.known_hosts}. It shows {shown}.",
            hint="Compare that with `ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub` on the host itself; if it "
            f"is the same, add this line to the file: {name} {line[0]} {line[1]}",
        )


def _private_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="heap-loader-"))
    if len(os.fsencode(folder)) > _LONGEST_PATH:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="heap-loader-", dir="/tmp"))
    return folder


def _known_hosts(settings: config.SshTunnel) -> asyncssh.SSHKnownHosts:
    """The file's content; a missing file knows no host."""
    path = Path(settings.known_hosts).expanduser()
    try:
        return asyncssh.import_known_hosts(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return asyncssh.import_known_hosts("")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} (warehouse.ssh_tunnel.known_hosts) cannot be read: {error}."
        ) from None


def _private_key(settings: config.SshTunnel) -> asyncssh.SSHKey:
    path = Path(settings.private_key_file or "").expanduser()
    key = "warehouse.ssh_tunnel.private_key_file"
    try:
        if path.stat().st_mode & 0o007:
            raise UsageError(
                f"{path} ({key}) can be read by every user of this machine.",
                hint=f"Let only its owner read it: chmod 600 {path}",
            )
        data = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a private key"
        raise UsageError(f"{path} ({key}) cannot be read: {why}.") from None
    passphrase = settings.passphrase.get_secret_value() if settings.passphrase else None
    try:
        return asyncssh.import_private_key(data, passphrase)
    except asyncssh.KeyEncryptionError:
        raise UsageError(f"{path} ({key}): the passphrase does not open it.") from None
    except asyncssh.KeyImportError as error:
        locked = "assphrase" in str(error)
        raise UsageError(
            f"{path} ({key}) is encrypted." if locked else f"{path} ({key}) holds no private key.",
            hint="Set warehouse.ssh_tunnel.passphrase, or use an agent." if locked else "",
        ) from None


def _reason(error: BaseException) -> str:
    """What an exception of the network or of SSH says, without a full stop; maybe nothing."""
    if isinstance(error, asyncssh.Error):
        return error.reason.rstrip(".")
    if isinstance(error, OSError) and error.errno and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).rstrip(".")
