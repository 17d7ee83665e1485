"""JSON, a batch at a time: DuckDB reads all messages into columns in one query.

DuckDB takes more than the rules allow and says less than they need (``json_reader``). Every difference
is looked for column-wise, and the rows concerned go to the reference decoder:

* a number, boolean, object or array in a text field: what looks like one is asked for its JSON type.
* a comma before a closing bracket, a repeated or an unknown key, and "absent" against "null":
  ``json_members``.
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
    may_be_longer,
    not_utf8,
    rows_of,
    string_buffers,
    strings,
    validity,
)
from loader.codec.fields import Contract
from loader.codec.iso_times import parse_iso
from loader.codec.json_members import doubt_unless_text, unusual_members
from loader.codec.json_reader import JsonReader, Messages
from loader.codec.parts import Part, Positions
from loader.codec.values import MAX_TIME_US, MIN_TIME_US
from loader.model.events import PROPERTIES, TIME

#: RE2: everything that DuckDB renders for a JSON value that is not a string.
_NOT_TEXT: Final = (
    r"^(?:-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|(?i:[-+]?(?:nan|inf|infinity))"
    r"|\{(?s:.*)\}|\[(?s:.*)\])\z"
)
_NOT_TEXT_START: Final = lookup(b"-+0123456789tfnNiI{[")
_QUOTE: Final = lookup(b'"')
_DIGITS: Final = lookup(b"-0123456789")
_MAY_OPEN: Final = lookup(b"{ \t\r\n")
_MAY_CLOSE: Final = lookup(b"} \t\r\n")


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
        texts, kept = _objects(values)
        if len(kept) == 0:
            return [], np.arange(len(values))
        part = self._part(self._reader.read(texts), kept)
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
        doubt_unless_text(messages, self._reader, suspects)
        unsized = np.zeros(len(positions), np.bool_)
        for name in contract.maps:
            done[name], longer = _properties(messages, name, self._reader)
            unsized |= longer
        unusual = unusual_members(contract, messages, self._reader, unsized)
        done |= {"extra": unusual.extra, "cleared": unusual.cleared}
        arrays = [done.get(name, messages.columns.get(name)) for name in contract.columns.names]
        sure = ~messages.doubtful
        return Part(
            rows=pa.RecordBatch.from_arrays(arrays, schema=contract.columns),
            at=np.flatnonzero(sure),
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


def _objects(values: Sequence[bytes]) -> tuple[pa.Array[Any], Positions]:
    """The values that are UTF-8 and may be a JSON object as one column, and their places."""
    texts = strings(values)
    offsets, data = string_buffers(texts)
    likely = _MAY_OPEN[data[offsets[:-1]]] & _MAY_CLOSE[data[offsets[1:] - 1]]
    likely &= ~not_utf8(texts)
    places = np.flatnonzero(likely)
    return texts if len(places) == len(values) else texts.filter(pa.array(likely)), places


def _identifiers(messages: Messages, name: str) -> pa.Array[Any]:
    """Ids as int64; whatever is not the decimal text of an id, quoted or not, is doubted."""
    texts = messages.columns[name]
    if first_byte_in(texts, _QUOTE).any():
        texts = pc.ascii_trim(texts, '"')
    numbers, sure = _integers(texts)
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


def _properties(messages: Messages, name: str, reader: JsonReader) -> tuple[pa.Array[Any], Mask]:
    """A map of JSON values; rows with a value that the rules refuse are doubted.

    Returns:
        The maps, and the mask of the rows in which one may be longer as rendered than as sent.
    """
    encoded = messages.columns[name].dictionary_encode()
    filled = validity(encoded)
    longer = np.zeros(len(filled), np.bool_)
    if not filled.any():
        return pa.nulls(len(filled), PROPERTIES), longer
    # The events of a session carry the same text: each is looked at once.
    offsets, keys, items, valid = map_parts(reader.members(encoded.dictionary))
    rows = rows_of(offsets)
    texts, refused = canonical_json(items, depth=3)
    valid[rows[refused]] = False
    which = encoded.indices.fill_null(0).to_numpy()
    messages.doubtful |= filled & ~valid[which]
    stretched = np.zeros(len(valid), np.bool_)
    stretched[rows[may_be_longer(items)]] = True
    longer = filled & stretched[which]
    return build_map(offsets, keys, texts, valid).take(encoded.indices), longer
