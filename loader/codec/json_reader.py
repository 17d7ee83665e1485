"""Questions to DuckDB about a column of JSON messages. Everything that is peculiar to it stands here.

Its JSON reader (yyjson) takes NaN, Infinity and a comma before a closing bracket; renders whatever
stands where ``VARCHAR`` was asked for; gives NULL for an absent key, for null and for an object with a
repeated key where ``MAP`` was asked for; and of a repeated key takes the first.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loader.codec.columns import Mask, mask_of, validity
from loader.codec.fields import Contract

#: RE2: a comma with nothing behind it, be it inside a string.
_LOOSE_COMMA: Final = r",[ \t\r\n]*[\]}]"


@dataclass(slots=True)
class Messages:
    """JSON messages that were read.

    Attributes:
        texts: the messages.
        columns: by field: ids and texts as rendered, the time as JSON text, maps as name to JSON text.
        keys: how many top-level keys each message has, repeated ones too.
        doubtful: the rows that the reference must see; checks add to it.
    """

    texts: pa.Array[Any]
    columns: dict[str, pa.Array[Any]]
    keys: npt.NDArray[np.int64]
    doubtful: Mask


class JsonReader:
    """One DuckDB connection of one thread, so for one thread.

    Args:
        contract: which message is read.
    """

    def __init__(self, contract: Contract) -> None:
        self._known = contract.known
        shape = dict.fromkeys((*contract.ids, *contract.texts), "VARCHAR")
        shape |= {contract.time: "JSON"}
        shape |= dict.fromkeys(contract.maps, "MAP(VARCHAR, JSON)")
        self._shape = json.dumps(shape)
        self._duck = duckdb.connect(":memory:", config={"threads": 1, "temp_directory": ""})
        self._duck.execute("SET TimeZone = 'UTC'")

    def read(self, texts: pa.Array[Any]) -> Messages | None:
        """Read all messages, or None if one of them is not JSON."""
        try:
            table = self._ask(
                "SELECT from_json(message, $shape) AS fields, len(json_keys(message)) AS keys "
                "FROM messages",
                texts,
                shape=self._shape,
            )
        except (duckdb.InvalidInputException, UnicodeDecodeError):
            return None  # the second: its message quotes the input and may cut a character in two
        fields = _flat(table.column("fields"))
        loose = mask_of(pc.match_substring_regex(texts, _LOOSE_COMMA))
        return Messages(
            texts=texts,
            columns={name: fields.field(name) for name in self._known},
            keys=_flat(table.column("keys")).to_numpy(),
            doubtful=~validity(fields) | loose,
        )

    def well_formed(self, texts: pa.Array[Any]) -> Mask:
        """Which texts DuckDB takes for JSON."""
        table = self._ask("SELECT json_valid(message) AS answer FROM messages", texts)
        return mask_of(_flat(table.column("answer")))

    def keys(self, texts: pa.Array[Any]) -> pa.Array[Any]:
        """The top-level keys of each text, a list column."""
        table = self._ask("SELECT json_keys(message) AS answer FROM messages", texts)
        return _flat(table.column("answer"))

    def members(self, texts: pa.Array[Any]) -> pa.Array[Any]:
        """All top-level members of each text, a map of name to JSON text; null if a key is repeated."""
        table = self._ask(
            """SELECT from_json(message, '"MAP(VARCHAR, JSON)"') AS answer FROM messages""", texts
        )
        return _flat(table.column("answer"))

    def are(self, texts: pa.Array[Any], names: Sequence[str], kind: str) -> list[Mask]:
        """For each named field, in which texts it is of DuckDB's JSON type ``kind``."""
        table = self._ask(
            "SELECT json_type(message, $paths) AS answer FROM messages",
            texts,
            paths=[f"$.{name}" for name in names],
        )
        types = _flat(table.column("answer")).values
        columns = (types[place :: len(names)] for place in range(len(names)))
        return [mask_of(pc.equal(column, kind).fill_null(False)) for column in columns]

    def _ask(self, sql: str, texts: pa.Array[Any], **parameters: Any) -> pa.Table:
        self._duck.register("messages", pa.table({"message": texts}))
        try:
            return self._duck.sql(sql, params=parameters).to_arrow_table()
        finally:
            self._duck.unregister("messages")


def _flat(column: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    """A column of a query's result as one array that starts at its buffers' start."""
    if column.num_chunks == 1 and column.chunk(0).offset == 0:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
