"""What the suite is held against: a stand-in of its own, or the cluster that the environment names."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import boto3

from loader.local.redshift import StandInThread
from tests.conformance.clients import Target
from tests.conformance.run import Lake
from tests.support.redshift_standin import (
    BUCKET,
    DATABASE,
    KEY,
    PASSWORD,
    SECRET,
    USER,
    client_for,
    config_for,
    running_postgres,
    running_s3,
)

VARIABLE = "HEAP_LOADER_CONFORMANCE_"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the suite runs, and what it may read there."""

    target: Target
    lake: Lake | None
    real: bool


@contextmanager
def stand_in() -> Iterator[Place]:
    """A stand-in with a PostgreSQL and an S3 of its own."""
    with ExitStack() as parts:
        postgres = parts.enter_context(running_postgres())
        endpoint = parts.enter_context(running_s3())
        running = parts.enter_context(StandInThread(config_for(postgres, endpoint)))
        yield Place(
            Target("127.0.0.1", running.port, DATABASE, USER, PASSWORD),
            lake_of_tests(endpoint),
            real=False,
        )


def lake_of_tests(endpoint: str) -> Lake:
    """The bucket of the tests' own S3 server, under a prefix of this run."""
    client = client_for(endpoint)
    prefix = f"conformance/{uuid.uuid4().hex[:12]}"

    def put(key: str, body: bytes) -> None:
        client.put_object(Bucket=BUCKET, Key=f"{prefix}/{key}", Body=body)

    auth = f"ACCESS_KEY_ID '{KEY}' SECRET_ACCESS_KEY '{SECRET}'"
    return Lake(f"s3://{BUCKET}/{prefix}", auth, put)


def cluster(environment: Mapping[str, str]) -> Place | None:
    """The cluster that ``HEAP_LOADER_CONFORMANCE_HOST`` and its fellows name; none without them."""

    def given(name: str, default: str = "") -> str:
        return environment.get(VARIABLE + name, default)

    if not given("HOST"):
        return None
    target = Target(
        given("HOST"),
        int(given("PORT", "5439")),
        given("DATABASE", "dev"),
        given("USER"),
        given("PASSWORD"),
        ssl=given("SSL", "true").lower() not in ("false", "0", "no"),
    )
    lake = None
    if given("S3") and given("IAM_ROLE"):
        where = urlsplit(given("S3").rstrip("/"))
        client = boto3.client("s3")

        def put(key: str, body: bytes) -> None:
            full = f"{where.path}/{key}".lstrip("/")
            client.put_object(Bucket=where.netloc, Key=full, Body=body)

        lake = Lake(where.geturl(), f"IAM_ROLE '{given('IAM_ROLE')}'", put)
    return Place(target, lake, real=True)


@contextmanager
def place() -> Iterator[Place]:
    """The cluster of the environment, else a stand-in."""
    named = cluster(os.environ)
    if named is not None:
        yield named
        return
    with stand_in() as own:
        yield own
