"""What supervisor and workers say to each other arrives as it was said, secrets included."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loader import metrics
from loader.config import load
from loader.consumer import reports
from loader.consumer.progress import Progress, Target
from loader.consumer.reports import End, Ready, Report, Start
from loader.metrics import Samples
from tests.support.fake_worker import REPORT


def test_a_worker_gets_the_configuration_as_it_was_read(tmp_path: Path) -> None:
    path = tmp_path / "heap-loader.toml"
    path.write_text(
        """
        [kafka]
        bootstrap_servers = "b:1"
        client = { "sasl.password" = "s1", "fetch.min.bytes" = 5, "check.crcs" = true }
        [lake]
        access_key_id = "AK"
        secret_access_key = "s2"
        [warehouse]
        password = "s3"
        schema = "other"
        copy = { iam_role = "arn" }
        [consumer]
        memory = "500MiB"
        static_id = "host-a"
        """
    )
    settings = load(path, {})
    target = Target({("t", 0): 5, ("t", 1): 0})
    line = Start(1, settings, target, verbose=True, json_logs=False).encode()
    assert line.count(b"\n") == 1
    start = Start.decode(line)
    assert start.settings == settings
    assert start.settings.lake.secret_access_key is not None
    assert start.settings.lake.secret_access_key.get_secret_value() == "s2"
    assert (start.worker, start.verbose, start.json_logs) == (1, True, False)
    assert start.target == Target({("t", 0): 5, ("t", 1): 0}, shared=True)
    unbounded = Start.decode(Start(0, settings, None, verbose=False, json_logs=True).encode())
    assert unbounded.target is None


def test_a_report_arrives_as_it_was_sent() -> None:
    samples = Samples()
    samples.set(metrics.DURABLE_OFFSET, 5, "t", "0")
    samples.observe(metrics.BATCH_ROWS, 5, "t")
    report = Report(
        progress=Progress(read=5, requests=3),
        samples=samples.snapshot(),
        joined=True,
        started=1.5,
        polled=2.5,
        wrote=2.0,
        reached=(("t", 0), ("u", 3)),
    )
    assert reports.decode(report.encode()) == report


def test_last_words_arrive() -> None:
    end = End(5, "offsets 1 to 5 are gone", "find out", memory=False)
    assert reports.decode(end.encode()) == end
    assert reports.decode(Ready().encode()) == Ready()


@pytest.mark.parametrize("cut", [0, 1, 20, -2])
def test_a_line_that_was_cut_is_told_apart(cut: int) -> None:
    with pytest.raises(ValueError, match=r"."):
        reports.decode(Report(Progress(read=1)).encode()[:cut])


@pytest.mark.parametrize("line", [b"{}", b'{"report": {}}', b'{"end": {"status": 1}}', b"[]"])
def test_another_document_is_none(line: bytes) -> None:
    with pytest.raises(ValueError, match="no report"):
        reports.decode(line)


def test_the_fake_worker_of_the_supervisors_tests_speaks_as_a_real_one() -> None:
    report = reports.decode(json.dumps({"report": REPORT}).encode())
    assert isinstance(report, Report)
    assert report.progress.read == 10
