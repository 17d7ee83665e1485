"""What a user reads when Redshift refuses, and names that try to be SQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from loader.compactor.copy_files import CopyWriter, write_manifest
from loader.compactor.executors import Here
from loader.compactor.projection import table_schema
from loader.compactor.properties import SYSTEM_COLUMNS
from loader.compactor.sync import Parts, warehouse_of
from loader.config import Settings
from loader.errors import LoaderError
from loader.lake.s3 import S3Store
from loader.model.plans import Action, TablePlan
from loader.model.tables import PAGEVIEWS, Column
from loader.warehouse.connection import RedshiftSession, connect
from loader.warehouse.ddl import CreateTable
from loader.warehouse.schema import prepare_schema
from loader.warehouse.sql import (
    Begin,
    InsertRow,
    Rollback,
    SelectColumns,
    SelectRows,
    Statement,
    Table,
)
from loader.warehouse.work import Manifest, Work

SECRET_TITLE = "mrs smith's diagnosis "


def work_with(store: S3Store, title: str) -> Work:
    """A load of one pageview with this title, whatever its column holds."""
    schema = table_schema(PAGEVIEWS, ())
    row: dict[str, Any] = dict.fromkeys(schema.names) | {
        "event_id": 1,
        "user_id": 1,
        "session_id": 1,
        "time": datetime(2026, 1, 1),  # noqa: DTZ001 - the warehouse's times have no zone
        "title": title,
        "_partition": 0,
        "_offset": 0,
    }
    writer = CopyWriter(store, "sync-1", "pageviews", "00000")
    writer.write(pa.Table.from_pylist([row], schema=schema))
    files = writer.finish()
    key = write_manifest(store, "sync-1", "pageviews", 0, files)
    manifest = Manifest(key, f"{store.url}/{key}", tuple(schema.names), 1, files[0].bytes)
    plan = TablePlan(
        "pageviews",
        "pageviews",
        PAGEVIEWS.kind,
        "pageviews",
        Action.INITIAL,
        "first",
        {},
        {"t": {}},
    )
    return Work(plan, PAGEVIEWS, (), (manifest,), "sync-1", datetime.now(UTC))


def test_a_load_error_says_where_and_never_what(settings: Settings) -> None:
    store = S3Store.open(settings.lake)
    parts = Parts(store, lambda: connect(settings.warehouse), Here(store))
    warehouse = warehouse_of(settings, parts)
    try:
        warehouse.run(lambda session: prepare_schema(session, warehouse.schema))
        with pytest.raises(LoaderError) as caught:
            warehouse.load([work_with(store, SECRET_TITLE * 60)])
        assert warehouse.run(warehouse.ledger.read) == {}
    finally:
        warehouse.close()
    text = str(caught.value)
    for part in (
        "Table pageviews, sync sync-1: ",
        "Spectrum Scan Error",
        "The length of the data column title is longer than the length defined in the table",
        "Load error 15007 at file ",
        "/sync/sync-1/pageviews/00000-000.parquet",
        "column title (",
        "Nothing was changed.",
    ):
        assert part in text
    assert "smith" not in text


HOSTILE = st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=127
).filter(lambda name: len(name.encode()) <= 127 and name.lower() not in SYSTEM_COLUMNS)


class Unwatched:
    """A statement that no sync would send: a row for a table that is not bookkeeping."""

    def __init__(self, statement: Statement) -> None:
        self.render = statement.render


def folded(name: str) -> str:
    """As Redshift folds names: ASCII letters only (AWS docs: names and identifiers)."""
    return "".join(c.lower() if c.isascii() else c for c in name)


@example('"; DROP TABLE users; --', "a\nb", "it's \\ here\r\n")
@example("select", "order", "")
@example("é" * 63, 'a"b""c', "$1 %s :x ?")
@example('50%s off"%s"', '"%', "%s %% %(x)s")
@example("x" * 127, "{}", "\\'; --")
# A table whose name begins with # is a temporary one (AWS docs: CREATE TABLE).
@given(
    HOSTILE.filter(lambda name: name[0] != "#"),
    HOSTILE,
    st.text(st.characters(codec="utf-8", exclude_characters="\0")),
)
@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_name_and_value_arrives_as_it_is(
    names_session: RedshiftSession, name: str, column: str, value: str
) -> None:
    session = names_session
    table = Table(name, "public")
    session.execute(Begin())
    try:
        session.execute(CreateTable(table, (Column(column, "VARCHAR", 65535),)))
        session.execute(Unwatched(InsertRow(table, {column: value})))
        assert session.execute(SelectRows(table, (column,), {column: value})).rows == ((value,),)
        found = [row[:2] for row in session.execute(SelectColumns("public")).rows]
        assert (folded(name), folded(column)) in [tuple(row) for row in found]
    finally:
        session.execute(Rollback())


@pytest.fixture(scope="module")
def names_session(environment: Any) -> Any:
    from loader.local.environment import settings as stack_settings

    opened = connect(Settings.model_validate(stack_settings(environment)).warehouse)
    yield opened
    opened.close()
