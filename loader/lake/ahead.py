"""Fetching ahead: a request to an object store takes 20 to 50 ms, so several are under way at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def fetched_ahead(
    fetch: Callable[[K], V], keys: Iterable[K], *, most: int
) -> Iterator[tuple[K, V]]:
    """``(key, fetch(key))`` for each key, in order of ``keys``.

    One fetch is under way at first, then twice as many with each answer that is taken, up to
    ``most``: who takes only the first answer pays for one. Where ``most`` is 1, the caller's own
    thread fetches.

    Args:
        fetch: safe for threads. What it raises comes out in the place of its answer.
        keys: consumed as they are needed.
        most: fetches under way at once, from 1.
    """
    if most <= 1:
        for key in keys:
            yield key, fetch(key)
        return
    ahead = 1
    waiting: deque[tuple[K, Future[V]]] = deque()
    with ThreadPoolExecutor(most, thread_name_prefix="ahead") as pool:
        try:
            for key in keys:
                waiting.append((key, pool.submit(fetch, key)))
                if len(waiting) >= ahead:
                    taken, future = waiting.popleft()
                    yield taken, future.result()
                    ahead = min(most, 2 * ahead)
            while waiting:
                taken, future = waiting.popleft()
                yield taken, future.result()
        finally:
            for _, future in waiting:
                future.cancel()
