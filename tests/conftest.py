"""One local stack for the whole test session, and names that no other test uses.

Set ``HEAP_LOADER_TEST_STACK=DIR`` to use (and leave running) a stack in DIR, which saves its start
when tests are run again and again. Where tests run in several processes (``-n``), each has a stack of
its own.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from loader.config import Settings
    from loader.local.environment import Environment
    from loader.local.stack import Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Kafka, S3 and the Redshift stand-in, healthy; ended with their data after the last test."""
    from loader.local.stack import Stack

    given = os.environ.get("HEAP_LOADER_TEST_STACK")
    if given:
        worker = os.environ.get("PYTEST_XDIST_WORKER", "")
        kept = Stack.open(f"{given}-{worker}" if worker else given)
        kept.up()
        yield kept
        return
    started = Stack.open(tmp_path_factory.mktemp("stack"))
    try:
        started.up()
        yield started
    finally:
        started.down(purge=True)


@pytest.fixture(scope="session")
def environment(stack: Stack) -> Iterator[Environment]:
    """The endpoints of the session's stack.

    Every statement that the loader sends to its warehouse meanwhile, from this process or from one that
    a test starts, is held against what a loader must never send; a breach fails the session at its end.
    """
    from tests.support.law import watched_statements

    with watched_statements() as watch:
        yield stack.environment()
    watch.ask(stack.environment())
    assert watch.broken == []


@pytest.fixture(scope="session")
def s3_client(environment: Environment) -> S3Client:
    """A client of the session's S3 server."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=environment.s3.endpoint_url,
        aws_access_key_id=environment.s3.access_key_id,
        aws_secret_access_key=environment.s3.secret_access_key,
        region_name=environment.s3.region,
    )


@pytest.fixture
def lake_prefix() -> str:
    """A folder in the bucket that only this test uses."""
    return f"test/{uuid.uuid4().hex}"


@pytest.fixture
def schema_name() -> str:
    """A warehouse schema that does not exist yet."""
    return f"test_{uuid.uuid4().hex[:16]}"


@pytest.fixture
def topic_names(environment: Environment) -> dict[str, str]:
    """The six topics by configuration key, made anew for this test under names of their own."""
    from loader.local.kafka_broker import TOPICS, create_topics

    suffix = uuid.uuid4().hex[:12]
    specs = {key: replace(spec, name=f"{spec.name}.{suffix}") for key, spec in TOPICS.items()}
    create_topics(environment.kafka.bootstrap_servers, specs.values())
    return {key: spec.name for key, spec in specs.items()}


@pytest.fixture
def config_file(
    environment: Environment,
    lake_prefix: str,
    schema_name: str,
    topic_names: dict[str, str],
    tmp_path: Path,
) -> Path:
    """A ``heap-loader.toml`` on the session's stack with this test's prefix, schema and topics."""
    import tomli_w

    from loader.local.environment import settings

    document = settings(
        environment,
        lake_prefix=lake_prefix,
        schema=schema_name,
        topics=topic_names,
        group_id=f"group-{uuid.uuid4().hex[:12]}",
    )
    # A killed member is missed after two seconds, not after the 45 of production.
    document["kafka"]["client"] = {"session.timeout.ms": 2000, "heartbeat.interval.ms": 500}
    path = tmp_path / "heap-loader.toml"
    path.write_text(tomli_w.dumps(document), encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.fixture
def settings(config_file: Path) -> Settings:
    """The loader's settings as read from :func:`config_file`."""
    from loader.config import load

    return load(config_file, environment={})
