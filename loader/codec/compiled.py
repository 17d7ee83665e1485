"""Functions that numba compiles: the loops over bytes that no array library has.

They run without the GIL, so threads decode side by side. Machine code is kept in a cache that is named
after the sources of this package: numba itself would not notice that a function called by a cached one
has changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba
from numba.core import config as numba_config

F = TypeVar("F", bound=Callable[..., Any])


def _cache_folder() -> Path:
    """A folder for machine code of exactly these sources; a temporary one where home is read-only."""
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    folder = Path(home) / "heap-loader" / "compiled" / digest.hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="heap-loader-compiled-"))
    return folder


# An empty NUMBA_CACHE_DIR means: ours. A person who sets it knows why.
if not numba_config.CACHE_DIR:
    numba_config.CACHE_DIR = str(_cache_folder())


@contextmanager
def compiling(what: str) -> Iterator[None]:
    """Have one process at a time compile something for the first time; the others take it from the cache.

    Args:
        what: a file name. Once the block has ended well, nobody waits for anybody any more.
    """
    folder = Path(numba_config.CACHE_DIR)
    done = folder / f"{what}.compiled"
    if done.exists():
        yield
        return
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = (folder / f"{what}.lock").open("w")
    except OSError:  # read-only: everybody compiles
        yield
        return
    with lock:
        # Given back with the file, however this process ends.
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
        done.touch()


_OPTIONS: Final = {
    "nogil": True,
    "cache": True,
    "error_model": "numpy",  # a division does not ask whether it is by zero
    # No reference counts: they are atomic, and cost more than the loops. An array belongs to the caller,
    # which is Python; compiled functions create none.
    "_nrt": False,
    "no_cfunc_wrapper": True,
}

#: Compile a function that Python calls.
compiled: Final = cast("Callable[[F], F]", numba.njit(**_OPTIONS))

#: Compile a function that only compiled ones call: quicker, since nothing is made for Python.
inner: Final = cast("Callable[[F], F]", numba.njit(**_OPTIONS, no_cpython_wrapper=True))
