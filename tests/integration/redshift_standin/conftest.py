"""A real PostgreSQL and a real S3 server for the stand-in, both from their wheels, both our own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redshift_connector

from loader.local.redshift import StandInConfig, StandInThread
from tests.support.redshift_standin import (
    DATABASE,
    PASSWORD,
    USER,
    Connect,
    Sql,
    client_for,
    config_for,
    running_postgres,
    running_s3,
)


@pytest.fixture(scope="session")
def postgres_port() -> Iterator[int]:
    """An empty PostgreSQL cluster; its superuser is ``postgres``, trusted."""
    with running_postgres() as port:
        yield port


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """SeaweedFS with one bucket and one pair of keys."""
    with running_s3() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def s3(s3_endpoint: str) -> Any:
    return client_for(s3_endpoint)


@pytest.fixture(scope="session")
def control_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("control") / "faults.json"


@pytest.fixture(scope="session")
def config(postgres_port: int, s3_endpoint: str, control_file: Path) -> StandInConfig:
    return config_for(postgres_port, s3_endpoint, control_file)


@pytest.fixture(scope="session")
def stand_in(config: StandInConfig) -> Iterator[StandInThread]:
    with StandInThread(config) as running:
        yield running


@pytest.fixture
def connect(stand_in: StandInThread) -> Iterator[Connect]:
    """Opens redshift_connector connections and closes them after the test."""
    opened: list[Any] = []

    def opening(*, autocommit: bool = True, **options: Any) -> Any:
        given = {
            "host": "127.0.0.1", "port": stand_in.port, "database": DATABASE, "user": USER,
            "password": PASSWORD, "ssl": False, "max_prepared_statements": 0, **options,
        }  # fmt: skip
        connection = redshift_connector.connect(**given)
        connection.autocommit = autocommit
        opened.append(connection)
        return connection

    yield opening
    for connection in opened:
        with suppress(Exception):
            connection.close()


@pytest.fixture
def sql(connect: Connect) -> Sql:
    """An autocommit session with a schema of its own, first in the search path."""
    session = Sql(connect())
    schema = f"t{time.monotonic_ns()}"
    session(f"CREATE SCHEMA {schema}")
    session(f"SET search_path TO {schema}")
    return session


@pytest.fixture
def schema(sql: Sql) -> str:
    return str(sql.value("SELECT current_schema()"))
