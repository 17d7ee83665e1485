"""The same units in this process, in a pool of processes and on a Dask cluster."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import distributed
import pytest

from loader.compactor import executors
from loader.compactor.event_units import EventUnit, TableTask
from loader.compactor.executors import Here, Result, open_executor
from loader.config import Executor, Settings
from loader.errors import NeedsOperator, Unreachable, UsageError
from loader.lake.s3 import S3Store
from loader.model.tables import PAGEVIEWS, SESSIONS
from tests.support import traffic
from tests.support.lake_writer import LakeWriter

TASKS = (TableTask("sessions", SESSIONS), TableTask("pageviews", PAGEVIEWS))


@pytest.fixture
def units(lake: LakeWriter) -> list[EventUnit]:
    rng = random.Random(1)
    batches = [lake.events(traffic.events(rng, 40, 5)).files for _ in range(3)]
    return [EventUnit(str(n), "sync", files, TASKS, None) for n, files in enumerate(batches)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    local: Any = distributed.LocalCluster
    with local(n_workers=1, threads_per_worker=1, dashboard_address=None) as started:
        yield started


def results(settings: Settings, units: list[EventUnit]) -> list[Result]:
    store = S3Store.open(settings.lake)
    executor = open_executor(settings, store)
    try:
        found = dict(executor.run(units))
    finally:
        executor.close()
    return [found[number] for number in range(len(units))]


@pytest.mark.parametrize("kind", ["processes", "dask"])
def test_the_results_do_not_depend_on_where_they_were_made(
    settings: Settings,
    lake: LakeWriter,
    units: list[EventUnit],
    cluster: Any,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(executors, "WORTH_A_PROCESS", 0)
    chosen = Executor(kind=kind, address=cluster.scheduler_address, workers=2)
    elsewhere = results(settings.model_copy(update={"executor": chosen}), units)
    assert elsewhere == [result for _, result in Here(lake.store).run(units)]


@pytest.mark.parametrize("kind", ["processes", "dask"])
def test_a_units_error_arrives_as_it_is(
    settings: Settings,
    lake: LakeWriter,
    units: list[EventUnit],
    cluster: Any,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(executors, "WORTH_A_PROCESS", 0)
    key = units[1].files[0].key
    lake.store.delete([key])
    chosen = Executor(kind=kind, address=cluster.scheduler_address, workers=2)
    with pytest.raises(NeedsOperator, match="is missing") as caught:
        results(settings.model_copy(update={"executor": chosen}), units)
    assert key in caught.value.message
    assert caught.value.hint


def test_dask_without_a_scheduler(
    settings: Settings, units: list[EventUnit], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "DASK_SECONDS", 0.5)
    with pytest.raises(UsageError, match=r"executor\.address"):
        results(settings.model_copy(update={"executor": Executor(kind="dask")}), units)
    away = Executor(kind="dask", address="tcp://127.0.0.1:1")
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1"):
        results(settings.model_copy(update={"executor": away}), units)
