"""Batches under way: prepared ahead, committed in order, dropped behind one that lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from loader.consumer.pipeline import MAX_OF_PARTITION, Pipeline
from loader.consumer.writer import Written
from loader.errors import NeedsOperator, Unreachable
from loader.lake.chain import Lost, Won
from tests.support.steps import Recorder, batch


@pytest.fixture
def steps() -> Recorder:
    return Recorder()


@pytest.fixture
def pipeline(steps: Recorder) -> Iterator[Pipeline]:
    made = Pipeline(steps, encoders=2)
    made.begin(("t", 0), 0)
    made.begin(("t", 1), 20)
    yield made
    for gate in steps.gates.values():
        gate.set()
    made.close()


def ended(pipeline: Pipeline, count: int) -> list[Written]:
    """The next ``count`` results; the test's own time limit ends a wait for ever."""
    found: list[Written] = []
    while len(found) < count:
        pipeline.wait(1.0)
        found += pipeline.results()
    return found


def test_a_batch_is_prepared_while_the_one_before_it_commits(
    steps: Recorder, pipeline: Pipeline
) -> None:
    gate = steps.hold("commit", 0)
    pipeline.submit(batch(0))
    assert steps.entered["commit", 0].wait(30)
    second = steps.hold("prepare", 10)
    pipeline.submit(batch(10))
    assert steps.entered["prepare", 10].wait(30)
    second.set()
    assert steps.committed == []
    gate.set()
    assert [written.record.first for written in ended(pipeline, 2)] == [0, 10]
    assert steps.committed == [0, 10]
    assert len(pipeline) == 0


def test_a_batch_that_is_prepared_first_waits_for_its_predecessor(
    steps: Recorder, pipeline: Pipeline
) -> None:
    gate = steps.hold("prepare", 0)
    for one in (batch(0), batch(10), batch(20, partition=1)):
        pipeline.submit(one)
    # Another partition's batch does not wait for it.
    assert [written.record.partition for written in ended(pipeline, 1)] == [1]
    gate.set()
    assert [written.record.first for written in ended(pipeline, 2)] == [0, 10]


def test_what_stands_behind_a_lost_batch_is_dropped(steps: Recorder, pipeline: Pipeline) -> None:
    steps.losers.add(0)
    gate = steps.hold("commit", 0)
    pipeline.submit(batch(0))
    pipeline.submit(batch(10))
    pipeline.submit(batch(20, partition=1))
    assert [written.record.partition for written in ended(pipeline, 1)] == [1]
    gate.set()
    (lost,) = ended(pipeline, 1)
    assert lost.outcome == Lost(1000)
    assert len(pipeline) == 0
    assert 10 not in steps.committed


def test_a_failure_is_raised_and_takes_its_successors_along(
    steps: Recorder, pipeline: Pipeline
) -> None:
    steps.failures["prepare", 0] = [NeedsOperator("too many are refused")]
    pipeline.submit(batch(0))
    pipeline.submit(batch(10))
    with pytest.raises(NeedsOperator):
        ended(pipeline, 1)
    pipeline.drain(30)
    assert steps.committed == []


def test_nothing_follows_a_loss_until_the_consumer_says_where_it_reads_on(
    steps: Recorder, pipeline: Pipeline
) -> None:
    """A record behind a lost one would leave a gap, or overlap the winner's."""
    steps.losers.add(0)
    pipeline.submit(batch(0))
    pipeline.drain(30)
    # The consumer has not looked yet, and goes on as if nothing had happened.
    pipeline.submit(batch(10))
    pipeline.drain(30)
    assert [written.outcome for written in pipeline.results()] == [Lost(1000)]
    pipeline.begin(("t", 0), 1000)
    pipeline.submit(batch(1000))
    assert [written.outcome for written in ended(pipeline, 1)] == [Won()]
    assert steps.committed == [0, 1000]


def test_a_batch_that_does_not_begin_at_the_end_of_the_chain_is_lost(
    steps: Recorder, pipeline: Pipeline
) -> None:
    """A batch of an earlier assignment landed after this one had asked where the chain ends."""
    gate = steps.hold("commit", 0)
    pipeline.submit(batch(0))
    assert steps.entered["commit", 0].wait(30)
    pipeline.begin(("t", 0), 0)
    pipeline.submit(batch(0))
    gate.set()
    won, lost = ended(pipeline, 2)
    assert (won.outcome, lost.outcome) == (Won(), Lost(10))
    assert steps.committed == [0]


