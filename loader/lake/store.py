"""What the loader needs of an object store, and nothing more.

S3 is strongly consistent for reads after writes and for lists, and offers one compare-and-set that
matters here: ``PutObject`` with ``If-None-Match: *`` (Amazon S3 user guide, conditional writes).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object as a list shows it: ``size`` in bytes, ``modified`` in seconds since the epoch."""

    key: str
    size: int
    modified: float


class ObjectStore(Protocol):
    """Keys are relative to the lake's prefix and never start with ``/``.

    Every method may raise :class:`~loader.errors.Unreachable` after bounded retries, naming the
    endpoint and the operation.
    """

    @property
    def url(self) -> str:
        """Where this store is, for people: ``s3://bucket/prefix``."""
        ...

    def put(self, key: str, body: bytes) -> None:
        """Write an object, replacing what stands there. Returns when it is durable."""
        ...

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Write an object only where none stands.

        Returns:
            True if ``body`` is what the key holds now, by this call or by an earlier one whose
            answer was lost; False if another body stands there. ``body`` must therefore be unique
            to its writer: a retried request sees its own write as a conflict.
        """
        ...

    def get(self, key: str) -> bytes:
        """Read an object whole.

        Raises:
            KeyError: no such object.
        """
        ...

    def scan(self, prefix: str, *, start_after: str = "") -> Iterator[ObjectInfo]:
        """Objects under ``prefix`` in ascending order of key (UTF-8 bytes), after ``start_after``."""
        ...

    def list_folders(self, prefix: str) -> list[str]:
        """The distinct next path segments under ``prefix`` (which ends in ``/``), sorted."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; absent ones are no error."""
        ...
