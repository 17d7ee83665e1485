"""What the simulator says of its messages is what the loader's decoders make of them."""

from __future__ import annotations

import pytest

from loader.codec.control import ControlReader
from loader.codec.decoders import decoder, reference_decoder
from loader.codec.fields import ContractName, FormatName
from loader.codec.schemas import ShippedSchemas
from loader.codec.values import Refused
from loader.local.simulator import TrafficOptions, generate


@pytest.mark.parametrize("kind", ["json", "avro"])
@pytest.mark.parametrize("contract", ["events", "user_updates"])
@pytest.mark.parametrize("make", [decoder, reference_decoder])
def test_good_messages_become_their_rows_and_bad_ones_are_refused(
    kind: FormatName, contract: ContractName, make: type
) -> None:
    options = TrafficOptions(
        3000, format=kind, malformed=0.1, updates=0.8, text_ids=0.2, unknown_fields=0.1
    )
    refused = 0
    for chunk in generate(options):
        messages = chunk.topics[contract]
        decoded = make(contract, kind, ShippedSchemas()).decode(messages.values)
        faulty = {place for place, fault in enumerate(messages.faults) if fault is not None}
        assert {each.position for each in decoded.rejected} == faulty
        assert decoded.rows.to_pylist() == messages.rows().to_pylist()
        refused += len(faulty)
    assert refused > 10


@pytest.mark.parametrize("kind", ["json", "avro"])
def test_the_control_reader_takes_good_migrations_and_refuses_bad_ones(kind: FormatName) -> None:
    reader = ControlReader(kind, ShippedSchemas())
    taken, refused = [], 0
    expected = []
    for chunk in generate(TrafficOptions(3000, format=kind, malformed=0.3, merges=0.9)):
        messages = chunk.user_migrations
        expected += messages.rows().to_pylist()
        for value, fault in zip(messages.values, messages.faults, strict=True):
            if fault is None:
                taken.append(reader.user_migration(value))
            else:
                with pytest.raises(Refused):
                    reader.user_migration(value)
                refused += 1
    assert refused > 10
    assert [(m.from_user_id, m.to_user_id) for m in taken] == [
        (row["from_user_id"], row["to_user_id"]) for row in expected
    ]
