"""The decoders that the consumers use: compiled scanners, with the reference decoder behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from loader.codec.contract import Decoded, Decoder, Rejected
from loader.codec.fields import CONTRACTS, Contract
from loader.codec.reference import ReferenceDecoder
from loader.codec.schemas import SchemaSource
from loader.codec.spans import Mask, Messages, Spans
from loader.codec.values import Refused


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scanner found.

    Attributes:
        spans: a row for each message.
        sure: the rows that are surely what the reference decoder would give; the others hold anything.
        schema_ids: int32, for each row of ``sure`` the writer's schema id (0 for JSON).
    """

    spans: Spans
    sure: Mask
    schema_ids: npt.NDArray[np.int32]


class Scanner(Protocol):
    """Decodes the messages that it can prove, all in one pass. Belongs to one thread."""

    def scan(self, messages: Messages) -> Scanned:
        """Find the values of all messages.

        Raises:
            Unreachable: a writer's schema cannot be fetched now.
        """
        ...


def decoder(
    contract: Literal["events", "user_updates"],
    format: Literal["json", "avro"],  # noqa: A002 - the name that the configuration uses
    schemas: SchemaSource,
) -> Decoder:
    """A decoder for one topic. An instance belongs to one thread.

    Args:
        contract: which message the topic carries.
        format: how the messages are written.
        schemas: where Avro writer schemas come from; not asked for JSON.
    """
    fields = CONTRACTS[contract]
    scanner: Scanner
    if format == "json":
        from loader.codec.json_scanner import JsonScanner  # noqa: PLC0415

        scanner = JsonScanner(fields)
    else:
        from loader.codec.avro_scanner import AvroScanner  # noqa: PLC0415

        scanner = AvroScanner(fields, schemas)
    return _Decoder(fields, scanner, ReferenceDecoder(fields, format, schemas))


def reference_decoder(
    contract: Literal["events", "user_updates"],
    format: Literal["json", "avro"],  # noqa: A002
    schemas: SchemaSource,
) -> Decoder:
    """The same by the specification alone: slow, and what ``decoder`` is measured against."""
    fields = CONTRACTS[contract]
    return _Decoder(fields, _Nothing(fields), ReferenceDecoder(fields, format, schemas))


class _Nothing:
    """A scanner that is sure of nothing."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract

    def scan(self, messages: Messages) -> Scanned:
        return Scanned(
            spans=Spans.empty(self._contract, messages, entries=0, arena=0),
            sure=np.zeros(len(messages), np.bool_),
            schema_ids=np.zeros(len(messages), np.int32),
        )


class _Decoder:
    """Asks the scanner first, and the reference for what that leaves."""

    def __init__(self, contract: Contract, scanner: Scanner, reference: ReferenceDecoder) -> None:
        self._contract = contract
        self._scanner = scanner
        self._reference = reference

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """See :class:`~loader.codec.contract.Decoder`."""
        return self.decode_joined(Messages.join(values))

    def decode_joined(self, messages: Messages) -> Decoded:
        """See :class:`~loader.codec.contract.Decoder`."""
        scanned = self._scanner.scan(messages)
        spans, accepted, schema_ids = scanned.spans, scanned.sure.copy(), scanned.schema_ids.copy()
        rejected: list[Rejected] = []
        left = np.flatnonzero(~scanned.sure).tolist()
        for position in left:
            try:
                row = self._reference.decode_one(messages.value(position))
            except Refused as fault:
                rejected.append(Rejected(position, fault.reason, fault.error))
            else:
                spans.put(position, row.values)
                accepted[position] = True
                schema_ids[position] = row.schema_id
        positions = np.flatnonzero(accepted)
        return Decoded(
            spans=spans,
            positions=positions,
            schema_ids=schema_ids[positions],
            rejected=tuple(rejected),
            unknown_fields=spans.unknown(positions),
            reference_rows=len(left),
        )
