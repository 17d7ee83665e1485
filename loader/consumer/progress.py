"""What a run has done, and where a bounded one ends."""

from __future__ import annotations

from dataclasses import dataclass, field

from loader.lake.commit_log import CommitRecord

#: A topic and a partition.
Place = tuple[str, int]


@dataclass(slots=True)
class Progress:
    """Counters of one run.

    ``seconds`` run from the first poll to the last record; ``requests`` are HTTP requests to the lake,
    whatever they did and however often they were tried; ``steps`` are CPU seconds by step of the hot
    path, summed over threads.
    """

    read: int = 0
    written: int = 0
    dead_lettered: int = 0
    batches: int = 0
    lost_batches: int = 0
    files: int = 0
    bytes: int = 0
    seconds: float = 0.0
    requests: int = 0
    steps: dict[str, float] = field(default_factory=dict)

    def add(self, record: CommitRecord) -> None:
        """Count one record that won."""
        self.read += record.read
        self.written += record.written
        self.dead_lettered += record.dead_lettered
        self.batches += 1
        self.files += len(record.files)
        self.bytes += sum(file.bytes for file in record.files)


@dataclass(frozen=True, slots=True)
class Target:
    """Where ``--until-caught-up`` ends.

    Attributes:
        ends: the high watermarks seen at start.
        shared: several workers share the work. None of them knows all partitions, and one that left
            would only hand its own ones to the others: all go on until they are told to stop.
    """

    ends: dict[Place, int]
    shared: bool = False

    def at(self, place: Place, offset: int) -> bool:
        """Whether nothing is left before ``offset`` of what stood in Kafka at start."""
        return offset >= self.ends.get(place, 0)
