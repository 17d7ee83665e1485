"""Settings: one TOML file, typed, every key documented; environment variables override it.

``HEAP_LOADER_<SECTION>__<KEY>`` sets a key (``HEAP_LOADER_BATCH__MAX_ROWS=50000``). A secret may be
given as text, as ``{ file = "path" }`` or as ``{ command = ["program", "argument"] }``. An unknown
key is an error that names the nearest right one.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)

from loader.config_types import Duration, Format, Host, MaintenanceWindow, Secret, Section, Size
from loader.errors import UsageError

DEFAULT_FILE: Final = "heap-loader.toml"
ENVIRONMENT_PREFIX: Final = "HEAP_LOADER_"


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


class CopyCredentials(Section):
    """How Redshift's COPY reads the lake: a role, or keys."""

    iam_role: str | None = Field(None, description="ARN, or `default`.")
    access_key_id: str | None = Field(None, description="Where no role can be used.")
    secret_access_key: Secret | None = Field(None, description="Goes with access_key_id.")
    session_token: Secret | None = Field(None, description="For temporary keys.")


class Iam(Section):
    """Temporary database passwords from AWS, where warehouse.authentication is `iam`."""

    cluster_identifier: str | None = Field(
        None, description="Of a provisioned cluster. Unset: the first part of its endpoint's name."
    )
    workgroup: str | None = Field(
        None, description="Of Redshift Serverless, where warehouse.host is not its own endpoint."
    )
    region: str | None = Field(None, description="Unset: as the endpoint's name says.")
    profile: str | None = Field(
        None, description="AWS profile. Unset, and no keys: the usual AWS chain."
    )
    access_key_id: str | None = Field(None, description="Instead of a profile.")
    secret_access_key: Secret | None = Field(None, description="Goes with access_key_id.")
    session_token: Secret | None = Field(None, description="For temporary keys.")
    db_user: str | None = Field(
        None, description="Database user to be. Unset: warehouse.user. Serverless has its own."
    )
    db_groups: tuple[str, ...] = Field((), description="Groups that it joins for the session.")
    auto_create: bool = Field(
        default=False,
        description="Make the user where it does not exist (redshift:CreateClusterUser).",
    )
    group_federation: bool = Field(
        default=False,
        description="The user is the IAM identity itself (GetClusterCredentialsWithIAM).",
    )
    endpoint_url: str | None = Field(
        None, description="Of AWS's Redshift API, e.g. a VPC endpoint."
    )


class SshTunnel(Section):
    """A bastion through which the warehouse is reached; none where host is unset."""

    host: Host | None = Field(None, description="The bastion.")
    port: int = Field(22, ge=1, le=65535, description="Its SSH port.")
    username: str = Field("heap", description="Its user; needs no shell, only port forwarding.")
    private_key_file: str | None = Field(
        None, description="Unset: a key of the running ssh-agent (SSH_AUTH_SOCK)."
    )
    passphrase: Secret | None = Field(None, description="Of an encrypted private key.")
    known_hosts: str = Field(
        "~/.ssh/known_hosts",
        description="Where the bastion's host key stands, as OpenSSH writes it. Another key, or none, "
        "is refused.",
    )
    keepalive: Duration = Field(
        15.0,
        gt=0,
        description="A quiet bastion is asked so often; three questions without an answer end it.",
    )


class Warehouse(Section):
    """The Redshift cluster or workgroup."""

    host: Host = Field("127.0.0.1", description="Endpoint.")
    port: int = Field(5439, ge=1, le=65535, description="Port.")
    database: str = Field("dev", description="Database.")
    user: str = Field("heap", description="Database user.")
    password: Secret = Field(SecretStr(""), description="Its password.")
    db_schema: str = Field(
        "main_production",
        alias="schema",
        pattern=r"^[a-z_][a-z0-9_]{0,126}$",
        description="Schema; made at the first sync. Nothing else may live in it.",
    )
    sslmode: Literal["verify-full", "verify-ca", "disable"] = Field(
        "verify-full",
        description="verify-full: TLS, certificate and name checked. verify-ca: any name, for an "
        "address that the certificate does not carry. disable: no TLS, only on a laptop. "
        "SSL_CERT_FILE in the environment names further certificate authorities.",
    )
    authentication: Literal["password", "iam"] = Field(
        "password", description="password, or iam: a temporary one for each session."
    )
    connect_timeout: Duration = Field(
        30.0, gt=0, description="For one try to connect and log in. Statements have no such limit."
    )
    statement_timeout: Duration | None = Field(
        None,
        gt=0,
        description='Ends a statement that runs longer, e.g. "2h". Unset: the user\'s own.',
    )
    query_group: str = Field(
        "heap-loader",
        min_length=1,
        max_length=320,
        description="Label of our queries in stl_query and sys_query_history, and for WLM's rules.",
    )
    query_slots: int = Field(
        1, ge=1, le=50, description="WLM slots of each query of ours (manual WLM)."
    )
    copy_credentials: CopyCredentials = Field(
        CopyCredentials(), alias="copy", description="What COPY uses to read the lake."
    )
    iam: Iam = Field(Iam(), description="Where authentication is iam.")
    ssh_tunnel: SshTunnel = Field(SshTunnel(), description="Through a bastion.")

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, populate_by_name=True
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


