"""The settings of the warehouse: where it is, who we are there, and the way to it."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, SecretStr

from loader.config_types import Duration, Host, Secret, Section


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
