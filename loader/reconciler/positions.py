"""Where a control partition is read from.

The registry's chain is the truth; Kafka's own committed offset is a mirror of it for lag tools.

A compacted topic obeys the same rule as any other: the cleaner removes records between the log
start and the head, it does not move the log start (Apache Kafka documentation, log compaction). So a
chain that ends below the log start has lost messages in either case.
"""

from __future__ import annotations

from dataclasses import dataclass

from loader.errors import NeedsOperator


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a control partition. Offsets are half-open: "next to read".

    Attributes:
        topic: Kafka topic.
        partition: Kafka partition.
        topic_id: Kafka's id of the topic now.
        chain_next: where the registry's chain ends; None where there is none.
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


def read_from(standing: Standing) -> int:
    """The offset to read from, which is also the ``first`` of the next record.

    Raises:
        NeedsOperator: messages were lost, or the registry and the topic do not belong together.
    """
    name = f"{standing.topic}[{standing.partition}]"
    end = standing.chain_next
    if end is None:
        end = standing.log_start
    elif standing.chain_topic_id != standing.topic_id:
        raise NeedsOperator(
            f"{name}: the topic was deleted and made again (its id is {standing.topic_id}, the "
            f"registry read {standing.chain_topic_id} up to offset {end}).",
            hint="Give the new topic another name, or start a new lake for it.",
        )
    if end < standing.log_start:
        raise NeedsOperator(
            f"{name}: control messages {end} to {standing.log_start - 1} are gone from Kafka and were "
            "never read into the registry.",
            hint="Control topics must be kept for ever (retention.ms = -1, or compacted); publish the "
            "lost messages again, then start a new lake from the control topics.",
        )
    if end > standing.high_watermark:
        raise NeedsOperator(
            f"{name}: the registry has read up to offset {end}, Kafka ends at "
            f"{standing.high_watermark}: the log was truncated.",
            hint="Find out which broker lost data before new messages take those offsets.",
        )
    if standing.committed is not None and standing.committed > end:
        raise NeedsOperator(
            f"{name}: the group has committed offset {standing.committed}, the registry ends at {end}: "
            f"control messages {end} to {standing.committed - 1} have no record.",
            hint="Was lake.url changed, or the group's offset set by hand? Set the group's offset to "
            f"{end} to read them again.",
        )
    return end
