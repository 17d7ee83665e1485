"""An object store in memory, with the same contract as the real one. For tests and for dry runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator

from loader.lake.store import ObjectInfo


class MemoryStore:
    """Objects in a dict. Safe for threads; not shared between processes."""

    def __init__(self, url: str = "memory://lake") -> None:
        self._url = url
        self._objects: dict[str, tuple[bytes, float]] = {}
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """``memory://`` and a name."""
        return self._url

    def put(self, key: str, body: bytes) -> None:
        """See :class:`~loader.lake.store.ObjectStore`."""
        with self._lock:
            self._objects[key] = (bytes(body), time.time())

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """See :class:`~loader.lake.store.ObjectStore`."""
        with self._lock:
            stored = self._objects.setdefault(key, (bytes(body), time.time()))
            return stored[0] == body

    def get(self, key: str) -> bytes:
        """See :class:`~loader.lake.store.ObjectStore`."""
        with self._lock:
            return self._objects[key][0]

    def scan(self, prefix: str, *, start_after: str = "") -> Iterator[ObjectInfo]:
        """See :class:`~loader.lake.store.ObjectStore`."""
        with self._lock:
            found = [
                ObjectInfo(key, len(body), modified)
                for key, (body, modified) in self._objects.items()
                if key.startswith(prefix) and key > start_after
            ]
        yield from sorted(found, key=lambda info: info.key.encode())

    def list_folders(self, prefix: str) -> list[str]:
        """See :class:`~loader.lake.store.ObjectStore`."""
        with self._lock:
            rests = [key[len(prefix) :] for key in self._objects if key.startswith(prefix)]
        return sorted({rest.split("/", 1)[0] for rest in rests if "/" in rest})

    def delete(self, keys: Iterable[str]) -> None:
        """See :class:`~loader.lake.store.ObjectStore`."""
        with self._lock:
            for key in keys:
                self._objects.pop(key, None)
