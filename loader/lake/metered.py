"""An object store whose calls are counted and timed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from loader import metrics
from loader.lake.s3 import S3Store
from loader.lake.store import ObjectInfo, ObjectStore


class MeteredStore:
    """Another store, measured.

    Args:
        inner: the store that does the work. Of an :class:`~loader.lake.s3.S3Store` every HTTP request
            is counted, those included that it repeats; of any other one every call.
        samples: where the values go.
    """

    def __init__(self, inner: ObjectStore, samples: metrics.Samples) -> None:
        self._inner = inner
        self._samples = samples
        self._counts_itself = isinstance(inner, S3Store)
        if isinstance(inner, S3Store):
            inner.observe(
                on_request=lambda operation: samples.add(metrics.S3_REQUESTS, operation),
                on_own_write=lambda: samples.add(metrics.COMMIT_CONFLICTS, "own_retry"),
            )

    @property
    def url(self) -> str:
        """See :class:`~loader.lake.store.ObjectStore`."""
        return self._inner.url

    def put(self, key: str, body: bytes) -> None:
        """See :class:`~loader.lake.store.ObjectStore`."""
        with self._measured("put"):
            self._inner.put(key, body)

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """See :class:`~loader.lake.store.ObjectStore`."""
        with self._measured("put_if_absent"):
            return self._inner.put_if_absent(key, body)

    def get(self, key: str) -> bytes:
        """See :class:`~loader.lake.store.ObjectStore`."""
        with self._measured("get"):
            return self._inner.get(key)

    def scan(self, prefix: str, *, start_after: str = "") -> Iterator[ObjectInfo]:
        """See :class:`~loader.lake.store.ObjectStore`."""
        with self._measured("scan"):
            yield from self._inner.scan(prefix, start_after=start_after)

    def list_folders(self, prefix: str) -> list[str]:
        """See :class:`~loader.lake.store.ObjectStore`."""
        with self._measured("list_folders"):
            return self._inner.list_folders(prefix)

    def delete(self, keys: Iterable[str]) -> None:
        """See :class:`~loader.lake.store.ObjectStore`."""
        with self._measured("delete"):
            self._inner.delete(keys)

    @contextmanager
    def _measured(self, operation: str) -> Iterator[None]:
        started = time.monotonic()
        if not self._counts_itself:
            self._samples.add(metrics.S3_REQUESTS, operation)
        try:
            yield
        except (KeyError, GeneratorExit):
            # An absent object and a scan that was left early are answers.
            raise
        except Exception as error:
            self._samples.add(metrics.S3_ERRORS, operation, type(error).__name__)
            raise
        finally:
            self._samples.observe(metrics.S3_SECONDS, time.monotonic() - started, operation)
