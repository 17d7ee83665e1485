"""Metrics: named as Prometheus asks, summed over processes, readable by its own parser."""

from __future__ import annotations

import json
import re
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from loader import metrics
from loader.metrics import BY_NAME, CATALOGUE, PREFIX, Metric, Samples, lasting, merged
from loader.metrics_text import exposition


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_each_metric_keeps_to_the_naming_rules(metric: Metric) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.name)
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    assert metric.unit
    assert metric.meaning.endswith(".")
    assert all(re.fullmatch(r"[a-z_]+", label) and label != "le" for label in metric.labels)
    assert (metric.kind == "histogram") == bool(metric.bounds)
    assert list(metric.bounds) == sorted(metric.bounds)


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(CATALOGUE)


def test_a_gauge_is_set_and_dropped_and_a_counter_only_grows() -> None:
    samples = Samples()
    samples.set(metrics.DURABLE_OFFSET, 5, "t", "0")
    samples.set(metrics.DURABLE_OFFSET, 7, "t", "0")
    samples.set(metrics.LAG_SECONDS, 1.5, "t", "0")
    samples.drop(metrics.LAG_SECONDS, "t", "0")
    samples.drop(metrics.LAG_SECONDS, "t", "9")
    samples.add(metrics.RECORDS, "t", "written", amount=3)
    samples.add(metrics.RECORDS, "t", "written")
    samples.add(metrics.RECORDS, "t", "dead_lettered")
    assert sorted(samples.snapshot()) == [
        ("durable_offset", ("t", "0"), 7),
        ("records_total", ("t", "dead_lettered"), 1),
        ("records_total", ("t", "written"), 4),
    ]
    assert samples.total(metrics.RECORDS) == 5


def test_labels_and_kinds_that_do_not_fit_are_refused() -> None:
    samples = Samples()
    with pytest.raises(ValueError, match="durable_offset is a gauge"):
        samples.set(metrics.DURABLE_OFFSET, 5, "t")
    with pytest.raises(ValueError, match="records_total is a counter"):
        samples.set(metrics.RECORDS, 5, "t", "written")
    with pytest.raises(ValueError, match="batch_rows is a histogram"):
        samples.add(metrics.BATCH_ROWS, "t")


def test_threads_lose_no_count() -> None:
    samples = Samples()

    def count() -> None:
        for _ in range(2000):
            samples.add(metrics.S3_REQUESTS, "PutObject")
            samples.observe(metrics.S3_SECONDS, 0.2, "put")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert samples.total(metrics.S3_REQUESTS) == 8000


def test_snapshots_of_processes_are_merged_after_a_journey_as_json() -> None:
    one, two = Samples(), Samples()
    for samples, offset in ((one, 5), (two, 9)):
        samples.set(metrics.DURABLE_OFFSET, offset, "t", "0")
        samples.add(metrics.S3_REQUESTS, "PutObject", amount=offset)
        samples.observe(metrics.BATCH_AGE, offset, "t")
    travelled = json.loads(json.dumps([one.snapshot(), two.snapshot()]))
    whole = {(name, labels): value for name, labels, value in merged(travelled)}
    assert whole["durable_offset", ("t", "0")] == 9
    assert whole["s3_requests_total", ("PutObject",)] == 14
    buckets = whole["batch_age_seconds", ("t",)]
    assert isinstance(buckets, list)
    assert (buckets[0], sum(buckets[1:])) == (14, 2)


def test_of_a_process_that_ended_what_grew_stays_and_gauges_go() -> None:
    samples = Samples()
    samples.set(metrics.BUFFERED_BYTES, 5, "0")
    samples.add(metrics.DEAD_LETTERS, "bad_time")
    samples.observe(metrics.BATCH_ROWS, 5, "t")
    names = {name for name, _, _ in lasting(samples.snapshot())}
    assert names == {"dead_letters_total", "batch_rows"}


def test_the_exposition_is_what_prometheus_reads() -> None:
    samples = Samples()
    samples.set(metrics.LAG_SECONDS, 1.5, 'awkward"\n\\topic', "3")
    samples.add(metrics.RECORDS, "t", "written", amount=12)
    for value in (50, 100, 101, 10_000_000):
        samples.observe(metrics.BATCH_ROWS, value, "t")
    text = exposition(samples.snapshot()).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    (lag,) = families[PREFIX + "lag_seconds"].samples
    assert (lag.labels, lag.value) == ({"topic": 'awkward"\n\\topic', "partition": "3"}, 1.5)
    (records,) = families[PREFIX + "records"].samples
    assert (records.name, records.value) == (PREFIX + "records_total", 12)
    rows = families[PREFIX + "batch_rows"]
    assert rows.type == "histogram"
    by_bound = {s.labels["le"]: s.value for s in rows.samples if "le" in s.labels}
    assert (by_bound["100.0"], by_bound["1000.0"], by_bound["5000000.0"]) == (2, 3, 3)
    assert by_bound["+Inf"] == 4
    assert {s.name: s.value for s in rows.samples}[PREFIX + "batch_rows_sum"] == 10_000_251
    assert families[PREFIX + "lag_seconds"].documentation == metrics.LAG_SECONDS.meaning
