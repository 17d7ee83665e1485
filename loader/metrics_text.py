"""Metrics as text: what Prometheus reads, and the reference page for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import (
    Metric as Family,
)
from prometheus_client.registry import Collector

from loader.metrics import CATALOGUE, PREFIX, Buckets, Metric, Snapshot

#: What :func:`exposition` returns, for HTTP.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(snapshot: Snapshot) -> bytes:
    """A snapshot in Prometheus' text format; a metric without a value is left out."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Static(snapshot))
    return generate_latest(registry)


class _Static(Collector):
    """One snapshot as families of the client library."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._values: dict[str, list[tuple[tuple[str, ...], float | Buckets]]] = defaultdict(list)
        for name, labels, value in snapshot:
            self._values[name].append((tuple(labels), value))

    def collect(self) -> Iterator[Family]:
        """Families in the order of the catalogue."""
        for metric in CATALOGUE:
            if metric.name in self._values:
                yield _family(metric, sorted(self._values[metric.name]))


def _family(metric: Metric, values: list[tuple[tuple[str, ...], float | Buckets]]) -> Family:
    name = PREFIX + metric.name
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(name, metric.meaning, labels=metric.labels)
        for labels, value in values:
            assert isinstance(value, list)  # noqa: S101 - of a histogram
            histogram.add_metric(labels, _cumulative(metric, value), value[0])
        return histogram
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(name, metric.meaning, labels=metric.labels)
    for labels, value in values:
        assert not isinstance(value, list)  # noqa: S101 - of a histogram only
        family.add_metric(labels, value)
    return family


def _cumulative(metric: Metric, buckets: Buckets) -> list[tuple[str, float]]:
    total = 0.0
    made = []
    for bound, count in zip((*metric.bounds, float("inf")), buckets[1:], strict=True):
        total += count
        made.append(("+Inf" if bound == float("inf") else str(float(bound)), total))
    return made


_INTRODUCTION = """\
# Metrics

`heap-loader consume --metrics-port 9108` (or `consumer.metrics_port`) serves the metrics of all its
workers as one, in Prometheus' text format, on 127.0.0.1 (`consumer.metrics_host`):

| path | answer |
| --- | --- |
| `/metrics` | what stands below; values are at most a second old |
| `/healthz` | 200 while every worker's loop has gone round within 60 seconds, else 503 |
| `/readyz` | 200 while every worker runs and has joined the group, else 503 |

An outage of Kafka or S3 does not fail `/healthz`: a restart would not help. Both checks answer with one
JSON document that names each worker. Counters and histograms keep counting when a worker is started
again; what it had counted in its last second may be missing. Gauges of a partition come from the worker
that reads it, and go with the assignment.

This page is generated from `loader/metrics.py`: `./scripts/docs`.

| metric | kind | unit | labels | meaning |
| --- | --- | --- | --- | --- |"""


def reference() -> str:
    """The page docs/metrics.md: every metric with its meaning."""
    lines = [_INTRODUCTION]
    for metric in CATALOGUE:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(
            f"| `{PREFIX}{metric.name}` | {metric.kind} | {metric.unit} | {labels} | {metric.meaning} |"
        )
    return "\n".join(lines) + "\n"
