"""The whole table, through each client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.clients import CLIENTS
from tests.conformance.run import Runner
from tests.conformance.target import Place, place
from tests.conformance.topics import topics

TOPICS = topics()


@pytest.fixture(scope="module")
def where() -> Iterator[Place]:
    with place() as found:
        yield found


@pytest.fixture(scope="module", params=CLIENTS)
def runner(request: pytest.FixtureRequest, where: Place) -> Iterator[Runner]:
    with Runner(request.param, where.target, where.lake, real=where.real) as running:
        yield running


@pytest.mark.parametrize("topic", TOPICS)
def test_topic(runner: Runner, topic: str) -> None:
    outcomes = runner.run(TOPICS[topic])
    assert [(o.case.name, o.fault) for o in outcomes if o.fault] == []


def test_cases_have_names_of_their_own() -> None:
    for topic, cases in TOPICS.items():
        names = [case.name for case in cases]
        assert len(set(names)) == len(names), topic
        assert all(case.source for case in cases), topic
