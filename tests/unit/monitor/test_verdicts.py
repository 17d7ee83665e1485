"""The verdict on a partition, rule by rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loader.lake.positions import Evidence
from loader.monitor.verdicts import (
    FAILING,
    Judgement,
    Message,
    NoAnswer,
    Nothing,
    Thresholds,
    Verdict,
    Waiting,
    judge,
    worst,
)

NOW = 1_800_000_000.0
LIMITS = Thresholds(warn=300, stall=3600, stop=400)
CAUGHT_UP = Evidence(
    topic="heap.events",
    partition=3,
    topic_id="id",
    chain_next=50,
    chain_topic_id="id",
    committed=50,
    log_start=10,
    high_watermark=50,
)
BEHIND = replace(CAUGHT_UP, high_watermark=90)
FRESH = replace(CAUGHT_UP, chain_next=None, chain_topic_id=None, committed=None)
EMPTY = replace(FRESH, log_start=0, high_watermark=0)
JUST_WRITTEN = NOW - 5
LONG_SILENT = NOW - 500


def said(evidence: Evidence, waiting: Waiting, written: float | None = JUST_WRITTEN) -> Judgement:
    return judge(evidence, waiting, written=written, thresholds=LIMITS, now=NOW)


def waited(seconds: float) -> Message:
    return Message(NOW - seconds)


@pytest.mark.parametrize(
    ("evidence", "waiting", "written", "verdict", "seconds"),
    [
        # Caught up, or nothing there at all.
        (CAUGHT_UP, NoAnswer(), LONG_SILENT, "ok", 0),
        (EMPTY, NoAnswer(), None, "no_data", 0),
        (replace(EMPTY, log_start=7, high_watermark=7), NoAnswer(), None, "no_data", 0),
        # A message waits: by its age, while records are written.
        (BEHIND, waited(0), JUST_WRITTEN, "ok", 0),
        (BEHIND, waited(299), JUST_WRITTEN, "ok", 299),
        (BEHIND, waited(300), JUST_WRITTEN, "warning", 300),
        (BEHIND, waited(3599), JUST_WRITTEN, "warning", 3599),
        (BEHIND, waited(3600), JUST_WRITTEN, "stalled", 3600),
        (BEHIND, waited(-60), JUST_WRITTEN, "ok", 0),
        # A message waits and no record is written: stopped, once both are old enough.
        (BEHIND, waited(399), LONG_SILENT, "warning", 399),
        (BEHIND, waited(400), LONG_SILENT, "stopped", 400),
        (BEHIND, waited(400), NOW - 399, "warning", 400),
        (BEHIND, waited(9999), LONG_SILENT, "stopped", 9999),
        (FRESH, waited(10), None, "ok", 10),
        (FRESH, waited(400), None, "stopped", 400),
        # Nothing to read up to the high watermark, or up to an open transaction.
        (BEHIND, Nothing(90), LONG_SILENT, "ok", 0),
        (BEHIND, Nothing(60), LONG_SILENT, "ok", 0),
        (BEHIND, Nothing(60, NOW - 299), LONG_SILENT, "ok", 0),
        (BEHIND, Nothing(60, NOW - 300), JUST_WRITTEN, "warning", 0),
        # Not known.
        (BEHIND, NoAnswer(), JUST_WRITTEN, "warning", None),
        (BEHIND, Message(None), LONG_SILENT, "warning", None),
        # Lost, whatever else is the case.
        (replace(BEHIND, log_start=51), waited(20), JUST_WRITTEN, "lost", 20),
        (replace(BEHIND, high_watermark=49), NoAnswer(), JUST_WRITTEN, "lost", None),
        (replace(BEHIND, chain_topic_id="old"), waited(1), JUST_WRITTEN, "lost", 1),
        (replace(BEHIND, topic_id=""), NoAnswer(), JUST_WRITTEN, "lost", None),
        (replace(BEHIND, log_start=51, committed=60), waited(1), LONG_SILENT, "lost", 1),
        # The group is ahead: Kafka still has the messages, and a reader refuses to start.
        (replace(BEHIND, committed=60), waited(1), JUST_WRITTEN, "stopped", 1),
        (replace(FRESH, committed=30), waited(1), None, "stopped", 1),
        (replace(BEHIND, committed=20), waited(1), JUST_WRITTEN, "ok", 1),
    ],
)
def test_the_rules(
    evidence: Evidence,
    waiting: Waiting,
    written: float | None,
    verdict: str,
    seconds: float | None,
) -> None:
    judgement = said(evidence, waiting, written)
    assert (judgement.verdict, judgement.lag_seconds) == (Verdict(verdict), seconds)
    if judgement.verdict in FAILING:
        assert judgement.reason
        assert judgement.hint


def test_reasons_name_the_offsets() -> None:
    assert "Offsets 50 to 89 hold no message" in said(BEHIND, Nothing(90)).reason
    assert (
        "began at offset 60 is still open after 900 s"
        in said(BEHIND, Nothing(60, NOW - 900)).reason
    )
    assert "offsets 50 to 54 are gone" in said(replace(BEHIND, log_start=55), waited(1)).reason
    assert "no topic heap.events" in said(replace(BEHIND, topic_id=""), NoAnswer()).reason


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], "no_data"),
        (["no_data", "ok"], "ok"),
        (["ok", "warning", "no_data"], "warning"),
        (["stalled", "warning"], "stalled"),
        (["stalled", "stopped"], "stopped"),
        (["lost", "stopped", "ok"], "lost"),
    ],
)
def test_the_worst_stands_for_all(verdicts: list[str], expected: str) -> None:
    assert worst(map(Verdict, verdicts)) is Verdict(expected)
