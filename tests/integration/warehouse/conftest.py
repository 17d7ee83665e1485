"""A stand-in that speaks TLS, before the session's PostgreSQL; a bastion; settings that reach them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from loader import config
from loader.local import postgres
from loader.local.environment import Environment
from loader.local.redshift import BackendAddress, Login, StandInConfig, StandInThread
from loader.local.redshift.config import S3, Listen
from loader.local.stack import Stack
from tests.support.certificates import Authority
from tests.support.sshd import Sshd, sshd

#: The name in the certificate.
NAME = "localhost"

Warehouse = Callable[..., config.Warehouse]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The control file of the stand-in with TLS (loader.local.redshift.faults)."""
    return tmp_path_factory.mktemp("faults") / "rules.json"


@pytest.fixture(scope="session")
def stand_in_config(stack: Stack, environment: Environment, faults: Path) -> StandInConfig:
    """The session's PostgreSQL and S3, without TLS yet."""
    at, s3 = environment.redshift, environment.s3
    return StandInConfig(
        backend=BackendAddress(
            port=stack.port(postgres.NAME), user=postgres.USER, database=at.database
        ),
        login=Login(user=at.user, password=SecretStr(at.password)),
        s3=S3(
            endpoint_url=s3.endpoint_url,
            access_key_id=s3.access_key_id,
            secret_access_key=SecretStr(s3.secret_access_key),
        ),
        control_file=faults,
    )


@pytest.fixture(scope="session")
def tls_stand_in(stand_in_config: StandInConfig, authority: Authority) -> Iterator[StandInThread]:
    certificate, key = authority.server(NAME)
    listen = Listen(certificate_file=certificate, private_key_file=key)
    with StandInThread(stand_in_config.model_copy(update={"listen": listen})) as running:
        yield running


@pytest.fixture(scope="module")
def bastion() -> Iterator[Sshd]:
    with sshd() as server:
        yield server


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tests' authority is one that this process trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return authority.file


@pytest.fixture
def warehouse(environment: Environment) -> Warehouse:
    """Settings of the session's stand-in, with changes."""
    at = environment.redshift

    def make(**changes: Any) -> config.Warehouse:
        given = {
            "host": at.host,
            "port": at.port,
            "database": at.database,
            "user": at.user,
            "password": at.password,
            "sslmode": "disable",
            "connect_timeout": 10,
        }
        return config.Warehouse.model_validate({**given, **changes})

    return make


@pytest.fixture
def through(bastion: Sshd) -> Callable[..., dict[str, Any]]:
    """The section ssh_tunnel that leads through the bastion, with changes."""

    def make(**changes: Any) -> dict[str, Any]:
        return {
            "host": "127.0.0.1",
            "port": bastion.port,
            "username": bastion.username,
            "private_key_file": str(bastion.private_key),
            "known_hosts": str(bastion.known_hosts),
            **changes,
        }

    return make
