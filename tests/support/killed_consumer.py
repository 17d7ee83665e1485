"""A consumer that dies by SIGKILL at one effect. Run as a program by the crash tests.

Arguments: configuration file, effect (``data`` or ``record``), ``before`` or ``after`` it, and at
which occurrence.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from loader.config import load
from loader.consumer import app
from loader.lake import layout
from loader.lake.s3 import S3Store
from loader.lake.store import ObjectInfo, ObjectStore


class MortalStore:
    """The real store; the process dies at the chosen put."""

    def __init__(self, inner: ObjectStore, effect: str, when: str, count: int) -> None:
        self._inner = inner
        self._effect = effect
        self._when = when
        self._left = count
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return self._inner.url

    def put(self, key: str, body: bytes) -> None:
        chosen = self._chosen(key)
        if chosen and self._when == "before":
            _die()
        self._inner.put(key, body)
        if chosen:
            _die()

    def put_if_absent(self, key: str, body: bytes) -> bool:
        chosen = self._chosen(key)
        if chosen and self._when == "before":
            _die()
        won = self._inner.put_if_absent(key, body)
        if chosen:
            _die()
        return won

    def get(self, key: str) -> bytes:
        return self._inner.get(key)

    def scan(self, prefix: str, *, start_after: str = "") -> Iterator[ObjectInfo]:
        return self._inner.scan(prefix, start_after=start_after)

    def list_folders(self, prefix: str) -> list[str]:
        return self._inner.list_folders(prefix)

    def delete(self, keys: Iterable[str]) -> None:
        self._inner.delete(keys)

    def _chosen(self, key: str) -> bool:
        root = {"data": layout.RAW, "record": layout.LOG}[self._effect]
        if not key.startswith(root):
            return False
        with self._lock:
            self._left -= 1
            return self._left == 0


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    # SIGKILL is not deliverable to ourselves before the next instruction on every kernel.
    signal.pause()


def main(config: str, effect: str, when: str, count: str) -> None:
    settings = load(Path(config), {})
    store = MortalStore(S3Store.open(settings.lake), effect, when, int(count))
    app.run(settings, until_caught_up=True, stop=threading.Event(), store=store)


if __name__ == "__main__":
    main(*sys.argv[1:])
