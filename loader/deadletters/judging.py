"""Whether a refused message would be accepted now: the decoder that its reader uses is asked."""

from __future__ import annotations

from collections.abc import Callable

from loader import config
from loader.codec.contract import Decoder
from loader.codec.control import ControlReader
from loader.codec.decoders import decoder
from loader.codec.schemas import SchemaSource
from loader.codec.values import Refused
from loader.deadletters.letters import Chunk, Content
from loader.errors import UsageError
from loader.model.definitions import DEFINITION_ID, decode_definition


class Judge:
    """Says whether messages would be accepted now, by the decoders that the jobs use.

    Args:
        topics: names and formats.
        schemas: where Avro writer schemas come from.
    """

    def __init__(self, topics: config.Topics, schemas: SchemaSource) -> None:
        self._decoders: dict[str, Decoder] = {
            topics.events.name: decoder("events", topics.events.format, schemas),
            topics.user_updates.name: decoder("user_updates", topics.user_updates.format, schemas),
        }
        migrations = ControlReader(topics.user_migrations.format, schemas)
        deletions = ControlReader(topics.user_deletions.format, schemas)
        self._control: dict[str, Callable[[Content], object]] = {
            topics.user_migrations.name: lambda content: migrations.user_migration(content.value),
            topics.user_deletions.name: lambda content: deletions.user_deletion(content.value),
            topics.definitions.name: _read_definition,
        }

    def accepts(self, chunk: Chunk) -> list[bool]:
        """For each message, whether it would be accepted; False in a topic that is not configured.

        Raises:
            Unreachable: a schema cannot be fetched now.
        """
        accepted = [
            _reads(self._control[letter.origin.topic], content)
            if letter.origin.topic in self._control
            else False
            for letter, content in chunk
        ]
        for topic, by_batch in self._decoders.items():
            places = [n for n, (letter, _) in enumerate(chunk) if letter.origin.topic == topic]
            if places:
                decoded = by_batch.decode([chunk[n][1].value for n in places])
                for position in decoded.positions.tolist():
                    accepted[places[position]] = True
        return accepted


def _reads(read: Callable[[Content], object], content: Content) -> bool:
    try:
        read(content)
    except (Refused, UsageError):
        return False
    return True


def _read_definition(content: Content) -> None:
    """A definition under its id, or a null value that removes an id.

    Raises:
        UsageError: it is neither.
    """
    if content.value is not None:
        decode_definition(content.key, content.value)
    elif content.key is None or not DEFINITION_ID.fullmatch(content.key.decode(errors="replace")):
        raise UsageError("a null value without a definition's id as key")
