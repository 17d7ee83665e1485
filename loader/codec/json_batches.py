"""JSON, a batch at a time: DuckDB reads all messages into columns in one query.

DuckDB takes more than the rules allow and says less than they need (``json_reader``). Every difference
is looked for column-wise, and the rows concerned go to the reference decoder:

* a comma before a closing bracket: searched in the texts.
* a number, boolean, object or array in a text field: what looks like one is asked for its JSON type.
* a repeated or an unknown key, and "absent" against "null": ``json_members``.
* NaN and Infinity can only stand where a number may, and no check of a number lets them by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loader.codec.columns import (
    Mask,
    build_map,
    canonical_json,
    first_byte_in,
    lookup,
    map_parts,
    mask_of,
    rows_of,
    string_buffers,
    validity,
)
from loader.codec.fields import Contract
from loader.codec.iso_times import parse_iso
from loader.codec.json_members import doubt_unless, unusual_members
from loader.codec.json_reader import JsonReader, Messages
from loader.codec.parts import Part, Positions
from loader.codec.values import MAX_TIME_US, MIN_TIME_US
from loader.model.events import TIME

#: RE2: everything that DuckDB renders for a JSON value that is not a string.
_NOT_TEXT: Final = (
    r"^(?:-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|(?i:[-+]?(?:nan|inf|infinity))"
    r"|\{(?s:.*)\}|\[(?s:.*)\])\z"
)
_NOT_TEXT_START: Final = lookup(b"-+0123456789tfnNiI{[")
_QUOTE: Final = lookup(b'"')
_DIGITS: Final = lookup(b"-0123456789")


class JsonBatches:
    """Decodes the JSON messages that it can prove; leaves the others.

    Holds a DuckDB connection: an instance belongs to one thread.

    Args:
        contract: which message this topic carries.
    """

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._reader = JsonReader(contract)

    def decode(self, values: Sequence[bytes]) -> tuple[list[Part], Positions]:
        """Decode messages, none of them empty.

        Returns:
            The rows, and the places in ``values`` that are left to the reference decoder.
        """
        texts, kept = _utf8(values)
        messages = self._reader.read(texts)
        if messages is None:
            well_formed = self._reader.well_formed(texts)
            texts, kept = texts.filter(pa.array(well_formed)), kept[well_formed]
            messages = self._reader.read(texts)
        if messages is None:
            return [], np.arange(len(values))
        part = self._part(messages, kept)
        left = np.ones(len(values), np.bool_)
        left[part.positions] = False
        return [part], np.flatnonzero(left)

    def _part(self, messages: Messages, positions: Positions) -> Part:
        contract = self._contract
        done = {name: _identifiers(messages, name) for name in contract.ids}
        done[contract.time] = _times(messages, contract.time)
        for name in contract.required_texts:
            messages.doubtful |= ~validity(messages.columns[name])
        suspects = {name: _maybe_not_text(messages.columns[name]) for name in contract.texts}
        doubt_unless(messages, self._reader, suspects, "VARCHAR")
        for name in contract.maps:
            done[name] = _properties(messages, name)
        unusual = unusual_members(contract, messages, self._reader)
        done |= {"extra": unusual.extra, "cleared": unusual.cleared}
        arrays = [done.get(name, messages.columns.get(name)) for name in contract.columns.names]
        rows = pa.RecordBatch.from_arrays(arrays, schema=contract.columns)
        sure = ~messages.doubtful
        return Part(
            rows=rows if sure.all() else rows.filter(pa.array(sure)),
            positions=positions[sure],
            schema_ids=np.zeros(int(sure.sum()), np.int32),
            unknown=Counter(unusual.names.filter(pa.array(sure[unusual.rows])).to_pylist()),
        )


def _maybe_not_text(column: pa.Array[Any]) -> Mask:
    """Rows whose text may have been rendered from something else than a string."""
    found = first_byte_in(column, _NOT_TEXT_START)
    if found.any():
        candidates = column.filter(pa.array(found))
        found[found] = mask_of(pc.match_substring_regex(candidates, _NOT_TEXT))
    return found


def _utf8(values: Sequence[Any]) -> tuple[pa.Array[Any], npt.NDArray[np.int64]]:
    """The values that are UTF-8 as one column, and their places in ``values``."""
    binary = pa.array(values, pa.binary())
    try:
        return binary.cast(pa.string()), np.arange(len(values))
    except pa.ArrowInvalid:
        good = np.array([_is_utf8(value) for value in values], np.bool_)
        return binary.filter(pa.array(good)).cast(pa.string()), np.flatnonzero(good)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _identifiers(messages: Messages, name: str) -> pa.Array[Any]:
    """Ids as int64; whatever is not the decimal text of an id is doubted."""
    numbers, sure = _integers(messages.columns[name])
    messages.doubtful |= ~sure | (numbers < 0)
    return pa.array(numbers)


def _integers(texts: pa.Array[Any]) -> tuple[npt.NDArray[np.int64], Mask]:
    """The int64 of each text, and the mask of the texts that are exactly that number's digits."""
    sure = validity(texts)
    try:
        parsed = pc.cast(texts, pa.int64())
    except pa.ArrowInvalid:
        # One bad text fails them all: leave out those that are not surely good.
        good = pc.match_substring_regex(texts, r"^-?[0-9]{1,18}\z").fill_null(False)
        parsed = pc.cast(pc.if_else(good, texts, "0"), pa.int64())
        sure &= mask_of(good)
    same = pc.equal(pc.cast(parsed, pa.string()), texts).fill_null(False)
    sure &= mask_of(same)
    return np.asarray(parsed.fill_null(0).to_numpy(), np.int64), sure


def _times(messages: Messages, name: str) -> pa.Array[Any]:
    """Times in microseconds from JSON text: a quoted ISO 8601 time or an integer."""
    texts = messages.columns[name]
    micros = np.zeros(len(texts), np.int64)
    sure = np.zeros(len(texts), np.bool_)
    offsets, data = string_buffers(texts)
    quoted = first_byte_in(texts, _QUOTE)
    starts = offsets[:-1][quoted].astype(np.int64) + 1
    micros[quoted], sure[quoted] = parse_iso(data, starts, np.diff(offsets)[quoted] - 2)
    digits = first_byte_in(texts, _DIGITS)
    if digits.any():
        micros[digits], sure[digits] = _integers(texts.filter(pa.array(digits)))
    sure &= (micros >= MIN_TIME_US) & (micros <= MAX_TIME_US)
    messages.doubtful |= ~sure
    return pa.array(micros).cast(TIME)


def _properties(messages: Messages, name: str) -> pa.Array[Any]:
    """A map of JSON values; rows with a value that the rules refuse are doubted."""
    offsets, keys, items, valid = map_parts(messages.columns[name])
    texts, refused = canonical_json(items, depth=3)
    if refused.any():
        messages.doubtful[rows_of(offsets)[refused]] = True
    return build_map(offsets, keys, texts, valid)
