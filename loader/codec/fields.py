"""The two message contracts as data: which field is an id, a time, a text or a map of properties.

Every decoder, fast or slow, JSON or Avro, reads these and nothing else about the fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import pyarrow as pa

from loader.model.events import (
    EVENT_COLUMNS,
    EVENT_TEXT_FIELDS,
    USER_UPDATE_COLUMNS,
    USER_UPDATE_TEXT_FIELDS,
)

ContractName = Literal["events", "user_updates"]
FormatName = Literal["json", "avro"]


@dataclass(frozen=True, slots=True)
class Contract:
    """One topic's message: its fields by kind.

    Attributes:
        name: which contract this is.
        columns: the Arrow schema of the rows.
        ids: required identifiers, 0 .. 2^63-1.
        time: the required time.
        texts: text fields, in column order.
        required_texts: those of ``texts`` that may not be null.
        maps: open-ended properties.
        clearable: text fields for which an explicit JSON null is an instruction (``cleared``).
    """

    name: ContractName
    columns: pa.Schema
    ids: tuple[str, ...]
    time: str
    texts: tuple[str, ...]
    required_texts: frozenset[str]
    maps: tuple[str, ...]
    clearable: tuple[str, ...]

    @property
    def known(self) -> tuple[str, ...]:
        """Every top-level field of a message that the contract names, in column order."""
        return (*self.ids, self.time, *self.texts, *self.maps)


EVENTS: Final = Contract(
    name="events",
    columns=EVENT_COLUMNS,
    ids=("event_id", "user_id", "session_id"),
    time="time",
    texts=("type", *EVENT_TEXT_FIELDS),
    required_texts=frozenset({"type"}),
    maps=("properties", "session_properties"),
    clearable=(),
)

USER_UPDATES: Final = Contract(
    name="user_updates",
    columns=USER_UPDATE_COLUMNS,
    ids=("user_id",),
    time="time",
    texts=USER_UPDATE_TEXT_FIELDS,
    required_texts=frozenset(),
    maps=("properties",),
    clearable=USER_UPDATE_TEXT_FIELDS,
)

CONTRACTS: Final[dict[ContractName, Contract]] = {"events": EVENTS, "user_updates": USER_UPDATES}
