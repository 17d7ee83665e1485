"""The truth as files, for a comparison by another program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from loader.local.oracle.truth import Oracle, spec_of
from loader.model.events import TIME
from loader.model.tables import ALL_EVENTS, ALL_EVENTS_COLUMNS

_ARROW: Final = {"BIGINT": pa.int64(), "TIMESTAMP": TIME, "VARCHAR": pa.string()}
_UNION: Final = pa.schema(
    [
        *((name, pa.int64()) for name in ALL_EVENTS_COLUMNS[:3]),
        ("time", TIME),
        ("event_table_name", pa.string()),
    ]
)


def write(oracle: Oracle, folder: Path) -> None:
    """Write ``<table>.parquet`` for every table, and ``summary.json``, into ``folder``.

    Custom columns follow the built-in ones, ascending. The summary has ``tables`` (rows), ``messages``
    and ``rejected`` (both by topic key). The folder is made where it is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tables = oracle.tables()
    for table, rows in tables.items():
        pq.write_table(
            pa.Table.from_pylist(rows, _schema(table, rows)), folder / f"{table}.parquet"
        )
    summary = {
        "tables": {table: len(rows) for table, rows in tables.items()},
        "messages": oracle.messages,
        "rejected": oracle.rejected,
    }
    text = json.dumps(summary, indent=2, sort_keys=True)
    (folder / "summary.json").write_text(text + "\n", encoding="utf-8")


def _schema(table: str, rows: list[dict[str, Any]]) -> pa.Schema:
    if table == ALL_EVENTS:
        return _UNION
    columns = spec_of(table).columns
    custom = {name for row in rows for name in row} - {column.name for column in columns}
    return pa.schema(
        [
            *((column.name, _ARROW[column.kind]) for column in columns),
            *((name, pa.string()) for name in sorted(custom)),
        ]
    )
