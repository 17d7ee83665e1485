"""From simulated traffic to the warehouse, through the console script alone, row for row.

The expected tables are the oracle's, written by ``simulate --oracle``; what stands is asked of the
warehouse with the driver that analysts use.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import redshift_connector
import tomli_w

from loader.config import Settings

SAMPLES = Path(__file__).parents[2] / "loader" / "local" / "samples"
KEYS = {
    "users": ["user_id"],
    "user_migrations": ["from_user_id"],
    "all_events": ["user_id", "event_id", "event_table_name"],
}
Row = dict[str, Any]
Connection = Any  # the driver ships no types


class Loader:
    """The console script with one configuration."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._env = {k: v for k, v in os.environ.items() if not k.startswith("HEAP_LOADER_")}

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "from loader.cli import main; main()",
                "--config",
                str(self._config),
                *arguments,
            ],
            check=False,
            capture_output=True,
            text=True,
            env=self._env,
            timeout=240,
        )
        assert done.returncode == 0, f"{arguments}: {done.stderr[-3000:]}"
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))


@pytest.fixture
def warehouse(settings: Settings) -> Iterator[Connection]:
    place = settings.warehouse
    connection = redshift_connector.connect(
        host=place.host,
        port=place.port,
        database=place.database,
        user=place.user,
        password=place.password.get_secret_value(),
        ssl=False,
    )
    connection.autocommit = True
    yield connection
    connection.close()


@pytest.fixture(params=["json", "avro"])
def format_(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def rows_of(connection: Connection, schema: str, table: str) -> list[Row]:
    cursor = connection.cursor()
    cursor.execute(f'SELECT * FROM {schema}."{table}"')
    names = [str(column[0]) for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def assert_equal_tables(connection: Connection, schema: str, truth: Path) -> dict[str, int]:
    """Every table, every row, every column; returns the rows of each."""
    counts = {}
    for file in sorted(truth.glob("*.parquet")):
        table = file.stem
        key = KEYS.get(table, ["user_id", "event_id"])

        def order(row: Row, key: list[str] = key) -> tuple[Any, ...]:
            return tuple(row[name] for name in key)

        expected = sorted(pq.read_table(file).to_pylist(), key=order)
        actual = sorted(rows_of(connection, schema, table), key=order)
        assert [order(row) for row in actual] == [order(row) for row in expected], table
        columns = set(actual[0]) | set(expected[0]) if actual else set()
        for stands, should in zip(actual, expected, strict=True):
            different = {
                name: (stands.get(name), should.get(name))
                for name in columns
                if stands.get(name) != should.get(name)
            }
            assert not different, (table, order(should), different)
        counts[table] = len(actual)
    return counts


def test_every_table_equals_the_oracle_row_for_row(
    config_file: Path,
    settings: Settings,
    warehouse: Connection,
    format_: str,
    tmp_path: Path,
) -> None:
    schema = settings.warehouse.db_schema
    config = _with_format(config_file, format_, tmp_path)
    loader = Loader(config)

    traffic = ("--events", "6000", "--users", "400", "--seed", "11", "--malformed", "0.01")
    rates = ("--duplicates", "0.05", "--late", "0.05")
    sent = loader.json("simulate", *traffic, *rates, "--oracle", str(tmp_path / "truth"))
    assert sum(sent["messages"].values()) > 6000

    read = loader.json("consume", "--until-caught-up")
    summary = json.loads((tmp_path / "truth" / "summary.json").read_text())
    refused = summary["rejected"]["events"] + summary["rejected"]["user_updates"]
    assert read["dead_letters"] == refused > 0

    applied = loader.json("events", "apply", str(SAMPLES))
    assert {entry["change"] for entry in applied} == {"created"}
    loader("reconcile", "--until-caught-up")
    assert len(loader.json("events", "list")) == 3

    planned = loader.json("sync", "--plan")
    assert {table["action"] for table in planned["tables"]} == {"initial"}
    loader("sync")
    counts = assert_equal_tables(warehouse, schema, tmp_path / "truth")
    assert min(counts.values()) > 0

    status = loader.json("status")
    assert {table["state"] for table in status["tables"]} == {"synced"}

    # Running it again changes nothing, and says so.
    again = loader.json("sync")
    assert {table["action"] for table in again["tables"]} == {"nothing"}
    assert assert_equal_tables(warehouse, schema, tmp_path / "truth") == counts

    info = rows_of(warehouse, schema, "_sync_info")
    assert sorted(row["event_table_name"] for row in info) == sorted(
        set(counts) - {"all_events", "user_migrations"}
    )
    assert rows_of(warehouse, schema, "sync_info") == info
    assert {row["status"] for row in rows_of(warehouse, schema, "_sync_history")} == {"succeeded"}


def test_the_keys_of_the_tables_are_what_a_dba_expects(
    config_file: Path, settings: Settings, warehouse: Connection
) -> None:
    schema = settings.warehouse.db_schema
    loader = Loader(config_file)
    loader("simulate", "--events", "500", "--seed", "2")
    loader("consume", "--until-caught-up")
    loader("sync")
    cursor = warehouse.cursor()
    cursor.execute(f"SET search_path TO {schema}")
    cursor.execute(
        'SELECT tablename, "column", distkey, sortkey, "notnull" FROM pg_table_def '
        "WHERE schemaname = %s AND (distkey OR sortkey <> 0)",
        (schema,),
    )
    keys: dict[str, tuple[set[str], set[str]]] = {}
    for table, column, dist, sort, _ in cursor.fetchall():
        dists, sorts = keys.setdefault(table, (set(), set()))
        if dist:
            dists.add(column)
        if sort:
            sorts.add(column)
    assert keys["pageviews"] == ({"user_id"}, {"time"})
    assert keys["sessions"] == ({"user_id"}, {"time"})
    assert keys["users"] == ({"user_id"}, {"joindate"})


def _with_format(config_file: Path, format_: str, folder: Path) -> Path:

    document = tomllib.loads(config_file.read_text())
    for key in ("events", "user_updates", "user_migrations", "user_deletions"):
        document["topics"][key]["format"] = format_
    path = folder / f"{format_}.toml"
    path.write_text(tomli_w.dumps(document))
    path.chmod(0o600)
    return path
