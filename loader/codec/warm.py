"""Compiled code made ready before the first message: taken from its cache, or compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from loader.codec.client_memory import Functions, Scanned
from loader.codec.compiled import compiling
from loader.codec.decoders import decoder
from loader.codec.encode import encode_avro, encode_json
from loader.codec.fields import CONTRACTS, ContractName, FormatName
from loader.codec.schemas import SHIPPED_IDS, ShippedSchemas


def warm_up(contract: ContractName, written: FormatName) -> None:
    """Decode one message of a contract, and take its row: whatever that needs is compiled from then on.

    Half a second of CPU; the first time after an installation ten to fifteen, in one process of all that
    ask for it at the same time.
    """
    with compiling(f"{contract}-{written}"):
        _warm_up(contract, written)


def _warm_up(contract: ContractName, written: FormatName) -> None:
    fields, schemas = CONTRACTS[contract], ShippedSchemas()
    message: dict[str, Any] = dict.fromkeys((*fields.ids, fields.time), 1)
    message |= dict.fromkeys(fields.texts, "text")
    message |= {name: {"key": "value"} for name in fields.maps}
    if written == "json":
        value = encode_json(message)
    else:
        number = next(number for number, name in SHIPPED_IDS.items() if f"{name}s" == contract)
        schema = schemas.writer_schema(number)
        assert schema is not None  # noqa: S101 - it is shipped
        value = encode_avro(message, schema_id=number, schema=schema)
    decoded = decoder(contract, written, schemas).decode([value])
    # As the consumer takes it: not in the messages' own order.
    decoded.take(decoded.positions)
    nothing = Scanned(np.empty(0, np.uint64), Functions(0, 0, 0))
    nothing.values(0, 0).copy_to(np.empty(0, np.uint8))
    nothing.release()
