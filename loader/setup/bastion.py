"""A key pair for the tunnel, and what prepares the bastion for its public half."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import asyncssh

from loader.errors import UsageError


def ensure_key(path: Path, *, comment: str) -> str:
    """The public key on one line; a pair is made where there is no file, and never replaced.

    Raises:
        UsageError: the file cannot be written, or is no private key that can be read without a
            passphrase.
    """
    if path.exists():
        try:
            key = asyncssh.read_private_key(path)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"{path} is no private key that can be read: {error}.",
                hint="Name another file with --tunnel-key; it is made.",
            ) from None
    else:
        key = asyncssh.generate_private_key("ssh-ed25519", comment=comment)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(key.export_private_key())
            path.with_name(path.name + ".pub").write_bytes(key.export_public_key())
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}.") from None
    return key.export_public_key().decode().strip()


def commands(user: str, public_key: str) -> tuple[str, ...]:
    """What root runs on the bastion: a group, a user that may only forward ports, its key."""
    name = shlex.quote(user)
    home = shlex.quote(f"/home/{user}/.ssh")
    keys = shlex.quote(f"/home/{user}/.ssh/authorized_keys")
    line = shlex.quote(f"restrict,port-forwarding {public_key}")
    add = f"useradd --create-home --gid {name} --shell /usr/sbin/nologin {name}"
    return (
        f"groupadd --force {name}",
        f"id -u {name} >/dev/null 2>&1 || {add}",
        f"install -d -m 700 -o {name} -g {name} {home}",
        f"touch {keys}",
        f"echo {line} >> {keys}",
        f"chown {name}:{name} {keys}",
        f"chmod 600 {keys}",
    )