def test_patience_outlasts_a_dependency_that_comes_back(
    steps: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loader.consumer.pipeline._PAUSE", 0.0)
    steps.failures["commit", 0] = [Unreachable("S3 is away"), Unreachable("S3 is away")]
    patient = Pipeline(steps, patience=3600)
    patient.begin(("t", 0), 0)
    patient.submit(batch(0))
    assert [written.record.first for written in ended(patient, 1)] == [0]
    patient.close()
    steps.failures["commit", 10] = [Unreachable("S3 is away")]
    impatient = Pipeline(steps)
    impatient.begin(("t", 0), 10)
    impatient.submit(batch(10))
    with pytest.raises(Unreachable):
        ended(impatient, 1)
    impatient.close()


def test_a_batch_whose_schema_is_away_leaves_its_encoder_to_others(
    steps: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loader.consumer.pipeline._PAUSE", 3600)
    away = {("t", partition): 100 * partition for partition in range(1, 4)}
    patient = Pipeline(steps, patience=3600)
    for (_, partition), first in away.items():
        steps.failures["prepare", first] = [Unreachable("the registry is away")]
        patient.begin(("t", partition), first)
        patient.submit(batch(first, partition))
    while patient.waiting() != away.keys():
        patient.wait(0.01)
    assert not any(map(patient.takes, away))
    # More of them wait than may wait for an encoder.
    assert patient.has_room()
    patient.begin(("t", 0), 20)
    patient.submit(batch(20))
    assert [written.record.partition for written in ended(patient, 1)] == [0]
    assert patient.held() == 300
    # Their messages are read again by whoever gets the partitions; nothing waits for the schema.
    patient.drop(away, 0.0)
    assert patient.waiting() == set()
    assert len(patient) == 0
    patient.close()
    assert steps.prepared == [20]


def test_whoever_drains_does_not_wait_for_an_absent_registry(
    steps: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loader.consumer.pipeline._PAUSE", 3600)
    steps.failures["prepare", 10] = [Unreachable("the registry is away")]
    gate = steps.hold("commit", 0)
    patient = Pipeline(steps, patience=3600)
    patient.begin(("t", 0), 0)
    patient.submit(batch(0))
    patient.submit(batch(10))
    while not patient.waiting():
        patient.wait(0.01)
    gate.set()
    patient.drain(3600)
    assert [written.record.first for written in patient.results()] == [0]
    assert len(patient) == 0
    patient.close()


def test_a_batch_that_waited_goes_before_those_behind_it(
    steps: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loader.consumer.pipeline._PAUSE", 0.0)
    gate = steps.hold("prepare", 0)
    steps.failures["prepare", 0] = [Unreachable("the registry is away")] * 3
    patient = Pipeline(steps, patience=3600)
    patient.begin(("t", 0), 0)
    patient.submit(batch(0))
    patient.submit(batch(10))
    gate.set()
    assert [written.record.first for written in ended(patient, 2)] == [0, 10]
    assert not patient.waiting()
    assert patient.takes(("t", 0))
    patient.close()


def test_patience_ends_for_a_batch_that_waits_too(
    steps: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loader.consumer.pipeline._PAUSE", 0.0)
    steps.failures["prepare", 0] = [Unreachable("the registry is away")] * 1_000_000
    patient = Pipeline(steps, patience=0.01)
    patient.begin(("t", 0), 0)
    patient.submit(batch(0))
    with pytest.raises(Unreachable, match="the registry is away"):
        ended(patient, 1)
    assert patient.end(("t", 0)) == -1
    patient.close()


def test_a_revoked_partition_keeps_only_what_is_prepared(
    steps: Recorder, pipeline: Pipeline
) -> None:
    """Its work is done: it lands before the new owner asks, or loses."""
    gate, third = steps.hold("commit", 0), steps.hold("prepare", 20)
    pipeline.submit(batch(0))
    assert steps.entered["commit", 0].wait(30)
    pipeline.submit(batch(10))
    pipeline.submit(batch(20))
    assert steps.entered["prepare", 20].wait(30)
    while pipeline.held() != 2 * 7 + 100:
        pipeline.wait(0.01)
    pipeline.drop([("t", 0)], 0.0)
    third.set()
    gate.set()
    pipeline.drain(30)
    assert [written.record.first for written in pipeline.results()] == [0, 10]
    assert steps.committed == [0, 10]


def test_what_is_held_is_messages_and_then_files(steps: Recorder, pipeline: Pipeline) -> None:
    first, second = steps.hold("prepare", 0), steps.hold("commit", 0)
    pipeline.submit(batch(0))
    assert pipeline.held() == 100
    first.set()
    assert steps.entered["commit", 0].wait(30)
    assert pipeline.held() == 7
    second.set()
    ended(pipeline, 1)
    assert pipeline.held() == 0


def test_room_is_bounded_for_a_partition_and_for_the_encoders(
    steps: Recorder, pipeline: Pipeline
) -> None:
    for first in range(3):
        steps.hold("prepare", first * 10)
        assert pipeline.has_room()
        assert pipeline.takes(("t", 0))
        pipeline.submit(batch(first * 10))
    assert not pipeline.has_room()
    assert MAX_OF_PARTITION == 3
    assert not pipeline.takes(("t", 0))
    assert pipeline.takes(("t", 1))
