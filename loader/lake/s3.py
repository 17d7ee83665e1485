"""The lake's object store on S3, or on anything that speaks S3 and has conditional writes."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

from loader import config
from loader.errors import LoaderError, NeedsOperator, Terminal, Unreachable, UsageError
from loader.lake.store import ObjectInfo
from loader.logs import retried

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

T = TypeVar("T")

_MAX_DELETE: Final = 1000
_REFUSED: Final = frozenset(
    {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}
)


class S3Store:
    """Objects under one prefix of one bucket. Safe for threads.

    Args:
        client: a boto3 S3 client; its own retries are off, so that every retry shows in the log.
        bucket: bucket name.
        prefix: key prefix without slashes at its ends; may be empty.
        endpoint: what error messages call the server.
    """

    def __init__(self, client: S3Client, bucket: str, prefix: str, endpoint: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._endpoint = endpoint
        self._on_own_write: Callable[[], None] = lambda: None

    def observe(
        self, *, on_request: Callable[[str], None], on_own_write: Callable[[], None]
    ) -> None:
        """Be told what happens on the wire.

        Args:
            on_request: called with the operation's name before each HTTP request, repeated ones
                included; from the thread that makes it.
            on_own_write: called when a conditional put meets its own body, so that an answer was lost.
        """
        self._on_own_write = on_own_write

        def before_send(event_name: str, **_: object) -> None:
            on_request(event_name.rpartition(".")[2])

        self._client.meta.events.register("before-send.s3", before_send)

    @classmethod
    def open(cls, settings: config.Lake) -> S3Store:
        """A store for the configured lake. Connects with the first request."""
        place = urlsplit(settings.url)
        secret = settings.secret_access_key
        client = boto3.session.Session().client(
            "s3",
            endpoint_url=settings.endpoint_url,
            region_name=settings.region,
            aws_access_key_id=settings.access_key_id,
            aws_secret_access_key=secret.get_secret_value() if secret else None,
            config=Config(
                retries={"total_max_attempts": 1},
                connect_timeout=3,
                read_timeout=30,
                max_pool_connections=32,
                s3={"addressing_style": "path" if settings.endpoint_url else "auto"},
            ),
        )
        endpoint = settings.endpoint_url or f"AWS S3 in {settings.region}"
        return cls(client, place.netloc, place.path.strip("/"), endpoint)

    @property
    def url(self) -> str:
        """``s3://bucket/prefix``."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def put(self, key: str, body: bytes) -> None:
        """See :class:`~loader.lake.store.ObjectStore`."""
        self._call(
            "PutObject",
            lambda: self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=body),
        )

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """See :class:`~loader.lake.store.ObjectStore`.

        A 412 may be the answer to our own retried request, so what stands there is compared. A 409
        (a concurrent delete or put) is retried, as Amazon's documentation of PutObject asks.
        """

        def request() -> bool:
            try:
                self._client.put_object(
                    Bucket=self._bucket, Key=self._prefix + key, Body=body, IfNoneMatch="*"
                )
            except ClientError as error:
                if _status(error) == 412:
                    return False
                raise
            return True

        if self._call("PutObject If-None-Match", request):
            return True
        own = self.get(key) == body
        if own:
            self._on_own_write()
        return own

    def get(self, key: str) -> bytes:
        """See :class:`~loader.lake.store.ObjectStore`."""

        def request() -> bytes:
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
            except self._client.exceptions.NoSuchKey:
                raise KeyError(key) from None
            return answer["Body"].read()

        return self._call("GetObject", request)

    def scan(self, prefix: str, *, start_after: str = "") -> Iterator[ObjectInfo]:
        """See :class:`~loader.lake.store.ObjectStore`. One request for each 1,000 objects."""
        for page in self._pages(prefix, start_after=start_after):
            for entry in page.get("Contents", ()):
                yield ObjectInfo(
                    entry["Key"][len(self._prefix) :],
                    entry["Size"],
                    entry["LastModified"].timestamp(),
                )

    def list_folders(self, prefix: str) -> list[str]:
        """See :class:`~loader.lake.store.ObjectStore`."""
        skip = len(self._prefix) + len(prefix)
        return sorted(
            {
                entry["Prefix"][skip:].rstrip("/")
                for page in self._pages(prefix, delimiter="/")
                for entry in page.get("CommonPrefixes", ())
            }
        )

    def delete(self, keys: Iterable[str]) -> None:
        """See :class:`~loader.lake.store.ObjectStore`."""
        pending = [{"Key": self._prefix + key} for key in keys]
        for start in range(0, len(pending), _MAX_DELETE):
            chunk: Any = {"Objects": pending[start : start + _MAX_DELETE], "Quiet": True}
            request = partial(self._client.delete_objects, Bucket=self._bucket, Delete=chunk)
            self._call("DeleteObjects", request)

    def check_conditional_writes(self) -> None:
        """Prove that the store honours ``If-None-Match: *``: exactly-once stands on it.

        Raises:
            NeedsOperator: a second conditional write of one key succeeded, or none did.
        """
        key = f"_probe/{uuid.uuid4().hex}"
        try:
            first = self.put_if_absent(key, b"first")
            second = self.put_if_absent(key, b"second")
        except _NotImplemented:
            first, second = False, False
        finally:
            self.delete([key])
        if not first or second:
            raise NeedsOperator(
                f"{self.url} at {self._endpoint} has no conditional writes (PutObject with "
                "If-None-Match: *).",
                hint="The commit log needs them: use a store that has the capability.",
            )

    def _pages(self, prefix: str, *, start_after: str = "", delimiter: str = "") -> Iterator[Any]:
        arguments: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._prefix + prefix}
        if start_after:
            arguments["StartAfter"] = self._prefix + start_after
        if delimiter:
            arguments["Delimiter"] = delimiter
        while True:
            page: Any = self._call(
                "ListObjectsV2", lambda: self._client.list_objects_v2(**arguments)
            )
            yield page
            if not page.get("IsTruncated"):
                return
            arguments["ContinuationToken"] = page["NextContinuationToken"]

    def _call(self, operation: str, request: Callable[[], T]) -> T:
        def attempt() -> T:
            try:
                return request()
            except (BotoCoreError, ClientError) as error:
                raise self._explain(operation, error) from None

        return retried(attempt)

    def _explain(self, operation: str, error: BotoCoreError | ClientError) -> LoaderError:
        """Sort a failure: gone for good, refused, or worth another try."""
        where = f"S3 at {self._endpoint}, {self.url}, {operation}"
        if isinstance(error, NoCredentialsError | PartialCredentialsError):
            return UsageError(
                f"{where}: no credentials.",
                hint="Set lake.access_key_id and lake.secret_access_key.",
            )
        if not isinstance(error, ClientError):
            return Unreachable(
                f"{where}: {type(error).__name__}.",
                hint="Is the endpoint up and lake.endpoint_url right?",
            )
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = _status(error)
        if code in _REFUSED or status in {401, 403}:
            return _Refused(
                f"{where}: refused with {code or status}.", hint="Check the lake's credentials."
            )
        if code == "NoSuchBucket":
            return UsageError(f"{where}: no such bucket.", hint="Create it, or correct lake.url.")
        passes = status in {409, 429} or (status >= 500 and status != 501)
        kind = Unreachable if passes else _NotImplemented if status == 501 else Terminal
        return kind(f"{where}: {code or status}.")


class _NotImplemented(Terminal):
    """The server does not have what was asked for, and will not have it next time."""


class _Refused(Terminal):
    """Credentials or rights are wrong: no retry helps, and the dependency cannot be used."""

    exit_code = 4


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
