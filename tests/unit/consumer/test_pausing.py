"""Partitions that are not read for now: where memory is short, and where a batch waits for its schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import pytest
from confluent_kafka import Consumer, TopicPartition

from loader import config
from loader.consumer.intake import Intake
from loader.consumer.pausing import Pausing
from loader.consumer.pipeline import Pipeline
from loader.consumer.progress import Place
from loader.consumer.runs import Run
from loader.errors import Unreachable
from tests.support.steps import Recorder, batch, message

#: With 0.5 KiB below which all may be read again.
MEMORY = (384 << 20) + 2 * 768
PLACES: list[Place] = [("t", 0), ("t", 1)]


class Client:
    """What the Kafka client keeps of pauses."""

    def __init__(self) -> None:
        self.paused: set[Place] = set()
        self.calls = 0

    def pause(self, partitions: list[TopicPartition]) -> None:
        self.calls += 1
        self.paused |= {(tp.topic, tp.partition) for tp in partitions}

    def resume(self, partitions: list[TopicPartition]) -> None:
        self.calls += 1
        self.paused -= {(tp.topic, tp.partition) for tp in partitions}


@pytest.fixture
def steps() -> Recorder:
    return Recorder()


@pytest.fixture
def pipeline(steps: Recorder) -> Iterator[Pipeline]:
    made = Pipeline(steps, patience=30.0)
    for place in PLACES:
        made.begin(place, 0)
    yield made
    for gate in steps.gates.values():
        gate.set()
    made.close()


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def intake() -> Intake:
    made = Intake(config.Batch())
    made.assign((place, 0) for place in PLACES)
    return made


@pytest.fixture
def pausing(client: Client, pipeline: Pipeline, intake: Intake) -> Pausing:
    return Pausing(cast("Consumer", client), pipeline, intake, MEMORY)


def take(intake: Intake, size: int) -> None:
    run = Run.of([message(intake.buffers["t", 1].read, 1, size)])
    assert not intake.take([(("t", 1), run)], [], epoch=intake.epoch, now=0.0)


def until(done: Callable[[], bool], pausing: Pausing, pipeline: Pipeline) -> None:
    """The consumer's loop; the test's own time limit ends a wait for ever."""
    while not done():
        pipeline.wait(0.05)
        pausing.balance(lambda: None)


def test_above_the_high_mark_all_are_paused_until_it_is_below_the_low_one(
    steps: Recorder, pipeline: Pipeline, intake: Intake, client: Client, pausing: Pausing
) -> None:
    gate = steps.hold("prepare", 0)
    pipeline.submit(batch(0))
    take(intake, 500)
    pausing.balance(lambda: None)
    assert (client.paused, len(pausing), pausing.short()) == (set(), 0, False)
    take(intake, 300)
    assert pausing.short()
    pausing.balance(lambda: None)
    assert (client.paused, len(pausing), pausing.paused) == (set(PLACES), 2, True)
    gate.set()
    # The batch that was written is not enough: 800 bytes and what belongs to them still wait.
    until(lambda: len(pipeline) == 1 and pausing.held() < 1000, pausing, pipeline)
    assert pausing.paused
    assert pausing.short()
    intake.buffers["t", 1].close(2)
    pausing.balance(lambda: None)
    assert (client.paused, len(pausing), pausing.paused) == (set(), 0, False)


def test_where_nothing_is_being_written_a_pause_would_never_end(
    intake: Intake, client: Client, pausing: Pausing
) -> None:
    take(intake, 5000)
    pausing.balance(lambda: None)
    assert (client.calls, pausing.paused, pausing.short()) == (0, False, True)


def test_what_ends_in_time_spares_the_pause(
    pipeline: Pipeline, intake: Intake, client: Client, pausing: Pausing
) -> None:
    pipeline.submit(batch(0))
    take(intake, 800)
    pausing.balance(lambda: intake.buffers["t", 1].restart(0))
    assert (client.calls, pausing.paused) == (0, False)


def test_a_partition_whose_batch_waits_for_its_schema_is_paused_alone(
    steps: Recorder, pipeline: Pipeline, intake: Intake, client: Client, pausing: Pausing
) -> None:
    steps.failures["prepare", 0] = [Unreachable("no registry", hint="")]
    pipeline.submit(batch(0))
    until(lambda: len(pausing) == 1, pausing, pipeline)
    assert client.paused == {("t", 0)}
    # While all are paused and then resumed it stays as it is.
    take(intake, 5000)
    until(lambda: pausing.paused, pausing, pipeline)
    assert client.paused == set(PLACES)
    intake.buffers["t", 1].close(1)
    until(lambda: not pausing.paused, pausing, pipeline)
    assert client.paused <= {("t", 0)}
    # It is tried again by itself, and read again when that has worked.
    until(lambda: not len(pausing), pausing, pipeline)
    assert client.paused == set()


def test_a_partition_that_went_meanwhile_is_not_asked_for(
    steps: Recorder, pipeline: Pipeline, intake: Intake, client: Client, pausing: Pausing
) -> None:
    steps.failures["prepare", 0] = [Unreachable("no registry", hint="")]
    pipeline.submit(batch(0))
    until(lambda: len(pausing) == 1, pausing, pipeline)
    intake.unassign([("t", 0)])
    pausing.balance(lambda: None)
    assert len(pausing) == 0
    # Whoever it belongs to now says whether it is read.
    assert client.paused == {("t", 0)}
