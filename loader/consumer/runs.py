"""What was polled: a few arrays instead of an object a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Generic, TypeVar, cast

import numpy as np
import numpy.typing as npt
from confluent_kafka import Message

from loader.codec.joining import Joining, Values
from loader.codec.spans import Messages

Header = tuple[str, bytes | None]
V_co = TypeVar("V_co", bound=Values, covariant=True)


@dataclass(frozen=True, slots=True)
class Run(Generic[V_co]):
    """Messages of one partition, in the order of their offsets.

    ``Run[Messages]`` has their bytes; of what was just polled they may still be the Kafka client's.

    Attributes:
        offsets: int64, of each message.
        arrival_ms: int64, Kafka's time of each message, milliseconds.
        values: their values.
        keys: their keys.
        headers: of the messages that have some, by their place.
    """

    offsets: npt.NDArray[np.int64]
    arrival_ms: npt.NDArray[np.int64]
    values: V_co
    keys: V_co
    headers: Mapping[int, Sequence[Header]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def weight(self) -> int:
        """Bytes that it holds in memory; how often a part of it is shared does not matter."""
        arrays = 16 * len(self) + 8 * (len(self.values.bounds) + len(self.keys.bounds))
        return self.values.size + self.keys.size + arrays + _size(self.headers)

    @classmethod
    def of(cls, messages: Sequence[Message]) -> Run[Messages]:
        """Take messages over from the client's objects."""
        count = len(messages)
        arrived = map(itemgetter(1), map(Message.timestamp, messages))
        headers = list(map(Message.headers, messages))
        found: dict[int, Sequence[Header]] = {}
        if any(headers):
            found = {
                place: [(name, _bytes(value)) for name, value in cast("list[Any]", given)]
                for place, given in enumerate(headers)
                if given
            }
        return Run(
            offsets=np.fromiter(map(Message.offset, messages), np.int64, count),
            arrival_ms=np.fromiter(arrived, np.int64, count),
            values=Messages.join(cast("list[bytes | None]", list(map(Message.value, messages)))),
            keys=Messages.join(cast("list[bytes | None]", list(map(Message.key, messages)))),
            headers=found,
        )

    def slice(self, start: int, stop: int) -> Run[V_co]:
        """Some of the messages; what they hold is shared."""
        return Run(
            self.offsets[start:stop],
            self.arrival_ms[start:stop],
            self.values.slice(start, stop),
            self.keys.slice(start, stop),
            {n - start: given for n, given in self.headers.items() if start <= n < stop},
        )


class Collected:
    """Messages of one partition as they come, copied once: nothing is copied when they are taken.

    Attributes:
        rows: how many there are.
        weight: bytes that they hold in memory.
    """

    def __init__(self) -> None:
        self._offsets: list[npt.NDArray[np.int64]] = []
        self._arrival: list[npt.NDArray[np.int64]] = []
        self._values = Joining()
        self._keys = Joining()
        self._headers: dict[int, Sequence[Header]] = {}
        self.rows = 0
        self.weight = 0

    @property
    def bytes(self) -> int:
        """The sum of the values' sizes."""
        return self._values.size

    @property
    def first(self) -> int:
        """The offset of the first message; 0 if there is none."""
        return int(self._offsets[0][0]) if self._offsets else 0

    @property
    def read(self) -> int:
        """The offset after the last message; 0 if there is none."""
        return int(self._offsets[-1][-1]) + 1 if self._offsets else 0

    @property
    def oldest_ms(self) -> int:
        """Kafka's time of the first message; -1 if there is none."""
        return int(self._arrival[0][0]) if self._arrival else -1

    def add(self, run: Run[Values]) -> None:
        """Take the next messages; at least one.

        Raises:
            ValueError: the values hold 1 GiB or more.
        """
        self._values.add(run.values)
        self._keys.add(run.keys)
        self._offsets.append(run.offsets)
        self._arrival.append(run.arrival_ms)
        self._headers |= {self.rows + place: given for place, given in run.headers.items()}
        self.rows += len(run)
        self.weight += run.weight

    def take(self) -> Run[Messages]:
        """All messages."""
        return Run(
            offsets=np.concatenate(self._offsets or [_NONE]),
            arrival_ms=np.concatenate(self._arrival or [_NONE]),
            values=self._values.take(),
            keys=self._keys.take(),
            headers=self._headers,
        )


_NONE = np.empty(0, np.int64)


def _size(headers: Mapping[int, Sequence[Header]]) -> int:
    return sum(
        len(name) + len(value or b"") + 200 for given in headers.values() for name, value in given
    )


def _bytes(value: bytes | str | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
