"""After the warm-up nothing is left to compile, however the messages came."""

from __future__ import annotations

import pytest

from loader.codec import avro_kernel, gather, json_kernel
from loader.codec.decoders import decoder
from loader.codec.encode import encode_avro, encode_json
from loader.codec.fields import FormatName
from loader.codec.joining import Joining
from loader.codec.schemas import ShippedSchemas
from loader.codec.spans import Messages
from loader.codec.warm import warm_up

EVENT = {"event_id": 1, "user_id": 2, "session_id": 3, "time": 4, "type": "click"}


def compiled() -> dict[str, int]:
    """How many versions there are of each function that numba compiles."""
    return {
        f"{module.__name__}.{name}": len(function.signatures)
        for module in (avro_kernel, gather, json_kernel)
        for name, function in vars(module).items()
        if hasattr(function, "signatures")
    }


@pytest.mark.parametrize("written", ["json", "avro"])
def test_what_is_warm_is_not_compiled_again(written: FormatName) -> None:
    warm_up("events", written)
    before = compiled()
    schemas = ShippedSchemas()
    schema = schemas.writer_schema(1)
    assert schema is not None
    value = (
        encode_json(EVENT) if written == "json" else encode_avro(EVENT, schema_id=1, schema=schema)
    )
    made = decoder("events", written, schemas)
    joining = Joining()
    joining.add(Messages.join([value, b""]))
    for messages in (Messages.join([value, None, b"\x00"]), joining.take()):
        decoded = made.decode_joined(messages)
        assert decoded.rows.num_rows
        decoded.take(decoded.positions[:1] * 0)
    assert compiled() == before
    assert any(before.values())
