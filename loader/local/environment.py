"""The endpoints of a running stack: the ``local env --json`` document and ``heap-loader.toml``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from loader.local.kafka_broker import TOPICS

CONFIG_NAME = "heap-loader.toml"
GROUP_ID = "heap-loader"

_HEADER = """\
# Written by `heap-loader local up`, and written again at each: edits here are lost.
# It holds secrets of the local stack only. For your own settings copy it, or override single keys
# with environment variables: HEAP_LOADER_<SECTION>__<KEY>.

"""


@dataclass(frozen=True, slots=True)
class KafkaEnvironment:
    """Where Kafka is.

    Attributes:
        bootstrap_servers: ``HOST:PORT``, comma separated.
    """

    bootstrap_servers: str


@dataclass(frozen=True, slots=True)
class S3Environment:
    """Where the S3 server is, and the keys that open it."""

    endpoint_url: str
    bucket: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    region: str


@dataclass(frozen=True, slots=True)
class RedshiftEnvironment:
    """Where the Redshift stand-in is, and its login."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    schema: str


@dataclass(frozen=True, slots=True)
class Environment:
    """Everything a client of the stack has to know.

    Attributes:
        config: path of the written ``heap-loader.toml``.
    """

    kafka: KafkaEnvironment
    s3: S3Environment
    redshift: RedshiftEnvironment
    config: Path

    def document(self) -> dict[str, Any]:
        """Return the ``local env --json`` document, secrets included: that is what it is for."""
        s3, redshift = self.s3, self.redshift
        return {
            "kafka": {"bootstrap_servers": self.kafka.bootstrap_servers},
            "s3": {
                "endpoint_url": s3.endpoint_url,
                "bucket": s3.bucket,
                "access_key_id": s3.access_key_id,
                "secret_access_key": s3.secret_access_key,
                "region": s3.region,
            },
            "redshift": {
                "host": redshift.host,
                "port": redshift.port,
                "database": redshift.database,
                "user": redshift.user,
                "password": redshift.password,
                "schema": redshift.schema,
            },
            "config": str(self.config),
        }


def settings(
    env: Environment,
    *,
    lake_prefix: str = "",
    schema: str | None = None,
    topics: dict[str, str] | None = None,
    group_id: str = GROUP_ID,
) -> dict[str, Any]:
    """Return the configuration of a loader that works on this stack, as TOML's tables.

    Args:
        env: the stack.
        lake_prefix: folder of the lake in the bucket; empty for the bucket's root.
        schema: the warehouse schema; None takes the stack's.
        topics: other names for topics, by configuration key.
        group_id: the consumer group.
    """
    keys = {
        "access_key_id": env.s3.access_key_id,
        "secret_access_key": env.s3.secret_access_key,
    }
    names = {key: spec.name for key, spec in TOPICS.items()} | (topics or {})
    return {
        "kafka": {"bootstrap_servers": env.kafka.bootstrap_servers, "group_id": group_id},
        "topics": {key: {"name": name, "format": "json"} for key, name in names.items()},
        "lake": {
            "url": f"s3://{env.s3.bucket}" + (f"/{lake_prefix}" if lake_prefix else ""),
            "endpoint_url": env.s3.endpoint_url,
            "region": env.s3.region,
            **keys,
        },
        "warehouse": {
            "host": env.redshift.host,
            "port": env.redshift.port,
            "database": env.redshift.database,
            "user": env.redshift.user,
            "password": env.redshift.password,
            "schema": schema or env.redshift.schema,
            "sslmode": "disable",
            "copy": keys,
        },
    }


def render_config(env: Environment) -> str:
    """Render ``heap-loader.toml`` for this stack. It holds secrets: write it with mode 0600."""
    return _HEADER + tomli_w.dumps(settings(env))
