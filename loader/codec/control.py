"""Reads the control topics, one message at a time: they are small and each matters.

Unknown fields are ignored, as producers are upgraded before loaders.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loader.codec.avro_reader import AvroReader
from loader.codec.avro_schema import reader_schema
from loader.codec.contract import Reason
from loader.codec.fields import FormatName
from loader.codec.schemas import SchemaSource
from loader.codec.values import Refused, identifier, parse_json, text, time_us
from loader.model.control import UserDeletion, UserMigration


class ControlReader:
    """Parses the values of ``user_migrations`` and ``user_deletions``.

    Args:
        format: how the topic is written.
        schemas: where Avro writer schemas come from; not asked for JSON.
    """

    def __init__(self, format: FormatName, schemas: SchemaSource) -> None:  # noqa: A002
        self._format = format
        self._migrations = AvroReader(schemas, reader_schema("user_migrations"))
        self._deletions = AvroReader(schemas, reader_schema("user_deletions"))

    def user_migration(self, value: bytes | None) -> UserMigration:
        """Parse a user merge.

        Raises:
            Refused: with the reason, if it is not one.
            Unreachable: if its schema cannot be fetched now.
        """
        record = self._record(value, self._migrations)
        return UserMigration(
            from_user_id=identifier(record.get("from_user_id"), field="from_user_id"),
            to_user_id=identifier(record.get("to_user_id"), field="to_user_id"),
            time_us=time_us(record.get("time"), field="time") or None,
        )

    def user_deletion(self, value: bytes | None) -> UserDeletion:
        """Parse an erasure.

        Raises:
            Refused: with the reason, if it is not one.
            Unreachable: if its schema cannot be fetched now.
        """
        record = self._record(value, self._deletions)
        request_id = text(record.get("request_id"), field="request_id", required=True)
        return UserDeletion(
            user_id=identifier(record.get("user_id"), field="user_id"),
            time_us=time_us(record.get("time"), field="time"),
            request_id=str(request_id),
        )

    def _record(self, value: bytes | None, avro: AvroReader) -> Mapping[str, Any]:
        if value is None:
            raise Refused(Reason.NULL_VALUE, "the message has no value")
        if not value:
            raise Refused(Reason.EMPTY_VALUE, "the message's value is empty")
        if self._format == "avro":
            return avro.read(value)[1]
        record = parse_json(value)
        if not isinstance(record, dict):
            raise Refused(Reason.WRONG_TYPE, "the message is not an object")
        return record
