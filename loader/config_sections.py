"""The sections of the settings: every key with its type, its bounds, its default and what it means."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from loader.config_types import Duration, Format, MaintenanceWindow, Secret, Section, Size


class Kafka(Section):
    """Where the events come from."""

    bootstrap_servers: str = Field("127.0.0.1:9092", description="host:port, comma-separated.")
    group_id: str = Field("heap-loader", description="Consumer group of `consume`.")
    client: dict[str, str | int | float | bool] = Field(
        default_factory=dict,
        description="Any librdkafka property, passed through (TLS, SASL, tuning).",
    )


class Topic(Section):
    """One topic."""

    name: str = Field(description="The topic's name in Kafka.", pattern=r"^[a-zA-Z0-9._-]{1,249}$")
    format: Format = Field("json", description="How its messages are encoded: json or avro.")


class Topics(Section):
    """The topics' names and formats."""

    events: Topic = Topic(name="heap.events")
    user_updates: Topic = Topic(name="heap.user_updates")
    user_migrations: Topic = Topic(name="heap.user_migrations")
    definitions: Topic = Topic(name="heap.definitions")
    user_deletions: Topic = Topic(name="heap.user_deletions")
    dead_letters: Topic = Topic(name="heap.dead_letters")


class SchemaRegistry(Section):
    """Where the schemas of Avro messages come from, if not from those that come with the loader."""

    url: str | None = Field(
        None,
        description="http(s)://host:port of a Confluent-compatible registry; several, comma-separated, "
        "stand in for one another. Unset: ids 1 to 4 are the schemas in `schemas/`.",
    )
    username: str | None = Field(None, description="For HTTP basic authentication.")
    password: Secret | None = Field(None, description="Goes with username.")
    timeout: Duration = Field(10.0, gt=0, description='For one request, e.g. "10s".')

    @field_validator("url")
    @classmethod
    def _http(cls, url: str | None) -> str | None:
        one = r"https?://[A-Za-z0-9.\[\]:_-]+(/[^@,\s]*)?"
        if url is not None and not re.fullmatch(rf"{one}(,{one})*", url):
            raise ValueError(
                "a registry's URL is http://host:port or https://..., without credentials"
            )
        return url

    @field_validator("username")
    @classmethod
    def _no_colon(cls, username: str | None) -> str | None:
        if username is not None and ":" in username:
            raise ValueError("a username of basic authentication holds no colon")
        return username


class Lake(Section):
    """The lake on S3."""

    url: str = Field("s3://heap-lake", description="s3://bucket or s3://bucket/prefix.")
    endpoint_url: str | None = Field(None, description="For S3 that is not AWS.")
    region: str = Field("us-east-1", description="AWS region of the bucket.")
    access_key_id: str | None = Field(
        None, description="Unset: the usual AWS chain (environment, profile, instance role)."
    )
    secret_access_key: Secret | None = Field(None, description="Goes with access_key_id.")
    buckets: int = Field(
        8, ge=1, le=256, description="User buckets. Fixed once, kept in the lake's lake.json."
    )

    @field_validator("url")
    @classmethod
    def _s3(cls, url: str) -> str:
        if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._/=-]+)?/?", url):
            raise ValueError("an S3 URL is s3://bucket or s3://bucket/prefix")
        return url.rstrip("/")


class Batch(Section):
    """When a micro-batch of one partition is closed: whichever limit is met first."""

    max_rows: int = Field(100_000, ge=1, le=5_000_000, description="Messages.")
    max_bytes: Size = Field(
        134_217_728,
        ge=1024,
        le=1 << 29,
        description='Message bytes, e.g. "128MiB"; at most 512 MiB.',
    )
    max_age: Duration = Field(60.0, gt=0, description='Since its first message, e.g. "60s".')


class Consumer(Section):
    """How `consume` runs: its processes, their memory, what it shows of itself."""

    workers: int = Field(
        1,
        ge=1,
        le=256,
        description="Processes, each a member of the group. More than there are partitions do nothing.",
    )
    memory: Size = Field(
        700 << 20,
        ge=448 << 20,
        description='Resident memory of one worker, e.g. "700MiB". What it buffers is derived from '
        "it; a worker that stays above it for half a minute lets go and is started again.",
    )
    patience: Duration = Field(
        600.0,
        ge=0,
        description="How long S3, the schema registry or the dead-letter topic may stay away before a "
        "worker ends with status 4. It keeps what it has, reads no more than fits, and goes on when "
        "they are back. A bounded run does not wait.",
    )
    stop_timeout: Duration = Field(
        30.0, gt=0, description="Time that workers have to let go after SIGTERM, before SIGKILL."
    )
    static_id: str | None = Field(
        None,
        pattern=r"^[a-zA-Z0-9._-]{1,200}$",
        description="Static membership: worker i joins the group as <static_id>-<i>, so that a "
        "restart within session.timeout.ms moves no partition. Every host needs an id of its own.",
    )
    direct: bool = Field(
        True,
        description="Take messages from the memory of the Kafka library, where its version is a known "
        "one, instead of from the client's objects: the same messages for less than half the CPU.",
    )
    metrics_host: str = Field("127.0.0.1", description="Where metrics and health are served.")
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Serves /metrics, /healthz and /readyz of all workers; 0 takes a free port and "
        "logs it. Unset: not served.",
    )


class Sync(Section):
    """The compactor's schedule."""

    every: Duration = Field(86400.0, gt=0, description='Time between syncs, e.g. "24h".')
    group_rows: int = Field(
        1_000_000, ge=1000, description="Rows that one unit of compaction holds in memory at most."
    )
    maintenance_window: MaintenanceWindow | None = Field(
        None,
        description="When a sync may also VACUUM and ANALYZE tables that need it, in UTC: "
        '"02:00-05:00", or with days "sat,sun 02:00-05:00". Without one Redshift\'s own automatic '
        "maintenance is all.",
    )


class DeadLetters(Section):
    """Limits that stop the consumer instead of draining a bad deploy into the dead letters."""

    max_ratio: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Refused share of a partition's last `window` messages, whatever the batches; "
        "judged from 1,000 known messages on.",
    )
    window: int = Field(
        10_000, ge=1, le=1_000_000, description="Messages that max_ratio looks back on."
    )
    max_consecutive: int = Field(
        1_000, ge=1, description="Refused messages of a partition in a row, across batches."
    )


class Executor(Section):
    """Where compaction runs."""

    kind: Literal["processes", "dask"] = Field("processes", description="processes or dask.")
    workers: int = Field(2, ge=1, le=1024, description="Processes on this machine.")
    address: str | None = Field(None, description="Dask scheduler, e.g. tcp://host:8786.")
