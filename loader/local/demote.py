"""Run a program as an unprivileged account.

``python -m loader.local.demote [--reach] USER PROGRAM ARGUMENTS...``

PostgreSQL refuses to run as root, and a container's only account is often root. This module
becomes ``USER`` and then the program (``exec``: the pid stays). With ``--reach`` the program keeps
one capability, CAP_DAC_OVERRIDE, so that it can pass through directories closed to others (a
stack or a virtual environment under ``/root``): capabilities(7), ambient set.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys

_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def become(user: str, *, reach: bool) -> None:
    """Turn this process, run by root, into ``user`` for good.

    Args:
        user: name of an account of this machine.
        reach: keep CAP_DAC_OVERRIDE, also across ``exec``. Linux only.

    Raises:
        OSError: the kernel refused (a container without CAP_SETUID, for example).
        KeyError: there is no such account.
    """
    account = pwd.getpwnam(user)
    libc = ctypes.CDLL(None, use_errno=True)
    if reach:
        _checked(libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    if reach:
        data = (_Data * 2)()
        bit = 1 << _CAP_DAC_OVERRIDE
        data[0].effective = data[0].permitted = data[0].inheritable = bit
        _checked(libc.capset(ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), data))
        _checked(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0))


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def main(argv: list[str]) -> None:
    """Become the account named in ``argv`` and execute the rest of it."""
    reach = argv[0] == "--reach"
    user, *command = argv[1:] if reach else argv
    try:
        become(user, reach=reach)
        os.execv(command[0], command)  # noqa: S606 - that is what this module is for
    except (OSError, KeyError) as error:
        sys.exit(f"{command[0]} could not be run as {user}: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
