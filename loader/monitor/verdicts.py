"""The verdict on one partition: a pure rule over offsets, times and two thresholds.

The first rule that holds gives the verdict:

1. ``lost``: the lake's end lies below Kafka's log start or above its high watermark, or the topic
   is gone or was made anew.
2. ``stopped``: the group is ahead of the lake, so a reader refuses to start.
3. ``no_data``: Kafka holds nothing and the lake has no chain.
4. ``ok``: caught up, or what is left are control records, aborted or compacted messages.
5. ``ok``, from ``warn`` on ``warning``: all that is left is behind an open transaction.
6. ``warning``: how long the next message has waited is not known.
7. ``stopped``: the next message has waited for ``stop``, and no record was written in that time.
8. ``stalled``: the next message has waited for ``stall``, though records are written.
9. ``warning``: the next message has waited for ``warn``.
10. ``ok``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from loader.errors import NeedsOperator
from loader.lake.positions import Evidence, start_offset


class Verdict(StrEnum):
    """How a partition stands, from harmless to worst."""

    NO_DATA = "no_data"
    OK = "ok"
    WARNING = "warning"
    STALLED = "stalled"
    STOPPED = "stopped"
    LOST = "lost"


_ORDER: Final = list(Verdict)

#: A check that did not hold: exit status 3.
FAILING: Final = frozenset({Verdict.STALLED, Verdict.STOPPED, Verdict.LOST})


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Seconds that a message may wait.

    Attributes:
        warn: until `warning`.
        stall: until `stalled`.
        stop: without a new record, until `stopped`.
    """

    warn: float
    stall: float
    stop: float


@dataclass(frozen=True, slots=True)
class Message:
    """A message waits. ``time`` is its Kafka time, seconds since the epoch; None if it has none."""

    time: float | None


@dataclass(frozen=True, slots=True)
class Nothing:
    """No message can be read below ``end``.

    Attributes:
        end: the end of what is readable: the last stable offset.
        open_since: Kafka time of the first message of the open transaction that begins there,
            seconds since the epoch; None where there is none, or it has no time.
    """

    end: int
    open_since: float | None = None


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Neither a message nor the partition's end came in time."""


Waiting = Message | Nothing | NoAnswer


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and what an operator needs with it.

    Attributes:
        verdict: the verdict.
        lag_seconds: age of the first message that waits, 0 where none does, None if unknown.
        reason: one sentence; empty where the numbers say it all.
        hint: what to do; empty where nothing is to be done.
    """

    verdict: Verdict
    lag_seconds: float | None
    reason: str = ""
    hint: str = ""


def lake_next(evidence: Evidence) -> int:
    """The offset that the lake takes next: its chain's end, or Kafka's log start without a chain."""
    return evidence.log_start if evidence.chain_next is None else evidence.chain_next


def judge(
    evidence: Evidence,
    waiting: Waiting,
    *,
    written: float | None,
    thresholds: Thresholds,
    now: float,
) -> Judgement:
    """The verdict on one partition.

    Args:
        evidence: its offsets in the lake and in Kafka.
        waiting: what a read from the lake's end gave; of no account where nothing is left.
        written: when the chain's last record was written, seconds since the epoch; None without one.
        thresholds: what is too long.
        now: the present time, seconds since the epoch.
    """
    return _refused(evidence, _age(waiting, now)) or _behind(
        evidence, waiting, written, thresholds, now
    )


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on all of them; `no_data` on none."""
    return max(verdicts, key=_ORDER.index, default=Verdict.NO_DATA)


def _age(waiting: Waiting, now: float) -> float | None:
    """Age of the first message that waits. A producer's clock ahead of ours gives 0."""
    match waiting:
        case Message(time=None) | NoAnswer():
            return None
        case Message(time=float(time)):
            return max(0.0, now - time)
        case _:
            return 0.0


def _refused(evidence: Evidence, seconds: float | None) -> Judgement | None:
    """Rules 1 and 2: where a reader would refuse to start, by the rule that readers themselves obey."""
    if not evidence.topic_id and evidence.chain_next is not None:
        return Judgement(
            Verdict.LOST,
            seconds,
            f"Kafka has no topic {evidence.topic}; the lake read {evidence.topic}"
            f"[{evidence.partition}] up to offset {evidence.chain_next}.",
            "Is kafka.bootstrap_servers the cluster that the lake was read from?",
        )
    for verdict, seen in (
        (Verdict.LOST, replace(evidence, committed=None)),
        (Verdict.STOPPED, evidence),
    ):
        try:
            start_offset(seen)
        except NeedsOperator as error:
            return Judgement(verdict, seconds, error.message, error.hint)
    return None


def _behind(
    evidence: Evidence,
    waiting: Waiting,
    written: float | None,
    thresholds: Thresholds,
    now: float,
) -> Judgement:
    """Rules 3 to 10."""
    if evidence.high_watermark == lake_next(evidence):
        return Judgement(Verdict.NO_DATA if evidence.chain_next is None else Verdict.OK, 0.0)
    match waiting:
        case NoAnswer():
            return Judgement(
                Verdict.WARNING,
                None,
                f"Kafka gave no message from offset {lake_next(evidence)} on in time.",
                "Ask again; if it stays so, look at the partition's leader.",
            )
        case Nothing():
            return _nothing_to_read(evidence, waiting, thresholds, now)
        case Message():
            return _message_waits(_age(waiting, now), written, thresholds, now)


def _nothing_to_read(
    evidence: Evidence, waiting: Nothing, thresholds: Thresholds, now: float
) -> Judgement:
    first, high = lake_next(evidence), evidence.high_watermark
    if waiting.end >= high:
        return Judgement(
            Verdict.OK,
            0.0,
            f"Offsets {first} to {high - 1} hold no message: control records of transactions, "
            "aborted or compacted messages.",
        )
    reason = f"A transaction that began at offset {waiting.end} is still open"
    if waiting.open_since is None:
        return Judgement(Verdict.OK, 0.0, f"{reason}.")
    age = max(0.0, now - waiting.open_since)
    reason = f"{reason} after {age:,.0f} s; nothing behind it can be read."
    if age < thresholds.warn:
        return Judgement(Verdict.OK, 0.0, reason)
    return Judgement(
        Verdict.WARNING,
        0.0,
        reason,
        "Find its producer: `kafka-transactions.sh list`, and `abort` it if it hangs.",
    )


def _message_waits(
    seconds: float | None, written: float | None, thresholds: Thresholds, now: float
) -> Judgement:
    if seconds is None:
        return Judgement(
            Verdict.WARNING,
            None,
            "The next message has no Kafka time.",
            "Its producer speaks a protocol older than Kafka 0.10.",
        )
    silent = written is None or now - written >= thresholds.stop
    if silent and seconds >= thresholds.stop:
        last = (
            "nothing was ever read"
            if written is None
            else f"the last record is {now - written:,.0f} s old"
        )
        return Judgement(
            Verdict.STOPPED,
            seconds,
            f"Messages wait for {seconds:,.0f} s and {last}.",
            "Does the reader of this topic run? Its log says where it stands.",
        )
    if seconds >= thresholds.stall:
        return Judgement(
            Verdict.STALLED,
            seconds,
            f"The next message has waited for {seconds:,.0f} s although records are written.",
            "Start more readers, up to one a partition, or give them more CPU.",
        )
    if seconds >= thresholds.warn:
        return Judgement(
            Verdict.WARNING, seconds, f"The next message has waited for {seconds:,.0f} s."
        )
    return Judgement(Verdict.OK, seconds)
