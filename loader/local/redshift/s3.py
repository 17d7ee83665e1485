"""The S3 side of COPY and UNLOAD: manifest, sizes, files. Everything here blocks; call it in a thread."""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from loader.local.redshift import copy_errors
from loader.local.redshift.config import S3
from loader.local.redshift.copy_errors import LoadError
from loader.local.redshift.copy_statement import Credentials
from loader.local.redshift.errors import not_here

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class Source:
    """One file to load.

    Attributes:
        url: as the manifest names it.
        size: bytes, proven by the server.
    """

    url: str
    size: int


class Bucket:
    """Reads objects with the stand-in's own keys, for a statement whose keys are the same.

    Raises:
        LoadError: 403, for any other keys.
        SqlError: the stand-in has no S3.
    """

    def __init__(self, settings: S3 | None, given: Credentials | None) -> None:
        if settings is None:
            raise not_here("COPY without an S3 endpoint in the configuration")
        if given is not None and not _same(settings, given):
            raise copy_errors.access_denied()
        token = settings.session_token
        self._client: S3Client = boto3.client(
            "s3",
            endpoint_url=settings.endpoint_url,
            aws_access_key_id=settings.access_key_id,
            aws_secret_access_key=settings.secret_access_key.get_secret_value(),
            aws_session_token=token.get_secret_value() if token else None,
            region_name=settings.region,
            config=Config(retries={"max_attempts": 3, "mode": "standard"}, connect_timeout=5),
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def manifest(self, url: str, *, columnar: bool) -> list[Source]:
        """The files of a manifest, each proven to exist.

        Args:
            url: the manifest.
            columnar: entries must state the file's size, and it must be so; text files need none.

        Raises:
            LoadError: the manifest is absent or not one, an entry lacks its length, a mandatory
                file is missing, or a length differs.
        """
        bucket, key = split_url(url)
        if not key or key.endswith("/"):
            raise copy_errors.manifest_path()
        body = self._text(bucket, key)
        entries = _entries(body)
        found = []
        for entry in entries:
            stated = _stated(entry) if columnar else None
            source = self._entry(entry, stated, columnar=columnar)
            if source:
                found.append(source)
        if not found:
            raise _missing(entries[0]["url"] if entries else url, columnar=columnar)
        return found

    def _text(self, bucket: str, key: str) -> bytes:
        try:
            return self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if _status(error) == 404:
                raise copy_errors.no_manifest(key) from None
            raise _service_error(error, key) from None
        except BotoCoreError as error:
            raise LoadError(8001, f"S3 does not answer: {type(error).__name__}") from None

    def _entry(self, entry: dict[str, Any], stated: int | None, *, columnar: bool) -> Source | None:
        url = entry["url"]
        size = self._size(url)
        if size is None:
            if entry.get("mandatory", False):
                raise _missing(url, columnar=columnar)
            return None
        if stated is not None and size != stated:
            _, key = split_url(url)
            text = copy_errors.s3_text(
                "The requested range is not satisfiable", 416, "InvalidRange", key
            )
            raise LoadError(15001, text, file=url)
        return Source(url, size)

    def _size(self, url: str) -> int | None:
        bucket, key = split_url(url)
        try:
            return self._client.head_object(Bucket=bucket, Key=key)["ContentLength"]
        except ClientError as error:
            if _status(error) == 404:
                return None
            raise _service_error(error, key) from None
        except BotoCoreError as error:
            raise LoadError(8001, f"S3 does not answer: {type(error).__name__}") from None

    def read(self, url: str) -> bytes:
        """A small object whole, such as a JSONPaths file.

        Raises:
            LoadError: it is absent or forbidden.
        """
        bucket, key = split_url(url)
        try:
            return self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            raise _service_error(error, key) from None

    def prefix(self, url: str) -> list[Source]:
        """The objects under a key prefix; none is no error (a Parquet COPY then loads nothing)."""
        bucket, prefix = split_url(url)
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        try:
            return [
                Source(f"s3://{bucket}/{item['Key']}", item["Size"])
                for page in pages
                for item in page.get("Contents", [])
            ]
        except ClientError as error:
            raise _service_error(error, prefix) from None

    def upload(self, url: str, content: IO[bytes]) -> int:
        """Write an open file's content as an object; returns its bytes.

        Raises:
            LoadError: S3 refused.
        """
        size = content.seek(0, 2)
        content.seek(0)
        self.write(url, content)
        return size

    def write(self, url: str, body: bytes | IO[bytes]) -> None:
        """Write an object.

        Raises:
            LoadError: S3 refused.
        """
        bucket, key = split_url(url)
        try:
            self._client.put_object(Bucket=bucket, Key=key, Body=body)
        except ClientError as error:
            raise _service_error(error, key) from None
        except BotoCoreError as error:
            raise LoadError(8001, f"S3 does not answer: {type(error).__name__}") from None

    def delete(self, url: str) -> None:
        """Remove an object.

        Raises:
            LoadError: S3 refused.
        """
        bucket, key = split_url(url)
        try:
            self._client.delete_object(Bucket=bucket, Key=key)
        except ClientError as error:
            raise _service_error(error, key) from None

    def download(self, source: Source, into: IO[bytes]) -> None:
        """Copy an object's bytes to an open file.

        Raises:
            LoadError: it vanished, or its size is no longer what it was.
        """
        bucket, key = split_url(source.url)
        try:
            body = self._client.get_object(Bucket=bucket, Key=key)["Body"]
            for chunk in body.iter_chunks(1 << 20):
                into.write(chunk)
        except ClientError as error:
            if _status(error) == 404:
                raise copy_errors.file_not_found(source.url) from None
            raise _service_error(error, key) from None
        into.flush()
        if into.tell() != source.size:
            text = copy_errors.s3_text(
                "The requested range is not satisfiable", 416, "InvalidRange", key
            )
            raise LoadError(15001, text, file=source.url)


def _stated(entry: dict[str, Any]) -> int:
    meta = entry.get("meta")
    if not isinstance(meta, dict) or "content_length" not in meta:
        raise LoadError(15003, "File entry does not have 'meta' key.")
    return int(meta["content_length"])


def _missing(url: str, *, columnar: bool) -> LoadError:
    if columnar:
        return copy_errors.file_not_found(url)
    text = "Mandatory url is not present in manifest file."
    return LoadError(8001, text, message=text, file=url)


def _same(settings: S3, given: Credentials) -> bool:
    token = settings.session_token.get_secret_value() if settings.session_token else ""
    pairs = (
        (settings.access_key_id, given.access_key_id),
        (settings.secret_access_key.get_secret_value(), given.secret_access_key),
        (token, given.session_token),
    )
    return all(hmac.compare_digest(ours.encode(), theirs.encode()) for ours, theirs in pairs)


def split_url(url: str) -> tuple[str, str]:
    """Bucket and key of ``s3://bucket/key``."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


def _entries(body: bytes) -> list[dict[str, Any]]:
    """The manifest's entries (AWS docs: Using a manifest to specify data files)."""
    text = "Problem reading manifest file - invalid manifest"
    try:
        document = json.loads(body)
        entries = document["entries"]
        good = all(str(entry["url"]).startswith("s3://") for entry in entries)
    except (ValueError, KeyError, TypeError):
        raise LoadError(8001, text, message=text) from None
    if not good:
        raise LoadError(8001, text, message=text)
    return list(entries)


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _service_error(error: ClientError, key: str) -> LoadError:
    answer = error.response.get("Error", {})
    if _status(error) == 403:
        return copy_errors.access_denied()
    code = str(answer.get("Code", ""))
    text = copy_errors.s3_text(str(answer.get("Message", "")), _status(error), code, key)
    return LoadError(8001, text, message=text)
