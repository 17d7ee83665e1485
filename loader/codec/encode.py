"""Messages as a producer writes them, one at a time: for tests, tools and the traffic simulator."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import fastavro
import orjson

from loader.codec.schemas import frame


def encode_json(message: Mapping[str, Any]) -> bytes:
    """The message as compact JSON."""
    return orjson.dumps(dict(message))


def encode_avro(message: Mapping[str, Any], *, schema_id: int, schema: str) -> bytes:
    """The message as a framed Avro record. Absent nullable fields become null.

    Args:
        message: values by field name; times are integer microseconds.
        schema_id: the id that the frame names.
        schema: the writer schema as JSON text.
    """
    body = io.BytesIO()
    fastavro.schemaless_writer(body, _parsed(schema), dict(message))
    return frame(schema_id, body.getvalue())


@lru_cache(maxsize=64)
def _parsed(schema: str) -> Any:
    return fastavro.parse_schema(json.loads(schema))
