"""Real client programs against the stand-in, each in an environment of its own.

They pin other versions of the driver than the loader does. An environment is made once per machine
from its pinned requirements (``environments/``) and kept beside the loader's other downloads.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import redshift_connector

from bench.peers.installing import venv
from loader.local.environment import Environment
from loader.model.tables import PAGEVIEWS, SESSIONS, USERS
from loader.warehouse.ddl import CreateTable
from loader.warehouse.sql import Table
from tests.support.redshift_standin import Sql

HERE = Path(__file__).parent


def client_python(name: str) -> Path:
    """The interpreter of a client's environment, made where it is not there yet."""
    return venv(name, print, HERE / "environments")


@dataclass(frozen=True)
class Client:
    """Runs programs with the stand-in's address, user and password in their environment."""

    variables: dict[str, str]

    def __call__(self, *argv: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(part) for part in argv],
            env={**os.environ, **self.variables, **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    def program(self, environment: str, name: str, *arguments: str, **more: str) -> str:
        """Run ``programs/NAME.py`` and return what it printed."""
        done = self(
            client_python(environment), HERE / "programs" / f"{name}.py", *arguments, **more
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def client(environment: Environment) -> Client:
    server, s3 = environment.redshift, environment.s3
    return Client({
        "PGHOST": server.host, "PGPORT": str(server.port), "PGDATABASE": server.database,
        "PGUSER": server.user, "PGPASSWORD": server.password, "PGSSLMODE": "disable",
        "S3_ENDPOINT": s3.endpoint_url, "S3_BUCKET": s3.bucket,
        "AWS_ACCESS_KEY_ID": s3.access_key_id, "AWS_SECRET_ACCESS_KEY": s3.secret_access_key,
        "AWS_DEFAULT_REGION": s3.region, "AWS_EC2_METADATA_DISABLED": "true",
        "PGOPTIONS": "", "PSQLRC": os.devnull, "PAGER": "",
    })  # fmt: skip


@pytest.fixture
def sql(environment: Environment) -> Iterator[Sql]:
    """An autocommit session of the superuser."""
    server = environment.redshift
    with redshift_connector.connect(
        host=server.host, port=server.port, database=server.database, user=server.user,
        password=server.password, ssl=False, max_prepared_statements=0,
    ) as connection:  # fmt: skip
        connection.autocommit = True
        yield Sql(connection)


@pytest.fixture
def tables(sql: Sql, schema_name: str) -> Iterator[str]:
    """A schema with the loader's tables as the loader makes them, and a few rows."""
    sql(f"CREATE SCHEMA {schema_name}")
    for spec in (USERS, SESSIONS, PAGEVIEWS):
        create = CreateTable(
            Table(spec.name, schema_name), spec.columns, spec.sort_key, spec.dist_key
        )
        sql(create.render().text)
    sql(f"SET search_path TO {schema_name}")
    sql(
        "INSERT INTO users (user_id, identity, joindate)"
        " VALUES (1, 'ann', '2026-01-01'), (2, NULL, NULL)"
    )
    pageviews(sql, [(10, 1, "2026-01-01 10:00", "/A"), (11, 2, "2026-01-02 11:00", "/B")])
    yield schema_name
    sql(f"DROP SCHEMA {schema_name} CASCADE")


def pageviews(sql: Sql, rows: Sequence[tuple[int, int, str, str]]) -> None:
    """Add pageviews: event, user, time, path."""
    for event, user, at, path in rows:
        sql(
            'INSERT INTO pageviews (event_id, user_id, session_id, "time", path)'
            " VALUES (%s, %s, 1, %s, %s)",
            event,
            user,
            at,
            path,
        )
