"""A consumer that dies by SIGKILL at one effect. Run as a program by the crash tests.

Arguments: configuration file, effect (``letter``, ``data`` or ``record``), ``before`` or ``after`` it, and at
which occurrence.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from loader.config import load
from loader.consumer import app
from loader.kafka.dead_letters import DeadLetter, KafkaDeadLetters
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
        root = {"data": layout.RAW, "record": layout.LOG}.get(self._effect)
        if root is None or not key.startswith(root):
            return False
        with self._lock:
            self._left -= 1
            return self._left == 0


class MortalLetters:
    """The real dead-letter topic; the process dies at the chosen batch of letters."""

    def __init__(self, inner: KafkaDeadLetters, when: str, count: int) -> None:
        self._inner = inner
        self._when = when
        self._left = count
        self._lock = threading.Lock()

    def send(self, letters: Sequence[DeadLetter]) -> None:
        if not letters:
            return
        with self._lock:
            self._left -= 1
            chosen = self._left == 0
        if chosen and self._when == "before":
            _die()
        self._inner.send(letters)
        if chosen:
            _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    # SIGKILL is not deliverable to ourselves before the next instruction on every kernel.
    signal.pause()


def main(config: str, effect: str, when: str, count: str) -> None:
    settings = load(Path(config), {})
    store = MortalStore(S3Store.open(settings.lake), effect, when, int(count))
    letters = KafkaDeadLetters(settings.kafka, settings.topics.dead_letters.name)
    app.run(
        settings,
        until_caught_up=True,
        stop=threading.Event(),
        store=store,
        dead_letters=MortalLetters(letters, when, int(count)) if effect == "letter" else letters,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
