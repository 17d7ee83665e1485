"""Questions to DuckDB about a column of JSON messages. Everything that is peculiar to it stands here.

Its JSON reader (yyjson) takes NaN, Infinity and a comma before a closing bracket; renders whatever
stands where ``VARCHAR`` was asked for; gives NULL for an absent key, for null and for an object with a
repeated key where ``MAP`` was asked for; and of a repeated key takes the first.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from loader.codec.columns import Mask, mask_of, validity
from loader.codec.fields import Contract


@dataclass(slots=True)
class Messages:
    """JSON messages that were read.

    Attributes:
        texts: the messages.
        columns: by field: texts as rendered, everything else as JSON text.
        doubtful: the rows that the reference must see; checks add to it.
    """

    texts: pa.Array[Any]
    columns: dict[str, pa.Array[Any]]
    doubtful: Mask


class JsonReader:
    """One DuckDB connection of one thread, so for one thread.

    Args:
        contract: which message is read.
    """

    def __init__(self, contract: Contract) -> None:
        self._known = contract.known
        shape = dict.fromkeys(contract.known, "JSON") | dict.fromkeys(contract.texts, "VARCHAR")
        self._shape = json.dumps(shape)
        # One bad message fails a whole query. Where one was met, more are likely: look first.
        self._wary = False
        self._duck = duckdb.connect(":memory:", config={"threads": 1, "temp_directory": ""})
        self._duck.execute("SET TimeZone = 'UTC'")

    def read(self, texts: pa.Array[Any]) -> Messages:
        """Read all messages; those that are not JSON objects are doubtful."""
        fields = None
        if not self._wary:
            with contextlib.suppress(duckdb.InvalidInputException, UnicodeDecodeError):
                fields = self._fields("message", texts)
        if fields is None:
            fields = self._fields("CASE WHEN json_valid(message) THEN message END", texts)
            self._wary = fields.null_count > 0
        return Messages(
            texts=texts,
            columns={name: fields.field(name) for name in self._known},
            doubtful=~validity(fields),
        )

    def _fields(self, message: str, texts: pa.Array[Any]) -> pa.Array[Any]:
        """The known fields of each text, a struct column.

        Raises:
            duckdb.InvalidInputException: a message is not JSON.
            UnicodeDecodeError: the same; the error quotes the input and may cut a character in two.
        """
        sql = f"SELECT from_json({message}, $shape) AS fields FROM messages"  # noqa: S608
        return _flat(self._ask(sql, texts, shape=self._shape).column("fields"))

    def keys(self, texts: pa.Array[Any]) -> pa.Array[Any]:
        """The top-level keys of each text, a list column."""
        table = self._ask("SELECT json_keys(message) AS answer FROM messages", texts)
        return _flat(table.column("answer"))

    def members(self, texts: pa.Array[Any]) -> pa.Array[Any]:
        """The members of each object, a map of name to JSON text; null if a key is repeated."""
        table = self._ask(
            """SELECT from_json(message, '"MAP(VARCHAR, JSON)"') AS answer FROM messages""", texts
        )
        return _flat(table.column("answer"))

    def are_texts(self, texts: pa.Array[Any], names: Sequence[str]) -> list[Mask]:
        """For each named field, in which texts it is a JSON string."""
        table = self._ask(
            "SELECT json_type(message, $paths) AS answer FROM messages",
            texts,
            paths=[f"$.{name}" for name in names],
        )
        types = _flat(table.column("answer")).values
        columns = (types[place :: len(names)] for place in range(len(names)))
        return [mask_of(pc.equal(column, "VARCHAR").fill_null(False)) for column in columns]

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
