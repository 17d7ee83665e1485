"""A lake on the session's S3 server, a schema on its stand-in, and ways to look at both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loader.config import Settings
from loader.lake.s3 import S3Store
from loader.local.environment import Environment
from loader.local.environment import settings as stack_settings
from loader.warehouse.connection import RedshiftSession, connect
from loader.warehouse.session import Answer
from loader.warehouse.sql import Rendered
from tests.support.faults import control_file
from tests.support.lake_writer import LakeWriter

Rows = list[dict[str, Any]]


class Query:
    """Any SQL, for a test's own questions."""

    def __init__(self, text: str) -> None:
        self.text = text

    def render(self) -> Rendered:
        return Rendered(self.text, (), self.text)


@pytest.fixture
def settings(environment: Environment, lake_prefix: str, schema_name: str) -> Settings:
    """Settings without topics in Kafka: the lake is written by hand."""
    document = stack_settings(environment, lake_prefix=lake_prefix, schema=schema_name)
    return Settings.model_validate(document)


@pytest.fixture
def control(environment: Environment) -> Path:
    """Where the stand-in looks for faults."""
    return control_file(environment.config)


@pytest.fixture
def lake(settings: Settings) -> LakeWriter:
    return LakeWriter(S3Store.open(settings.lake), settings.topics)


@pytest.fixture
def session(settings: Settings) -> Iterator[RedshiftSession]:
    opened = connect(settings.warehouse)
    yield opened
    opened.close()


@pytest.fixture
def sql(session: RedshiftSession) -> Callable[[str], Answer]:
    return lambda text: session.execute(Query(text))


@pytest.fixture
def table(settings: Settings, sql: Callable[[str], Answer]) -> Callable[[str], Rows]:
    """All rows of a table, by column name."""

    def read(name: str) -> Rows:
        schema = settings.warehouse.db_schema
        columns = sql(
            "SELECT column_name FROM svv_columns WHERE table_schema = "
            f"'{schema}' AND table_name = '{name}' ORDER BY ordinal_position"
        ).rows
        names = [row[0] for row in columns]
        listed = ", ".join(f'"{column}"' for column in names) or "*"
        found = sql(f'SELECT {listed} FROM "{schema}"."{name}"').rows
        return [dict(zip(names, row, strict=True)) for row in found]

    return read
