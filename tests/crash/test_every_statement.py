"""A connection that is lost, and a conflict that is lost, at every statement of a sync."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stamina

from loader.local.environment import Environment
from loader.local.environment import settings as stack_settings
from tests.crash.every_statement import first_syncs, later_syncs
from tests.support.faults import control_file

#: Faults of one sync: the more, the fewer syncs it takes.
TOGETHER = 30


@pytest.fixture(autouse=True)
def _patient_without_waiting() -> Iterator[None]:
    stamina.set_testing(True, attempts=TOGETHER + 2)
    yield
    stamina.set_testing(False)


def test_every_statement_of_a_first_sync(
    environment: Environment, lake_prefix: str, schema_name: str
) -> None:
    document = stack_settings(environment, lake_prefix=lake_prefix, schema=schema_name)
    control = control_file(environment.config)
    assert first_syncs(document, ("kept", "users"), TOGETHER, control) > 100


def test_every_statement_of_a_later_sync(
    environment: Environment, lake_prefix: str, schema_name: str
) -> None:
    document = stack_settings(environment, lake_prefix=lake_prefix, schema=schema_name)
    tables = ("edited", "renamed", "users")
    control = control_file(environment.config)
    assert later_syncs(document, tables, TOGETHER, control) > 120