class Settings(Section):
    """Everything."""

    kafka: Kafka = Kafka()
    topics: Topics = Topics()
    schema_registry: SchemaRegistry = SchemaRegistry()
    lake: Lake = Lake()
    batch: Batch = Batch()
    consumer: Consumer = Consumer()
    warehouse: Warehouse = Warehouse()
    sync: Sync = Sync()
    dead_letters: DeadLetters = DeadLetters()
    executor: Executor = Executor()


def load(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Args:
        path: the file; None looks for ``HEAP_LOADER_CONFIG``, then for ``./heap-loader.toml``, and
            takes the defaults where neither is there.
        environment: instead of ``os.environ``.

    Raises:
        UsageError: the file is missing, is not TOML, or has an unknown or ill-typed key.
    """
    env = os.environ if environment is None else environment
    named = path or (Path(env["HEAP_LOADER_CONFIG"]) if env.get("HEAP_LOADER_CONFIG") else None)
    file = named or Path(DEFAULT_FILE)
    document: dict[str, Any] = {}
    if named is not None or file.exists():
        try:
            document = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(
                f"{file}: {error.strerror or error}.",
                hint="Name a configuration with --config FILE or HEAP_LOADER_CONFIG.",
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{file} is not TOML: {error}.") from None
    return from_document(document, str(file), env)


def from_document(
    document: dict[str, Any], where: str, environment: Mapping[str, str] | None = None
) -> Settings:
    """The settings of a TOML document and the environment.

    Args:
        document: as a file holds it; the environment's keys are put into it.
        where: what messages call it.
        environment: instead of ``os.environ``.

    Raises:
        UsageError: an unknown or ill-typed key.
    """
    origins = _override(document, os.environ if environment is None else environment)
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        raise UsageError(_explain(error, where, origins)) from None


def _override(document: dict[str, Any], env: Mapping[str, str]) -> dict[str, str]:
    """Apply ``HEAP_LOADER_A__B__C=text`` to the document; returns dotted key to variable name."""
    origins: dict[str, str] = {}
    for variable, text in sorted(env.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX) or "__" not in variable:
            continue
        path = variable.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        place = document
        for step in path[:-1]:
            inner = place.setdefault(step, {})
            if not isinstance(inner, dict):
                raise UsageError(f"{variable}: {step} is not a section.")
            place = inner
        place[path[-1]] = text
        origins[".".join(path)] = variable
    return origins


def _explain(error: ValidationError, file: str, origins: Mapping[str, str]) -> str:
    """One line a fault: the key, where it stands, what is wrong, the nearest right key."""
    lines = []
    for fault in error.errors(include_url=False, include_input=False):
        key = ".".join(str(step) for step in fault["loc"])
        where = f"environment variable {origins[key]}" if key in origins else file
        if fault["type"] == "extra_forbidden":
            known = _keys_of([str(step) for step in fault["loc"][:-1]])
            near = difflib.get_close_matches(str(fault["loc"][-1]), known, n=1, cutoff=0.0)
            prefix = ".".join(str(step) for step in fault["loc"][:-1])
            right = f"{prefix}.{near[0]}" if prefix and near else "".join(near)
            lines.append(f"{where}: unknown key {key}. The nearest right one is {right}.")
        else:
            message = fault["msg"].removeprefix("Value error, ")
            lines.append(f"{where}: {key}: {message}.")
    return "\n".join(lines)


def _keys_of(path: list[str]) -> list[str]:
    """The keys of the section at ``path``, as a file writes them."""
    model: type[BaseModel] = Settings
    for step in path:
        field = next((f for name, f in model.model_fields.items() if step in {name, f.alias}), None)
        if field is None or not isinstance(field.annotation, type):
            return []
        model = field.annotation
    return [field.alias or name for name, field in model.model_fields.items()]
