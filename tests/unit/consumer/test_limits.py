"""When refused messages stop the consumer: the same message stops it wherever batches begin and end."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from loader import config
from loader.consumer.limits import RATIO_FROM, Counts, RefusalLimits, chain_history
from loader.errors import NeedsOperator
from loader.lake.commit_log import CommitRecord, commit_log
from loader.lake.memory import MemoryStore

TOPIC = "heap.events"
#: The default: half of the last 10,000 messages, 1,000 in a row.
DEFAULT = config.DeadLetters()


def limits(ratio: float, window: int, in_a_row: int) -> config.DeadLetters:
    return config.DeadLetters(max_ratio=ratio, window=window, max_consecutive=in_a_row)


def feed(checker: RefusalLimits, first: int, bad: Sequence[bool], *, land: bool = True) -> None:
    """One batch; ``bad`` says of each message whether it is refused."""
    refused = [n for n, refused in enumerate(bad) if refused]
    checked = checker.check(TOPIC, 0, first, len(bad), refused)
    if land:
        checker.landed(checked, first + len(bad))


def stops(checker: RefusalLimits, first: int, bad: Sequence[bool]) -> str:
    with pytest.raises(NeedsOperator) as stopped:
        feed(checker, first, bad)
    assert stopped.value.exit_code == 5
    assert stopped.value.hint
    return stopped.value.message


def expected_stop(bad: Sequence[bool], settings: config.DeadLetters) -> int | None:
    """The first message that breaks a limit, counted one by one."""
    run = 0
    enough = min(RATIO_FROM, settings.window)
    for n, refused in enumerate(bad):
        run = run + 1 if refused else 0
        last = bad[max(0, n + 1 - settings.window) : n + 1]
        if run > settings.max_consecutive:
            return n
        if refused and len(last) >= enough and sum(last) > settings.max_ratio * len(last):
            return n
    return None


@st.composite
def streams(draw: st.DrawFn) -> list[bool]:
    """Messages in stretches, each with a share of refused ones."""
    bad: list[bool] = []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["good", "bad", "mixed"]))
        length = draw(st.integers(1, 40))
        bad += {
            "good": [False] * length,
            "bad": [True] * length,
            "mixed": draw(st.lists(st.booleans(), min_size=length, max_size=length)),
        }[kind]
    return bad


@hypothesis_settings(deadline=None)
@given(
    bad=streams(),
    cuts=st.lists(st.integers(1, 200), max_size=12),
    lost=st.sets(st.integers(0, 12)),
    ratio=st.sampled_from([0.1, 0.5, 0.8, 1.0]),
    window=st.sampled_from([1, 5, 20, 50, 1000]),
    in_a_row=st.sampled_from([1, 3, 10, 30, 1000]),
)
def test_the_batch_with_the_first_message_too_many_is_the_one_that_stops(
    bad: list[bool], cuts: list[int], lost: set[int], ratio: float, window: int, in_a_row: int
) -> None:
    settings = limits(ratio, window, in_a_row)
    checker = RefusalLimits(settings)
    wrong = expected_stop(bad, settings)
    bounds = sorted({0, len(bad), *(cut for cut in cuts if cut < len(bad))})
    for number, (first, next_) in enumerate(pairwise(bounds)):
        batch = bad[first:next_]
        if wrong is not None and wrong < next_:
            stops(checker, first, batch)
            # It comes again after a restart of its partition, and is no better.
            stops(checker, first, batch)
            return
        if number in lost:
            # Its record did not win, so it is read anew: it counts once.
            feed(checker, first, batch, land=False)
        feed(checker, first, batch)


def test_small_batches_do_not_hide_a_bad_deploy() -> None:
    checker = RefusalLimits(DEFAULT)
    bad = [n % 5 != 0 for n in range(20)]
    for first in range(0, 980, 20):
        feed(checker, first, bad)
    message = stops(checker, 980, bad)
    assert f"{TOPIC}[0]: 16 of 20 messages from offset 980 are refused" in message
    assert "Of 1,000 messages of the partition in their order 800 are refused" in message


def test_a_bad_handful_does_not_stop_a_healthy_partition() -> None:
    checker = RefusalLimits(DEFAULT)
    feed(checker, 0, [False] * 10_000)
    feed(checker, 10_000, [True] * 900)
    feed(checker, 10_900, [False] * 500)
    feed(checker, 11_400, [True] * 900)


def test_a_handful_at_the_very_beginning_does_not_either() -> None:
    checker = RefusalLimits(DEFAULT)
    feed(checker, 0, [True] * 450)
    feed(checker, 450, [False] * 10_000)


def test_a_run_goes_on_across_batches_and_ends_with_a_good_message() -> None:
    checker = RefusalLimits(limits(1.0, 1000, 10))
    feed(checker, 0, [True] * 6)
    feed(checker, 6, [True] * 4)
    assert "11 are refused in a row; dead_letters.max_consecutive is 10" in stops(
        checker, 10, [True]
    )
    feed(checker, 10, [False])
    feed(checker, 11, [True] * 10)


def test_a_batch_without_messages_breaks_no_run() -> None:
    """What Kafka itself skips: control records, aborted transactions."""
    checker = RefusalLimits(limits(1.0, 1000, 3))
    feed(checker, 0, [True] * 3)
    checker.landed(checker.check(TOPIC, 0, 3, 0, []), 9)
    stops(checker, 9, [True])


def test_partitions_are_judged_apart() -> None:
    checker = RefusalLimits(limits(1.0, 1000, 3))
    for partition in range(5):
        checker.landed(checker.check(TOPIC, partition, 0, 3, [0, 1, 2]), 3)
    with pytest.raises(NeedsOperator, match=r"heap\.events\[4\]"):
        checker.check(TOPIC, 4, 3, 1, [0])


def test_the_first_refused_message_is_shown() -> None:
    checker = RefusalLimits(limits(1.0, 1000, 1))
    with pytest.raises(NeedsOperator, match=r"\(the first: offset 7, not_decodable: no JSON\)"):
        checker.check(TOPIC, 0, 5, 4, [2, 3], "offset 7, not_decodable: no JSON")


class Told:
    """A history that is given, and counts how often it is asked."""

    def __init__(self, *counts: Counts) -> None:
        self.counts = counts
        self.asked: list[int] = []

    def __call__(self, _topic: str, _partition: int, offset: int) -> Sequence[Counts]:
        self.asked.append(offset)
        return self.counts


def test_a_restart_lets_no_more_through() -> None:
    """The chain says what came before; whole records that were refused make a run, too."""
    told = Told(Counts(500, 0), Counts(8, 8), Counts(2, 2))
    stops(RefusalLimits(limits(1.0, 1000, 10), told), 510, [True])
    feed(RefusalLimits(limits(1.0, 1000, 10), told), 510, [False, True])
    half = Told(Counts(2000, 990))
    stops(RefusalLimits(DEFAULT, half), 2000, [True] * 30)
    feed(RefusalLimits(DEFAULT, half), 2000, [True] * 10)


def test_the_history_is_asked_once_and_only_where_something_is_refused() -> None:
    told = Told(Counts(100, 1))
    checker = RefusalLimits(DEFAULT, told)
    feed(checker, 100, [False] * 10, land=False)
    assert told.asked == []
    feed(checker, 100, [True] * 10)
    feed(checker, 110, [True] * 10)
    assert told.asked == [100]
    # Another writer's record came in between: what we knew is no longer what came before.
    feed(checker, 150, [True] * 10)
    assert told.asked == [100, 150]


def test_what_an_operator_let_through_does_not_stop_us_again() -> None:
    feed(RefusalLimits(DEFAULT, Told(Counts(10_000, 9_000))), 10_000, [True] * 20 + [False] * 20)


def record(n: int) -> CommitRecord:
    """Ten offsets of which Kafka skips one; ``n`` messages are refused."""
    return CommitRecord(
        topic=TOPIC,
        partition=2,
        first=n * 10,
        next=n * 10 + 10,
        topic_id="id",
        batch=str(n),
        writer="w",
        created="2026-01-01T00:00:00+00:00",
        files=(),
        read=9,
        written=0,
        dead_lettered=n,
        dead_letter_reasons={},
        schema_ids=(),
        unknown_fields={},
        min_arrival=-1,
        max_arrival=-1,
    )


def test_the_history_is_the_end_of_the_chain_before_the_offset() -> None:
    store = MemoryStore()
    log = commit_log(store)
    for n in range(60):
        log.append(record(n))
    history = chain_history(store, log)
    assert list(history(TOPIC, 2, 600)) == [Counts(9, n) for n in range(10, 60)]
    assert list(history(TOPIC, 2, 50)) == [Counts(9, n) for n in range(5)]
    assert list(history(TOPIC, 2, 0)) == []
    assert list(history(TOPIC, 7, 100)) == []
