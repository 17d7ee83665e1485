"""What a message of each control topic must be to count. Everything else goes to the dead letters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from loader import config
from loader.codec.control import ControlReader
from loader.codec.schemas import SchemaSource
from loader.codec.values import Refused
from loader.errors import UsageError
from loader.model.definitions import DEFINITION_ID, decode_definition

#: The ``dl-reason`` of a message that is no definition.
BAD_DEFINITION: Final = "bad_definition"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message does not count: a word of the contract, and one sentence without personal data."""

    reason: str
    error: str


#: Looks at key and value; None accepts them. May raise ``Unreachable``: then nobody can tell yet.
Judge = Callable[[bytes | None, bytes | None], Refusal | None]


def judges(topics: config.Topics, schemas: SchemaSource) -> Mapping[str, Judge]:
    """The judge of each control topic, by the topic's name."""
    migrations = ControlReader(topics.user_migrations.format, schemas)
    deletions = ControlReader(topics.user_deletions.format, schemas)
    return {
        topics.definitions.name: judge_definition,
        topics.user_migrations.name: _judge_value(migrations.user_migration),
        topics.user_deletions.name: _judge_value(deletions.user_deletion),
    }


def judge_definition(key: bytes | None, value: bytes | None) -> Refusal | None:
    """A definition under its id as key, or a null value that removes that id."""
    try:
        if value is not None:
            decode_definition(key, value)
        elif key is None or not DEFINITION_ID.fullmatch(key.decode(errors="replace")):
            return Refusal(BAD_DEFINITION, "a null value without a definition's id as key")
    except UsageError as error:
        return Refusal(BAD_DEFINITION, str(error))
    return None


def _judge_value(read: Callable[[bytes | None], object]) -> Judge:
    def judge(_key: bytes | None, value: bytes | None) -> Refusal | None:
        try:
            read(value)
        except Refused as refused:
            return Refusal(refused.reason.value, refused.error)
        return None

    return judge
