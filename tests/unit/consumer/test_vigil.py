"""The watch over topics: what it finds, and that a confirmation is never older than the question."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from loader.consumer.vigil import Vigil
from loader.errors import LoaderError, NeedsOperator, Terminal, Unreachable
from loader.kafka.clients import TopicNow

IDS = {"heap.events": "A", "heap.user_updates": "B"}
SAME = {name: TopicNow(id_, 4) for name, id_ in IDS.items()}
#: Far longer than a test: only what is asked for is checked.
NEVER = 3600.0


class Kafka:
    """Answers with what it was given last; counts the questions; may be held up."""

    def __init__(self) -> None:
        self.now: Mapping[str, TopicNow] | LoaderError = SAME
        self.asked = 0
        self.began = threading.Semaphore(0)
        self.go = threading.Event()
        self.go.set()

    def __call__(self, names: Sequence[str]) -> Mapping[str, TopicNow]:
        assert list(names) == sorted(IDS)
        answer = self.now
        self.asked += 1
        self.began.release()
        assert self.go.wait(30)
        if isinstance(answer, LoaderError):
            raise answer
        return answer


@pytest.fixture
def kafka() -> Kafka:
    return Kafka()


@pytest.fixture
def watch(kafka: Kafka) -> Iterator[Callable[..., Vigil]]:
    made: list[Vigil] = []

    def begin(every: float = NEVER, grace: float = NEVER) -> Vigil:
        made.append(Vigil(kafka, IDS, every=every, grace=grace).__enter__())
        return made[-1]

    yield begin
    kafka.go.set()
    for vigil in made:
        vigil.close()


def test_topics_that_stay_the_same_are_confirmed(watch: Callable[..., Vigil]) -> None:
    vigil = watch()
    vigil.confirm()
    vigil.confirm(vigil.ask())
    assert vigil.fault is None


def test_one_made_again_is_named_with_both_ids(kafka: Kafka, watch: Callable[..., Vigil]) -> None:
    vigil = watch()
    vigil.confirm()
    kafka.now = {**SAME, "heap.events": TopicNow("C", 4)}
    with pytest.raises(NeedsOperator, match=r"heap\.events: .* made again .*id is C, it was A"):
        vigil.confirm()
    assert isinstance(vigil.fault, NeedsOperator)
    assert vigil.fault.hint
    # It never recovers: what was polled since may be of either topic.
    kafka.now = SAME
    with pytest.raises(NeedsOperator):
        vigil.confirm()


def test_it_is_found_though_nobody_asks(kafka: Kafka, watch: Callable[..., Vigil]) -> None:
    kafka.now = {**SAME, "heap.user_updates": TopicNow("C", 4)}
    vigil = watch(every=0.01)
    vigil._thread.join(30)
    assert vigil.fault is not None
    assert "heap.user_updates" in vigil.fault.message


def test_a_check_that_began_before_the_question_does_not_answer_it(
    kafka: Kafka, watch: Callable[..., Vigil]
) -> None:
    vigil = watch()
    kafka.go.clear()
    early = vigil.ask()
    assert kafka.began.acquire(timeout=30)
    # The answer to the first question is on its way; the topic changes, then somebody else asks.
    kafka.now = {**SAME, "heap.events": TopicNow("C", 4)}
    late = vigil.ask()
    assert late > early
    kafka.go.set()
    with pytest.raises(NeedsOperator):
        vigil.confirm(late)
    assert kafka.asked == 2


def test_questions_at_the_same_moment_share_one_check(
    kafka: Kafka, watch: Callable[..., Vigil]
) -> None:
    vigil = watch()
    kafka.go.clear()
    vigil.ask()
    assert kafka.began.acquire(timeout=30)
    tickets = {vigil.ask() for _ in range(20)}
    kafka.go.set()
    for ticket in tickets:
        vigil.confirm(ticket)
    assert kafka.asked == 2


def test_while_kafka_is_away_nothing_is_confirmed_and_nothing_ends(
    kafka: Kafka, watch: Callable[..., Vigil]
) -> None:
    kafka.now = Unreachable("away")
    vigil = watch()
    with pytest.raises(Unreachable, match=r"heap\.events, heap\.user_updates are the topics"):
        vigil.confirm(patience=0.05)
    assert vigil.fault is None
    waiting = vigil.ask()
    kafka.now = SAME
    vigil.confirm(waiting)


def test_a_topic_may_be_missing_for_a_moment(kafka: Kafka, watch: Callable[..., Vigil]) -> None:
    kafka.now = {"heap.user_updates": SAME["heap.user_updates"]}
    vigil = watch()
    waiting = vigil.ask()
    assert kafka.began.acquire(timeout=30)
    assert kafka.began.acquire(timeout=30)
    kafka.now = SAME
    vigil.confirm(waiting)


def test_a_topic_that_stays_away_was_deleted(kafka: Kafka, watch: Callable[..., Vigil]) -> None:
    kafka.now = {"heap.user_updates": SAME["heap.user_updates"]}
    with pytest.raises(NeedsOperator, match=r"heap\.events: the topic was deleted while"):
        watch(grace=0.0).confirm()


def test_what_no_retry_helps_against_ends_the_reading(
    kafka: Kafka, watch: Callable[..., Vigil]
) -> None:
    kafka.now = Terminal("not allowed")
    with pytest.raises(Terminal, match="not allowed"):
        watch().confirm()


def test_closing_lets_go_of_whoever_waits(kafka: Kafka, watch: Callable[..., Vigil]) -> None:
    kafka.go.clear()
    vigil = watch()
    errors: list[LoaderError] = []

    def wait() -> None:
        try:
            vigil.confirm()
        except LoaderError as error:
            errors.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    assert kafka.began.acquire(timeout=30)
    vigil.close()
    waiter.join(30)
    assert [type(error) for error in errors] == [Unreachable]
