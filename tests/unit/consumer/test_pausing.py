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

#: All are paused from 768 bytes on, and read again below 512.
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
    assert (client.paused, pausing.count(), pausing.short()) == (set(), 0, False)
    take(intake, 300)
    assert pausing.short()
    pausing.balance(lambda: None)
    assert (client.paused, pausing.count(), pausing.paused) == (set(PLACES), 2, True)
    gate.set()
    # The batch that was written is not enough: 800 bytes and what belongs to them still wait.
    until(lambda: len(pipeline) == 1 and pausing.held() < 1000, pausing, pipeline)
    assert pausing.paused
    assert pausing.short()
    intake.buffers["t", 1].close(2)
    pausing.balance(lambda: None)
    assert (client.paused, pausing.count(), pausing.paused) == (set(), 0, False)


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


@pytest.fixture
def held_back(steps: Recorder, pipeline: Pipeline, pausing: Pausing) -> list[Exception]:
    """A batch of the first partition waits for its schema, until this is cleared."""
    failures: list[Exception] = [Unreachable("no registry", hint="") for _ in range(100)]
    steps.failures["prepare", 0] = failures
    pipeline.submit(batch(0))
    until(lambda: pausing.count() == 1, pausing, pipeline)
    return failures


def test_a_partition_whose_batch_waits_for_its_schema_is_paused_alone(
    held_back: list[Exception],
    pipeline: Pipeline,
    intake: Intake,
    client: Client,
    pausing: Pausing,
) -> None:
    assert client.paused == {("t", 0)}
    # While all are paused and then resumed it stays as it is.
    take(intake, 5000)
    pausing.balance(lambda: None)
    assert (pausing.paused, client.paused) == (True, set(PLACES))
    intake.buffers["t", 1].close(1)
    # The messages of the batch that waits are below the low mark.
    pausing.balance(lambda: None)
    assert (pausing.paused, client.paused) == (False, {("t", 0)})
    # It is tried again by itself, and read again when that has worked.
    held_back.clear()
    until(lambda: pausing.count() == 0, pausing, pipeline)
    assert client.paused == set()


@pytest.mark.usefixtures("held_back")
def test_a_partition_that_went_meanwhile_is_not_asked_for(
    intake: Intake, client: Client, pausing: Pausing
) -> None:
    intake.unassign([("t", 0)])
    pausing.balance(lambda: None)
    assert pausing.count() == 0
    # Whoever it belongs to now says whether it is read.
    assert client.paused == {("t", 0)}
