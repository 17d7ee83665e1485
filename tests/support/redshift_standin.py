"""What the stand-in's own tests share: its servers' ports and keys, and a short-named cursor."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import boto3
import pytest
from redshift_connector.error import Error

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
