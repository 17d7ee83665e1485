"""A store that is measured: every call counted and timed, failures by kind, answers unchanged."""

from __future__ import annotations

import pytest

from loader import metrics
from loader.errors import Unreachable
from loader.lake.memory import MemoryStore
from loader.lake.metered import MeteredStore
from loader.metrics import Samples


class Away(MemoryStore):
    """A store that cannot be written."""

    def put(self, key: str, body: bytes) -> None:  # noqa: ARG002
        raise Unreachable("away")


def counted(samples: Samples, metric: metrics.Metric) -> dict[tuple[str, ...], float]:
    return {
        labels: sum(value[1:]) if isinstance(value, list) else value
        for name, labels, value in samples.snapshot()
        if name == metric.name
    }


def test_calls_are_counted_and_timed_by_operation() -> None:
    samples = Samples()
    store = MeteredStore(MemoryStore(), samples)
    store.put("a", b"1")
    store.put("b", b"2")
    assert store.put_if_absent("c", b"3")
    assert list(store.scan("")) != []
    store.delete(["a"])
    wanted = {("put",): 2, ("put_if_absent",): 1, ("scan",): 1, ("delete",): 1}
    assert counted(samples, metrics.S3_REQUESTS) == wanted
    assert counted(samples, metrics.S3_SECONDS) == wanted
    assert samples.total(metrics.S3_ERRORS) == 0


def test_a_failure_is_counted_by_its_kind_and_an_absent_object_is_none() -> None:
    samples = Samples()
    store = MeteredStore(Away(), samples)
    with pytest.raises(Unreachable):
        store.put("a", b"1")
    with pytest.raises(KeyError):
        store.get("nothing")
    assert counted(samples, metrics.S3_ERRORS) == {("put", "Unreachable"): 1}
    assert counted(samples, metrics.S3_SECONDS) == {("put",): 1, ("get",): 1}


def test_a_scan_that_is_left_early_is_no_failure() -> None:
    samples = Samples()
    store = MeteredStore(MemoryStore(), samples)
    store.put("a", b"")
    store.put("b", b"")
    scan = store.scan("")
    assert next(scan).key == "a"
    scan.close()  # type: ignore[attr-defined]
    assert samples.total(metrics.S3_ERRORS) == 0
