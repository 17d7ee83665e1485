"""A real OpenSSH server on 127.0.0.1, with keys of the test's own, run by an unprivileged account.

A machine without one gets Debian's package into the cache, unpacked, not installed: no root needed.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncssh
import psutil

from loader.local.kafka_jars import cache_directory
from loader.local.ports import HOST, choose

#: What the package needs beside what every Debian machine has.
PACKAGES = ("openssh-server", "libwrap0")


def sshd_tree() -> Path:
    """A folder with ``usr/sbin/sshd`` and the libraries that it needs: the machine's, or the cache's."""
    if Path("/usr/sbin/sshd").exists():
        return Path("/")
    kept = cache_directory() / "openssh-server"
    if not (kept / "usr/sbin/sshd").exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix="incomplete-") as scratch:
            tree = Path(scratch) / "tree"
            _download(Path(scratch))
            for package in Path(scratch).glob("*.deb"):
                subprocess.run(["dpkg", "-x", package, tree], check=True)
            shutil.rmtree(kept, ignore_errors=True)
            tree.rename(kept)
    return kept


def _download(folder: Path) -> None:
    """Fetch the packages with apt's own lists, or with new ones of our own where it has none."""
    for lists in ((), _own_lists(folder)):
        if lists:
            subprocess.run(["apt-get", *lists, "-qq", "update"], check=True, cwd=folder)
        done = subprocess.run(
            ["apt-get", *lists, "-qq", "download", *PACKAGES],
            check=False, capture_output=True, text=True, cwd=folder,
        )  # fmt: skip
        if done.returncode == 0:
            return
    raise AssertionError(
        f"No OpenSSH server here, and none could be fetched: {done.stderr}. "
        "Install one: apt-get install openssh-server"
    )


def _own_lists(folder: Path) -> tuple[str, ...]:
    (folder / "lists/partial").mkdir(parents=True)
    return ("-o", f"Dir::State::Lists={folder}/lists", "-o", f"Dir::Cache={folder}")


class Sshd:
    """A running server that forwards ports for one key, and does nothing else.

    Attributes:
        port: where it listens.
        username: who logs in.
        private_key: file of the key that it lets in.
        known_hosts: a file that holds its host key.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._account = _account()
        self.username = self._account.pw_name
        self.port = choose(("sshd",), remembered={})["sshd"]
        self.private_key = home / "id_ed25519"
        self.known_hosts = home / "known_hosts"
        self.authorized_keys = home / "authorized_keys"
        self._process: subprocess.Popen[bytes] | None = None
        key = asyncssh.generate_private_key("ssh-ed25519")
        _write(self.private_key, key.export_private_key())
        # As `heap-loader setup` says it on a bastion.
        public = key.export_public_key().decode()
        self.authorized_keys.write_text(f"restrict,port-forwarding {public}")
        self.renew_host_key()
        self._write_known_hosts()
        self._program = self._place_program()

    @property
    def log(self) -> str:
        return (self._home / "log").read_text(errors="replace")

    def renew_host_key(self) -> None:
        """Give the server another host key, from its next start on."""
        self._host_key = asyncssh.generate_private_key("ssh-ed25519")
        _write(self._home / "host_key", self._host_key.export_private_key())
        self._own(self._home / "host_key")

    def _write_known_hosts(self) -> None:
        algorithm, data = self._host_key.export_public_key().decode().split()[:2]
        self.known_hosts.write_text(f"[{HOST}]:{self.port} {algorithm} {data}\n")

    @property
    def fingerprint(self) -> str:
        return self._host_key.get_fingerprint()

    def _own(self, path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def _place_program(self) -> list[str]:
        """Where the account can run it: a cache under /root is closed to it."""
        tree = sshd_tree()
        if tree == Path("/"):
            return ["/usr/sbin/sshd"]
        ours = self._home / "tree"
        shutil.copytree(tree, ours, symlinks=True, ignore=shutil.ignore_patterns("share"))
        program = [str(ours / "usr/sbin/sshd")]
        # From OpenSSH 9.8 on it is several programs.
        for option, name in (("SshdSessionPath", "sshd-session"), ("SshdAuthPath", "sshd-auth")):
            if (part := ours / "usr/lib/openssh" / name).exists():
                program += ["-o", f"{option}={part}"]
        return program

    def start(self) -> None:
        """Run it, until it accepts connections."""
        options = {
            "ListenAddress": f"{HOST}:{self.port}",
            "HostKey": self._home / "host_key",
            "AuthorizedKeysFile": self.authorized_keys,
            "PidFile": "none",
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "AllowTcpForwarding": "local",
            "PermitTTY": "no",
        }
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        command = [*self._program, "-D", "-e", "-f", "/dev/null", *words]
        if os.geteuid() == 0:
            demote = [sys.executable, "-P", "-m", "loader.local.demote"]
            command = [*demote, self._account.pw_name, *command]
        libraries = ":".join(str(path) for path in (self._home / "tree").glob("**/*-linux-gnu"))
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd="/",
                env={
                    "LD_LIBRARY_PATH": libraries,
                    "PYTHONPATH": str(Path(__file__).parents[2]),
                    "PATH": os.environ["PATH"],
                },
                stdout=log,
                stderr=log,
            )
        pause = threading.Event()
        for _ in range(600):
            assert self._process.poll() is None, self.log
            try:
                socket.create_connection((HOST, self.port), timeout=1).close()
            except OSError:
                pause.wait(0.05)
            else:
                return
        raise AssertionError(self.log)

    def connections(self) -> list[psutil.Process]:
        """The processes of its connections."""
        assert self._process is not None
        return psutil.Process(self._process.pid).children(recursive=True)

    def cut(self) -> None:
        """End every connection, as a lost network or a restarted bastion does."""
        for process in self.connections():
            process.kill()

    def freeze(self) -> None:
        """Let every connection go silent without closing it, as a bastion does that lost its power."""
        for process in self.connections():
            process.suspend()

    def stop(self) -> None:
        """End it, with its connections."""
        if self._process is not None:
            self.cut()
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def sshd() -> Iterator[Sshd]:
    """Start a server, and end it."""
    with tempfile.TemporaryDirectory(prefix="heap-loader-sshd-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        server = Sshd(home)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _write(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(data)


def _account() -> pwd.struct_passwd:
    """Ours; where that is root, another one: only root's server needs a system account of its own."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    return pwd.getpwnam("daemon")  # to systemd, "nobody" is locked
