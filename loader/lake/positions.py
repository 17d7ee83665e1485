"""Where a partition is read from, and the cases in which nobody but a person may decide.

The lake's chain (the commit log of events, the registry log of control messages) is the truth; the
group's committed offset is a mirror of it for lag tools.

A compacted topic obeys the same rule as any other: the cleaner removes records between the log
start and the head, it does not move the log start (Apache Kafka documentation, log compaction).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from loader.errors import NeedsOperator


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a partition when it is assigned. Offsets are half-open: "next to read".

    Attributes:
        topic: Kafka topic.
        partition: Kafka partition.
        topic_id: Kafka's id of the topic now.
        chain_next: where the lake's chain ends; None where there is none.
        chain_topic_id: the topic's id in the chain's last record.
        committed: the group's committed offset; None where there is none.
        log_start: the lowest offset the broker still has.
        high_watermark: the offset after the last one the broker has.
    """

    topic: str
    partition: int
    topic_id: str
    chain_next: int | None
    chain_topic_id: str | None
    committed: int | None
    log_start: int
    high_watermark: int


def start_offset(evidence: Evidence) -> int:
    """The offset to read from.

    Raises:
        NeedsOperator: offsets were lost, or the lake and the topic do not belong together.
    """
    name = f"{evidence.topic}[{evidence.partition}]"
    chain = evidence.chain_next
    if chain is None:
        if evidence.committed is not None and evidence.committed > evidence.log_start:
            raise NeedsOperator(
                f"{name}: the group has committed offset {evidence.committed}, the lake has nothing: "
                f"offsets {evidence.log_start} to {evidence.committed - 1} would be missing or read "
                "anew.",
                hint="Point lake.url at the lake this group wrote, or choose a new kafka.group_id to "
                "read from the start.",
            )
        return evidence.log_start
    if evidence.chain_topic_id != evidence.topic_id:
        raise NeedsOperator(
            f"{name}: the topic was deleted and made again (its id is {evidence.topic_id}, the lake "
            f"read {evidence.chain_topic_id} up to offset {chain}).",
            hint="Give the new topic another name, or start a new lake for it.",
        )
    if chain < evidence.log_start:
        raise NeedsOperator(
            f"{name}: offsets {chain} to {evidence.log_start - 1} are gone from Kafka and were never "
            "read into the lake.",
            hint="Retention overtook the reader. Control topics must be kept for ever; events need a "
            "retention well above the longest outage.",
        )
    if chain > evidence.high_watermark:
        raise NeedsOperator(
            f"{name}: the lake has read up to offset {chain}, Kafka ends at "
            f"{evidence.high_watermark}: the log was truncated.",
            hint="Find out which broker lost data before new messages take those offsets.",
        )
    if evidence.committed is not None and evidence.committed > chain:
        raise NeedsOperator(
            f"{name}: the group has committed offset {evidence.committed}, the lake ends at {chain}: "
            f"offsets {chain} to {evidence.committed - 1} have no record.",
            hint="Was lake.url changed, or the group's offset set by hand? Set the group's offset to "
            f"{chain} to read them again.",
        )
    return chain


def offset_out_of_range(evidence: Evidence, position: int, said: str) -> NeedsOperator:
    """Why Kafka refused to read on in mid-flight: the same findings as at the start, where they hold.

    Args:
        evidence: what is known of the partition now; without an answer from Kafka what was known.
        position: the offset that was asked for: what lies before it was read, or is in the lake.
        said: Kafka's own words, for a case that is none of ours.
    """
    try:
        start_offset(
            replace(
                evidence,
                chain_next=position,
                chain_topic_id=evidence.chain_topic_id or evidence.topic_id,
                committed=None,
            )
        )
    except NeedsOperator as found:
        return found
    return NeedsOperator(
        f"{evidence.topic}[{evidence.partition}]: Kafka refused offset {position}, though it has "
        f"{evidence.log_start} to {evidence.high_watermark - 1} now: {said}.",
        hint="Was the log truncated and written again? Compare the lake's last record with the messages "
        "before that offset, then start again. Nothing was skipped.",
    )
