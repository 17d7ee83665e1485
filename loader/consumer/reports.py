"""What a supervisor and its workers say to each other: JSON lines, one object a line.

The supervisor writes one :class:`Start` to the worker's standard input and keeps it open: its end tells
the worker that the supervisor is gone. The worker writes to a pipe of its own: :class:`Ready` before it
joins the group, which it does when the supervisor has written ``GO``; :class:`Report` lines; and an
:class:`End` when it ends on purpose. Secrets travel here, and nowhere else: not in arguments,
not in the environment, not on disk.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from pydantic import BaseModel, SecretStr

from loader import config
from loader.consumer.progress import Place, Progress, Target
from loader.metrics import Snapshot

#: What lets a worker join its group.
GO: Final = b"go\n"


@dataclass(frozen=True, slots=True)
class Start:
    """What a worker is to do.

    Attributes:
        worker: its number, from 0.
        settings: the whole configuration, secrets included.
        target: where a bounded run ends.
        verbose: show debug lines too.
        json_logs: log one JSON document a line.
    """

    worker: int
    settings: config.Settings
    target: Target | None
    verbose: bool
    json_logs: bool

    def encode(self) -> bytes:
        """As one line."""
        ends = self.target and [[*place, end] for place, end in self.target.ends.items()]
        return _line(
            {
                "worker": self.worker,
                "settings": _revealed(self.settings),
                "ends": ends,
                "verbose": self.verbose,
                "json_logs": self.json_logs,
            }
        )

    @classmethod
    def decode(cls, line: bytes) -> Start:
        """From one line."""
        document = json.loads(line)
        ends = document["ends"]
        return cls(
            document["worker"],
            config.Settings.model_validate(document["settings"]),
            None if ends is None else Target({(t, p): end for t, p, end in ends}, shared=True),
            document["verbose"],
            document["json_logs"],
        )


@dataclass(frozen=True, slots=True)
class Report:
    """How a worker stands. Times are monotonic seconds, the same for all processes of a machine.

    Attributes:
        progress: its counters; ``seconds`` is left to the supervisor.
        samples: its metrics.
        joined: the group has answered.
        started: first round of its loop; 0 if there was none.
        polled: last round.
        wrote: last record; 0 if there was none.
        reached: partitions that are at the target of a bounded run.
    """

    progress: Progress
    samples: Snapshot = field(default_factory=list)
    joined: bool = False
    started: float = 0.0
    polled: float = 0.0
    wrote: float = 0.0
    reached: tuple[Place, ...] = ()

    def encode(self) -> bytes:
        """As one line."""
        return _line({"report": asdict(self)})


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker could join its group now."""

    def encode(self) -> bytes:
        """As one line."""
        return _line({"ready": True})


@dataclass(frozen=True, slots=True)
class End:
    """Why a worker ends.

    Attributes:
        code: the exit status it is going to have.
        message: what happened and where.
        hint: what to do next.
        memory: it was its memory.
    """

    code: int
    message: str
    hint: str = ""
    memory: bool = False

    def encode(self) -> bytes:
        """As one line."""
        return _line({"end": asdict(self)})


def decode(line: bytes) -> Ready | Report | End:
    """What a worker wrote.

    Raises:
        ValueError: the line is none of them, as the last one of a killed worker may be.
    """
    document = json.loads(line)
    try:
        if "end" in document:
            return End(**document["end"])
        if "ready" in document:
            return Ready()
        report = document["report"]
        report["progress"] = Progress(**report["progress"])
        report["reached"] = tuple((topic, partition) for topic, partition in report["reached"])
        report["samples"] = [(name, tuple(labels), v) for name, labels, v in report["samples"]]
        return Report(**report)
    except (KeyError, TypeError) as error:
        raise ValueError(f"no report of a worker: {error}") from None


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def _revealed(section: BaseModel) -> dict[str, Any]:
    """A section as a document that reads back as it is: aliases, and secrets in the clear."""
    document: dict[str, Any] = {}
    for name, info in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            value = _revealed(value)
        elif isinstance(value, SecretStr):
            value = value.get_secret_value()
        document[info.alias or name] = value
    return document
