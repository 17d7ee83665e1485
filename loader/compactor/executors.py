"""Where units of compaction run: here, in processes of this machine, or on Dask's workers.

All three run the same function on the same data, so what a sync makes does not depend on them.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from typing import Any, Final, Protocol

import orjson

from loader import config
from loader.compactor.event_units import EventUnit, TableOutput, run_event_unit
from loader.compactor.user_units import (
    FoldOutput,
    FoldUnit,
    RenderUnit,
    run_fold_unit,
    run_render_unit,
)
from loader.errors import Terminal, Unreachable, UsageError
from loader.lake.store import ObjectStore

#: Rows from which on starting processes (one to two seconds) pays.
WORTH_A_PROCESS: Final = 500_000

#: How long a Dask scheduler may take to answer, seconds.
DASK_SECONDS: Final = 10.0

Unit = EventUnit | FoldUnit | RenderUnit
Result = tuple[TableOutput, ...] | tuple[FoldOutput, ...]


class Executor(Protocol):
    """Runs units in any order."""

    def run(self, units: Sequence[Unit]) -> Iterator[tuple[int, Result]]:
        """Run all units; each one's place in ``units`` and its result, as they come.

        Raises:
            LoaderError: the first error of a unit; the others are dropped.
        """
        ...

    def close(self) -> None:
        """Give back processes and connections."""
        ...


def run_unit(unit: Unit, store: ObjectStore) -> Result:
    """Run one unit on ``store``."""
    match unit:
        case EventUnit():
            return run_event_unit(unit, store)
        case FoldUnit():
            return run_fold_unit(unit, store)
        case RenderUnit():
            return (run_render_unit(unit, store),)


@cache
def _open(lake: str) -> ObjectStore:
    from loader.lake.s3 import S3Store  # noqa: PLC0415 - only where a worker needs it

    return S3Store.open(config.Lake.model_validate_json(lake))


def _reveal(lake: config.Lake) -> str:
    """The lake's settings with their secret, as text: sent to workers, never shown."""
    document = lake.model_dump(mode="json")
    if lake.secret_access_key is not None:
        document["secret_access_key"] = lake.secret_access_key.get_secret_value()
    return orjson.dumps(document).decode()


_worker_lake = ""


def _start_worker(lake: str) -> None:
    global _worker_lake  # noqa: PLW0603 - set once, when the process starts
    _worker_lake = lake


def _run_in_worker(unit: Unit) -> Result:
    return run_unit(unit, _open(_worker_lake))


def _run_on_dask(unit: Unit, lake: str) -> Result:
    return run_unit(unit, _open(lake))


class Here:
    """Runs units one after the other in this process: what a small sync needs."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def run(self, units: Sequence[Unit]) -> Iterator[tuple[int, Result]]:
        """See :class:`Executor`."""
        for number, unit in enumerate(units):
            yield number, run_unit(unit, self._store)

    def close(self) -> None:
        """See :class:`Executor`."""


class Processes:
    """Runs units in a pool of processes, started anew (``spawn``): no inherited locks or sockets.

    Args:
        store: used where the work is not worth a process.
        lake: how a worker opens the lake.
        workers: processes at most.
    """

    def __init__(self, store: ObjectStore, lake: config.Lake, workers: int) -> None:
        self._here = Here(store)
        self._lake = _reveal(lake)
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def run(self, units: Sequence[Unit]) -> Iterator[tuple[int, Result]]:
        """See :class:`Executor`."""
        small = self._pool is None and sum(unit.rows for unit in units) < WORTH_A_PROCESS
        if len(units) < 2 or self._workers < 2 or small:
            yield from self._here.run(units)
            return
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start_worker,
                initargs=(self._lake,),
            )
        futures = {self._pool.submit(_run_in_worker, unit): n for n, unit in enumerate(units)}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool:
            raise Terminal(
                "A worker process of the compactor died, most likely for want of memory.",
                hint="Lower sync.group_rows or executor.workers.",
            ) from None
        finally:
            _cancel(futures)

    def close(self) -> None:
        """See :class:`Executor`."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


def _cancel(futures: dict[Future[Result], int]) -> None:
    for future in futures:
        future.cancel()


class Dask:
    """Runs units on the workers of a Dask scheduler, which have the loader installed."""

    def __init__(self, lake: config.Lake, address: str) -> None:
        try:
            import distributed  # noqa: PLC0415 - heavy, and not always installed
        except ImportError:
            raise UsageError(
                "executor.kind is dask, and Dask is not installed.",
                hint="Install heap-loader[dask].",
            ) from None
        try:
            client: Any = distributed.Client
            self._client = client(address, timeout=DASK_SECONDS, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise Unreachable(
                f"The Dask scheduler at {address} cannot be reached: {type(error).__name__}.",
                hint="Is it up, and executor.address right?",
            ) from None
        self._lake = _reveal(lake)

    def run(self, units: Sequence[Unit]) -> Iterator[tuple[int, Result]]:
        """See :class:`Executor`."""
        import distributed  # noqa: PLC0415

        completed: Any = distributed.as_completed

        futures = {
            self._client.submit(_run_on_dask, unit, self._lake, pure=False): n
            for n, unit in enumerate(units)
        }
        try:
            for future in completed(list(futures), loop=self._client.loop):
                yield futures[future], future.result()
        finally:
            self._client.cancel(list(futures))

    def close(self) -> None:
        """See :class:`Executor`."""
        self._client.close()


def open_executor(settings: config.Settings, store: ObjectStore) -> Executor:
    """The configured executor.

    Raises:
        UsageError: Dask without an address, or not installed.
        Unreachable: no Dask scheduler answers.
    """
    if settings.executor.kind == "dask":
        if settings.executor.address is None:
            raise UsageError("executor.kind is dask and executor.address is not set.")
        return Dask(settings.lake, settings.executor.address)
    return Processes(store, settings.lake, settings.executor.workers)
