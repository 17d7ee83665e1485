"""A plain user of the stand-in who has all that the loader needs, until a test takes something away."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr

from loader import config
from loader.local.environment import Environment
from loader.local.environment import settings as stack_settings
from loader.warehouse.connection import RedshiftSession, connect
from loader.warehouse.schema import prepare_schema
from loader.warehouse.session import Answer
from loader.warehouse.sql import Rendered

Sql = Callable[[str], Answer]


class Ask:
    """Any SQL, for a test's own questions."""

    def __init__(self, text: str) -> None:
        self.text = text

    def render(self) -> Rendered:
        return Rendered(self.text, (), self.text)


@pytest.fixture
def settings(environment: Environment, lake_prefix: str, schema_name: str) -> config.Settings:
    """A lake's prefix and a schema that nobody else has."""
    document = stack_settings(environment, lake_prefix=lake_prefix, schema=schema_name)
    return config.Settings.model_validate(document)


@pytest.fixture
def admin(settings: config.Settings) -> Iterator[Sql]:
    """A superuser's session."""
    session = connect(settings.warehouse)
    yield lambda text: session.execute(Ask(text))
    session.close()


PASSWORD = "Passw0rd"


@pytest.fixture
def user(admin: Sql, schema_name: str, environment: Environment) -> Iterator[str]:
    """A plain user with every right that the loader needs, and none by way of PUBLIC."""
    name = f"u_{uuid.uuid4().hex[:12]}"
    database = environment.redshift.database
    admin(f"CREATE USER {name} PASSWORD '{PASSWORD}'")
    admin(f"REVOKE TEMP ON DATABASE {database} FROM PUBLIC")
    admin(f"GRANT TEMP, CREATE ON DATABASE {database} TO {name}")
    admin(f"GRANT SELECT ON svv_table_info TO {name}")
    yield name
    admin(f"GRANT TEMP ON DATABASE {database} TO PUBLIC")
    admin(f"DROP SCHEMA IF EXISTS {schema_name} CASCADE")
    admin(f"REVOKE ALL ON DATABASE {database} FROM {name}")
    admin(f"REVOKE ALL ON svv_table_info FROM {name}")
    admin(f"DROP USER {name}")


@pytest.fixture
def own(user: str, settings: config.Settings) -> config.Settings:
    """The settings with that user."""
    login = {"user": user, "password": SecretStr(PASSWORD)}
    return settings.model_copy(update={"warehouse": settings.warehouse.model_copy(update=login)})


@pytest.fixture
def session(own: config.Settings) -> Iterator[RedshiftSession]:
    """That user's session."""
    opened = connect(own.warehouse)
    yield opened
    opened.close()


@pytest.fixture
def loaded(session: RedshiftSession, schema_name: str) -> str:
    """The schema after its first sync's preparation, by that user."""
    prepare_schema(session, schema_name)
    return schema_name
