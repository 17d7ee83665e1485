"""A store that counts requests as S3 does: a list is one for each 1,000 objects."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator

from loader.lake.store import ObjectInfo, ObjectStore

PAGE = 1000


class CountingStore:
    """Any store, counted."""

    def __init__(self, inner: ObjectStore) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self.requests: Counter[str] = Counter()

    def taken(self) -> dict[str, int]:
        """The requests since the last time, by kind."""
        with self._lock:
            counted = dict(self.requests)
            self.requests.clear()
        return counted

    @property
    def url(self) -> str:
        return self._inner.url

    def put(self, key: str, body: bytes) -> None:
        self._count("put")
        self._inner.put(key, body)

    def put_if_absent(self, key: str, body: bytes) -> bool:
        self._count("put")
        return self._inner.put_if_absent(key, body)

    def get(self, key: str) -> bytes:
        self._count("get")
        return self._inner.get(key)

    def scan(self, prefix: str, *, start_after: str = "") -> Iterator[ObjectInfo]:
        self._count("list")
        for n, info in enumerate(self._inner.scan(prefix, start_after=start_after)):
            if n and n % PAGE == 0:
                self._count("list")
            yield info

    def list_folders(self, prefix: str) -> list[str]:
        self._count("list")
        return self._inner.list_folders(prefix)

    def delete(self, keys: Iterable[str]) -> None:
        self._count("delete")
        self._inner.delete(keys)

    def _count(self, kind: str) -> None:
        with self._lock:
            self.requests[kind] += 1
