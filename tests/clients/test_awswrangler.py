"""awswrangler copies a frame in: it makes the table, stages Parquet on S3 and upserts."""

from __future__ import annotations

import json

from tests.clients.conftest import Client
from tests.support.redshift_standin import Sql


def test_a_frame_is_copied_in(client: Client, sql: Sql, tables: str) -> None:
    said = json.loads(
        client.program("awswrangler", "awswrangler_frame", tables).split("RESULT ")[-1]
    )
    assert said["rows"] == [
        [1, "a", "2026-01-01 10:00:00.123456", 0.5],
        [2, "b", None, 1.0],
        [3, None, None, None],
        [4, None, None, None],
        [5, "e", None, 2.0],
    ]
    assert sql.rows(
        'SELECT "column", type, distkey, sortkey, "notnull" FROM pg_table_def'
        " WHERE tablename = 'frame'"
    ) == [
        ["id", "bigint", True, 0, True],
        ["name", "character varying(256)", False, 0, False],
        ["at", "timestamp without time zone", False, 1, False],
        ["share", "double precision", False, 0, False],
    ]
