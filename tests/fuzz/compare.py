"""One batch by two decoders, and where they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from loader.codec.contract import Decoded, Decoder
from loader.codec.fields import ContractName

CONTRACTS: Final[tuple[ContractName, ...]] = ("events", "user_updates")

#: Messages of a batch.
BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages, and two decoders that should judge them alike.

    Attributes:
        fast: decodes them.
        slow: says what that should give.
        values: the messages.
        about: where they come from, said of a difference.
    """

    fast: Decoder
    slow: Decoder
    values: Sequence[bytes | None]
    about: str = ""


@dataclass(slots=True)
class Figures:
    """What came out of all batches so far.

    Attributes:
        messages: how many there were.
        rows: those that became rows.
        refused: the others, by reason.
        reference: those that the fast decoder left to the reference.
        accepted: those of them that became rows.
    """

    messages: int = 0
    rows: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    reference: int = 0
    accepted: int = 0


class Different(AssertionError):
    """Two decoders judged a message differently."""


def compare(batch: Batch, figures: Figures) -> None:
    """Decode a batch with both decoders, and count what came of it.

    Raises:
        Different: with the smallest part of the messages that shows it.
    """
    got, expected = batch.fast.decode(batch.values), batch.slow.decode(batch.values)
    what = _difference(got, expected)
    if what is not None:
        values = _fewer(batch, list(batch.values))
        raise Different(f"{batch.about}: {what}: {values!r}")
    figures.messages += len(batch.values)
    figures.rows += len(got.positions)
    figures.refused.update(refusal.reason.value for refusal in got.rejected)
    figures.reference += got.reference_rows
    figures.accepted += got.reference_rows - len(got.rejected)


def _difference(got: Decoded, expected: Decoded) -> str | None:
    """In which respect two results differ, or None."""
    places = [*got.positions.tolist(), *(refusal.position for refusal in got.rejected)]
    rows = got.rows
    rows.validate(full=True)
    same = {
        "rejected": got.rejected == expected.rejected,
        "positions": got.positions.tolist() == expected.positions.tolist(),
        "some message neither accepted nor refused": len(set(places)) == len(places),
        "rows": rows.equals(expected.rows),
        "schema_ids": got.schema_ids.tolist() == expected.schema_ids.tolist(),
        "unknown_fields": got.unknown_fields == expected.unknown_fields,
    }
    return next((what for what, holds in same.items() if not holds), None)


def _fewer(batch: Batch, values: list[bytes | None]) -> Sequence[bytes | None]:
    """A half, and a half of that, as long as it shows a difference."""
    while len(values) > 1:
        middle = len(values) // 2
        for part in (values[:middle], values[middle:]):
            if _difference(batch.fast.decode(part), batch.slow.decode(part)) is not None:
                values = part
                break
        else:
            break
    return values
